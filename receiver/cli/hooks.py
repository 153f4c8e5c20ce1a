"""`frontdesk hooks`: every registration, what Nexudus says of it and what we last received on it."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.text import Text

from receiver.cli import output
from receiver.cli.registrar import Registrar, opened
from receiver.errors import NexudusError, RoutesError, StorageUnavailable
from receiver.nexudus.registration import Registration
from receiver.registrar import health, plan
from receiver.registrar.health import Condition, Row
from receiver.registrar.plan import Pair, Plan
from receiver.storage.registrations import RegistrarMemory

_COLOURS = {
    Condition.HEALTHY: "green",
    Condition.FAILING: "yellow",
    Condition.DISABLED: "red",
    Condition.MISSING: "red",
    Condition.DRIFTED: "yellow",
    Condition.DUPLICATE: "yellow",
    Condition.UNROUTED: "yellow",
}


def hooks(*, everyone: bool = False, json: bool = False) -> None:
    """List our webhooks at Nexudus and their health; those that are missing too.

    Parameters
    ----------
    everyone
        Also list webhooks that are not ours.
    json
        Print one JSON object for each.
    """
    with opened("hooks", needs=()) as registrar:
        existing = registrar.webhooks.list()
        made = _plan(registrar, existing)
        rows = health.rows(existing, registrar.ownership, made, _received(registrar))
        if everyone or not (registrar.settings.url_keys or registrar.settings.public_url):
            rows += health.foreign_rows(existing, registrar.ownership)
    if json:
        for row in rows:
            output.json_line(row.as_json())
    else:
        _table(rows, len(registrar.settings.url_keys))


def _plan(registrar: Registrar, existing: tuple[Registration, ...]) -> Plan | None:
    """Return the plan when the settings and routes tell what is wanted."""
    if not (registrar.settings.url_keys and registrar.settings.public_url):
        output.warn("FRONTDESK_PUBLIC_URL and FRONTDESK_URL_KEYS are not both set: what is wanted is not known")
        return None
    try:
        wanted = registrar.survey.wanted(registrar.routes())
    except (RoutesError, NexudusError) as error:
        output.warn(f"what is wanted is not known: {error}")
        return None
    return plan.make(wanted, existing, registrar.ownership)


def _received(registrar: Registrar) -> Mapping[Pair, int]:
    if registrar.store is not None:
        with contextlib.suppress(StorageUnavailable):
            return RegistrarMemory(registrar.store).last_received()
    return {}


def _table(rows: tuple[Row, ...], keys: int) -> None:
    headings = ("business", "action", "hook", "state", "errors", "last error", "fired", "received", "key")
    output.table(headings, (_cells(row, keys) for row in rows))
    bad = sum(row.condition in _COLOURS and row.condition is not Condition.HEALTHY for row in rows)
    output.say(f"{len(rows)} webhooks, {bad} that need attention")


def _cells(row: Row, keys: int) -> tuple[object, ...]:
    found = row.registration
    received = datetime.fromtimestamp(row.received_ms / 1_000, UTC) if row.received_ms else None
    return (
        row.business_id,
        row.action,
        found.id if found else "",
        Text(row.condition.value, style=_COLOURS.get(row.condition, "")),
        (found.error_count or "") if found else "",
        (found.last_error or "") if found else "",
        (found.last_trigger or "never") if found else "",
        received.strftime("%Y-%m-%d %H:%M:%S") if received else "never",
        _key(row.url_key, keys),
    )


def _key(index: int | None, keys: int) -> str:
    """Return which URL key made the hook: the current one, or which of the old ones."""
    if index is None:
        return "none" if keys else ""
    return "current" if index == 0 else f"old ({index + 1} of {keys})"
