"""Unpacks and decodes a request's body, in every encoding that it may have, so that a text can be searched for.

Nexudus sends JSON in UTF-8, and for that this does nothing. What lies in quarantine is anything that anybody sent.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import unquote

import orjson

LARGEST: Final = 16 * 1_048_576
"""Bytes that are unpacked of one body at most: a few kilobytes may claim to be gigabytes."""

_DEEPEST: Final = 4
_MOST_MEMBERS: Final = 100
_BY_GUESS: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_BY_MARK: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NO_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")

_UNPACKED: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"\x78\x01", zlib.decompressobj),
    (b"\x78\x5e", zlib.decompressobj),
    (b"\x78\x9c", zlib.decompressobj),
    (b"\x78\xda", zlib.decompressobj),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
)
_PACKED: Final = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d", b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")
"""How bodies begin that we cannot unpack: zstd, lz4, compress, zip, 7z, rar."""

_UNKNOWN: Final = ("br", "compress", "x-compress", "zstd", "dcb", "dcz")
"""Content-Encodings that we cannot undo; of br nothing in the body tells."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The *bodies* to search instead of the one that came, in UTF-8. *is_whole*: nothing in it stays hidden."""

    bodies: tuple[bytes, ...]
    is_whole: bool


def readings(body: bytes, headers: Mapping[str, str]) -> Readings:
    """Return what to search for *body*, which came with *headers*. Its bounds are `LARGEST` and a few layers."""
    if _is_json(body):
        return Readings((body,), is_whole=True)
    encoding = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "")
    plain, is_whole = _unpacked(body, encoding.strip().lower())
    texts, is_text = _texts(plain)
    texts_found = dict.fromkeys(other.encode("utf-8", "replace") for text in texts for other in _unescaped(text))
    return Readings(tuple(texts_found), is_whole and is_text)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _unpacked(body: bytes, encoding: str) -> tuple[bytes, bool]:
    """Return a body without its layers of compression, as far as they can be taken off, and whether all could be."""
    for layer in range(_DEEPEST):
        unpacker = next((make for start, make in _UNPACKED if body.startswith(start)), None)
        if unpacker is None and encoding == "deflate" and layer == 0:
            unpacker = _raw_deflate
        if _is_text(_utf8(body)):
            return body, True  # whatever it begins with, and whatever its header says
        if unpacker is None:
            return body, not body.startswith(_PACKED) and encoding not in _UNKNOWN
        plain, is_whole = _unpack(body, unpacker)
        if not is_whole:
            return plain or body, False
        body = plain
    return body, False


def _raw_deflate() -> Any:
    return zlib.decompressobj(wbits=-15)


def _unpack(body: bytes, unpacker: Callable[[], Any]) -> tuple[bytes, bool]:
    """Return what comes out, of all members one behind the other, and whether that is everything."""
    plain = bytearray()
    for _ in range(_MOST_MEMBERS):
        stream = unpacker()
        try:
            plain += stream.decompress(body, LARGEST - len(plain))
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            break
        if not stream.eof or len(plain) >= LARGEST:
            break
        body = stream.unused_data.lstrip(b"\x00")
        if not body:
            return bytes(plain), True
    return bytes(plain), False


def _texts(body: bytes) -> tuple[list[str], bool]:
    """Return a body in the encodings that it may have, and whether it is text in one of them."""
    texts = [_utf8(body)]
    if "\ufffd" in texts[0]:
        texts.append(body.decode("latin-1"))
    texts += [body.decode(name, "replace") for mark, name in _BY_MARK if body.startswith(mark)]
    if b"\x00" in body:
        texts += [body.decode(name, "replace") for name in _BY_GUESS]
    return texts, any(map(_is_text, texts))


def _is_text(text: str) -> bool:
    return _NO_TEXT.search(text) is None


def _utf8(body: bytes) -> str:
    return body.decode("utf-8-sig", "replace")


def _unescaped(text: str) -> list[str]:
    """Return a text as it is, and as those escapes mean it that JSON, forms and HTML have for letters."""
    found = [text]
    if _ESCAPED.search(text):
        found.append(_ESCAPED.sub(lambda one: chr(int(one.group(1), 16)), text))
    if "%" in text:
        found.append(unquote(text))
    if "&#" in text:
        found.append(unescape(text))
    return found
