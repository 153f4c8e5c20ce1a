"""Cleans the text of a setting: strips what surrounds the value by accident, and refuses what nobody can have meant."""

import ipaddress
import re
import unicodedata
from typing import Final

from receiver.core.errors import SettingsError

_QUOTED: Final = re.compile(r"""(?:[\w.-]*\s*=\s*)?(["']).*\1""", re.DOTALL)
"""A value in quotation marks, optionally after `NAME =`, where the name is that of a token's owner or a location."""

_COMMENT: Final = re.compile(r"#(?:\s.*)?")
"""A line that looks like a comment. A secret may begin with `#`, but hardly with `#` and a blank."""

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Unicode categories: control characters, format characters such as a byte order mark, separators of lines."""


def clean(name: str, value: str, *, is_list: bool) -> str:
    """Return *value* without the byte order mark, blanks and line breaks around it.

    *is_list*: it may hold several values, separated by commas or one on each line. Raises SettingsError, which names
    the setting by *name*, for quotation marks, comments and invisible characters in the value. The error never quotes
    the value, which may be a secret.
    """
    cleaned = value.strip().lstrip("\ufeff").strip()
    lines = [line.strip() for line in re.split(r"[\r\n]+", cleaned)]
    for line in lines:
        if _COMMENT.fullmatch(line) or (len(lines) > 1 and line.startswith("#")):
            raise SettingsError(f"{name}: a line of it begins with # like a comment, but all of it counts; take it out")
    if len(lines) > 1 and not is_list:
        raise SettingsError(f"{name}: holds {len(lines)} lines, but is a single value; write it on one line")
    hidden = next((one for one in "".join(lines) if unicodedata.category(one) in _INVISIBLE), None)
    if hidden is not None:
        raise SettingsError(f"{name}: holds the invisible character U+{ord(hidden):04X}; retype the value without it")
    parts = [cleaned, *(part.strip() for line in lines for part in line.split(","))] if is_list else [cleaned]
    if any(_QUOTED.fullmatch(part) for part in parts):
        raise SettingsError(f"{name}: has quotation marks around a value, which would be part of it; take them away")
    return cleaned


def whole_network(value: object) -> object:
    """Return *value*. Raises ValueError for an address with a mask, which may mean itself or its network."""
    try:
        meant = ipaddress.ip_interface(value) if isinstance(value, str) else None
    except ValueError:
        return value
    if meant is not None and meant.ip != meant.network.network_address:
        raise ValueError(f"{value} is one address in a network; write {meant.network} for all of it, or {meant.ip}")
    return value
