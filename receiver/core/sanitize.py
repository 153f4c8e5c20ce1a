"""Makes text from payloads safe to display: escapes control characters and whatever reorders the visible text."""

ESCAPES = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)]}
# Bidirectional overrides reorder what a reader sees; line and paragraph separators break a table.
ESCAPES |= {code: f"\\u{code:04x}" for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]}
"""Code point to the text that is shown instead."""

# Python's stand-ins for the bytes of a path that is not UTF-8, which no encoding can write.
_UNWRITABLE = {code: f"\\x{code - 0xDC00:02x}" for code in range(0xDC80, 0xDD00)}


def plain(value: object) -> str:
    """Return *value* as text with every control character escaped."""
    return writable(str(value).translate(ESCAPES))


def writable(text: str) -> str:
    """Return *text* with escapes for what UTF-8 cannot encode, such as the bytes of a path in another encoding."""
    if text.isascii():
        return text
    return text.translate(_UNWRITABLE).encode("utf-8", "backslashreplace").decode()


def encodable(value: object) -> object:
    """Return *value* in a form that JSON can encode: dicts, lists and numbers stay, everything else becomes text."""
    if isinstance(value, dict):
        return {writable(str(key)): encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(each) for each in value]
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    return writable(str(value))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if needed: `1 event`, `2,000 deliveries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
