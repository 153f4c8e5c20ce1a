"""Text from payloads, made harmless to whoever reads it: no control character, nothing that reorders what is seen."""

ESCAPES = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)]}
# Bidirectional overrides reorder what a reader sees; line and paragraph separators break a table.
ESCAPES |= {code: f"\\u{code:04x}" for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]}
"""Code point to what is shown in its place."""


def plain(value: object) -> str:
    """Return *value* as text with every control character escaped."""
    return str(value).translate(ESCAPES)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one: `1 event`, `2,000 deliveries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
