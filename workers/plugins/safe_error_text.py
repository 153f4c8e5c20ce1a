"""Formats exceptions of handlers as one safe line: no control characters or secrets, a bounded length. Never raises."""

from collections.abc import Sequence
from urllib.parse import urlsplit

LIMIT = 500
"""Characters that are kept of an error."""

_LONGEST_READ = 100_000
_SHORTEST_SECRET = 4
_ESCAPES = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)]}
# Bidirectional marks reorder what a reader sees; line and paragraph separators break the line.
_ESCAPES |= {code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, 0x2028, 0x2029)}
_ESCAPES |= {code: f"\\u{code:04x}" for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


def one_line(text: str, limit: int = LIMIT) -> str:
    """Return *text* with control characters and lone surrogates escaped, cut to *limit* characters."""
    # Cut first: escaping only makes it longer, and a message of a gigabyte must not be copied.
    shown = text[: limit + 1].encode("utf-8", "backslashreplace").decode("utf-8").translate(_ESCAPES)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def describe(error: BaseException, secrets: Sequence[str] = ()) -> str:
    """Return the class and message of *error* on one line, without *secrets*, in at most 500 characters."""
    try:
        message = str(error)[:_LONGEST_READ]
    except BaseException as broken:  # noqa: BLE001 - the message is foreign code
        message = f"(its message cannot be read: {type(broken).__name__})"
    name = type(error).__name__
    return one_line(f"{name}: {masked(message.strip(), secrets)}" if message.strip() else name)


def masked(text: str, secrets: Sequence[str]) -> str:
    """Return *text* with every one of *secrets* replaced by three asterisks."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def secret_parts(value: str) -> tuple[str, ...]:
    """Return the parts of a secret that must not be shown: itself and, for a URL, whatever identifies the caller.

    Libraries print a URL in parts: `Max retries exceeded with url: /services/T000/B000/XXXX`.
    """
    parts = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    try:
        url = urlsplit(value.strip())
        if url.scheme and url.netloc:
            parts |= {url.path, url.path.strip("/"), url.query, url.fragment, url.username or "", url.password or ""}
    except ValueError:  # brackets that hold no IPv6 address: not a URL, so only the whole is a secret
        pass
    # Shorter ones are words or numbers that occur by themselves; masking them would only garble the sentence.
    return tuple(sorted(part for part in parts if len(part) >= _SHORTEST_SECRET))
