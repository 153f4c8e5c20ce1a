"""`frontdesk hooks`: every registration, what Nexudus says of it and what we last received on it."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.text import Text

from receiver.cli.registrar.factory import RegistrarTools, opened
from receiver.cli.ui import output
from receiver.core.errors import NexudusError, RoutesError, StorageUnavailable
from receiver.nexudus.api.registration import Registration
from receiver.registrar import hook_health
from receiver.registrar.change import HookCondition
from receiver.registrar.hook_health import HookRow
from receiver.registrar.plan import Pair, Plan
from receiver.storage.shared.registrar_state import RegistrarState

_COLOURS = {
    HookCondition.HEALTHY: "green",
    HookCondition.FAILING: "yellow",
    HookCondition.DISABLED: "red",
    HookCondition.MISSING: "red",
    HookCondition.DRIFTED: "yellow",
    HookCondition.DUPLICATE: "yellow",
    HookCondition.UNROUTED: "yellow",
}


def hooks(*, everyone: bool = False, json: bool = False) -> None:
    """List our webhooks at Nexudus and their health, also the missing ones.

    Parameters
    ----------
    everyone
        Also list webhooks that are not ours.
    json
        Print one JSON object for each.
    """
    with opened("hooks", needs=()) as registrar:
        existing = registrar.webhooks.list()
        made = planned(registrar, existing)
        rows = hook_health.rows(existing, registrar.ownership, made, received(registrar))
        if everyone or not (registrar.settings.url_keys or registrar.settings.public_url):
            rows += hook_health.foreign_rows(existing, registrar.ownership)
        names = registrar.names()
    if json:
        for row in rows:
            output.json_line(row.as_json(names))
    else:
        _table(rows, len(registrar.settings.url_keys), names)


def planned(registrar: RegistrarTools, existing: tuple[Registration, ...]) -> Plan | None:
    """Return the plan when the settings and routes tell what is wanted."""
    if not (registrar.settings.url_keys and registrar.settings.public_url):
        output.warn("FRONTDESK_PUBLIC_URL and FRONTDESK_URL_KEYS are not both set, so missing webhooks are not listed")
        return None
    try:
        wanted = registrar.planner.wanted(registrar.routes())
    except (RoutesError, NexudusError) as error:
        output.warn(f"missing webhooks are not listed: {error}")
        return None
    return registrar.planner.plan(wanted, existing=existing)


def received(registrar: RegistrarTools) -> Mapping[Pair, int]:
    if registrar.store is not None:
        with contextlib.suppress(StorageUnavailable):
            return RegistrarState(registrar.store).last_received()
    return {}


def _table(rows: tuple[HookRow, ...], keys: int, names: Mapping[int, str]) -> None:
    now = datetime.now(UTC)
    columns = [
        ("business", [row.business_id for row in rows]),
        ("name", [names.get(row.business_id, "") for row in rows]),
        ("action", [row.action for row in rows]),
        ("hook", [row.registration.id if row.registration else "" for row in rows]),
        ("state", [Text(row.condition.value, style=_COLOURS.get(row.condition, "")) for row in rows]),
        ("fired", [_fired(row, now) for row in rows]),
        ("received", [_received_ago(row, now) for row in rows]),
    ]
    # What is the same and of no interest for all of them takes no room from the rest.
    if any(row.url_key != 0 for row in rows if row.registration):
        columns.append(("key", [_key(row, keys) for row in rows]))
    if any(row.registration.error_count for row in rows if row.registration):
        columns.append(("errors", [row.registration.error_count if row.registration else "" for row in rows]))
        columns.append(("last error", [_last_error(row) for row in rows]))
    headings = [heading for heading, _ in columns]
    output.table(headings, zip(*(cells for _, cells in columns), strict=True))
    bad = sum(row.condition in _COLOURS and row.condition is not HookCondition.HEALTHY for row in rows)
    output.say(f"{len(rows)} webhooks, {bad} need attention")


def _fired(row: HookRow, now: datetime) -> str:
    """Return how long ago Nexudus last fired the hook with success, by its own account."""
    trigger = row.registration.last_trigger if row.registration else None
    if not trigger:
        return "never"
    try:
        at = datetime.fromisoformat(trigger)
    except ValueError:
        return trigger
    return _ago(at if at.tzinfo else at.replace(tzinfo=UTC), now)


def _received_ago(row: HookRow, now: datetime) -> str:
    return _ago(datetime.fromtimestamp(row.received_ms / 1_000, UTC), now) if row.received_ms else "never"


def _ago(at: datetime, now: datetime) -> str:
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"


def _key(row: HookRow, keys: int) -> str:
    """Return which URL key made the hook: the current one, or which of the old ones."""
    if row.registration is None or row.url_key is None:
        return "" if row.registration is None or not keys else "none"
    return "current" if row.url_key == 0 else f"old ({row.url_key + 1} of {keys})"


def _last_error(row: HookRow) -> str:
    found = row.registration
    return (found.last_error or "") if found and found.error_count else ""
