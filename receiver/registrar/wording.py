"""A change in words. Tokens in URLs are secrets and are cut short."""

import re
from collections.abc import Mapping

from receiver.core.sanitize import plain
from receiver.registrar.change import HookChange, HookState, Op
from receiver.storage.shared.business_names import place

_TOKEN = re.compile(r"(/hooks/[^/]+/[^/]+/[^/]{1,4})[^/]*$")


def subject(change: HookChange, names: Mapping[int, str]) -> str:
    """Return which registration a change is about. *names*: those of the locations."""
    number = f" #{change.hook_id}" if change.hook_id is not None else ""
    return plain(f"{place(change.business_id, names)} {change.action}{number}")


def words(change: HookChange) -> str:
    """Return what a change does."""
    if change.op is Op.CREATE and change.after is not None:
        return f"create {shown_url(change.after.url)}"
    if change.op is Op.UPDATE and change.before is not None and change.after is not None:
        return "; ".join(_differences(change.before, change.after))
    return f"{change.op.value}, {change.why}"


def _differences(before: HookState, after: HookState) -> list[str]:
    pairs = [
        ("url", shown_url(before.url), shown_url(after.url)),
        ("name", plain(before.name), after.name),
        ("action", before.action, after.action),
        ("active", str(before.active).lower(), str(after.active).lower()),
    ]
    told = [f"{name} {old or 'empty'} -> {new}" for name, old, new in pairs if old != new]
    if before.url != after.url and pairs[0][1] == pairs[0][2]:
        told.insert(0, f"url {shown_url(after.url)} with another token")
    return told


def shown_url(url: str) -> str:
    """Return *url* with its token cut short."""
    return plain(_TOKEN.sub(r"\1...", url))
