"""Which locations' events are taken without a signature, because secrets and routes do not fit each other."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from receiver.core.setting_values import WebhookSecret
from receiver.process import logs
from receiver.routing.table import RoutingTable
from receiver.routing.table_reload import CurrentTable

_LOOK_EVERY_S: Final = 5.0

_NOTHING_SIGNED: Final = (
    "FRONTDESK_WEBHOOK_SECRETS is not set, or its file is empty: signatures are not checked, and only the token in "
    "each hook's URL keeps others out; set the shared secret of your Nexudus account"
)


def warnings(secrets: Sequence[WebhookSecret], table: RoutingTable | None) -> Iterator[str]:
    """Yield a sentence about locations without a secret, and one about secrets of locations that no route wants.

    *table* None: the routes are not known, and nothing is said about locations.
    """
    if not secrets:
        yield _NOTHING_SIGNED
    elif table is not None:
        yield from _misfits(secrets, table)


async def watch(secrets: Sequence[WebhookSecret], current: CurrentTable) -> None:
    """Log the warnings at once, and again whenever other routes are in force, until cancelled."""
    told: set[str] = set()
    seen: RoutingTable | None = None
    first = True
    while True:
        table = current.table
        if first or table is not seen:
            now = set(warnings(secrets, table))
            for sentence in sorted(now - told):
                logs.get().warning("signatures.unchecked", problem=sentence)
            told, seen, first = now, table, False
        await asyncio.sleep(_LOOK_EVERY_S)


def _misfits(secrets: Sequence[WebhookSecret], table: RoutingTable) -> Iterator[str]:
    own = {each.business_id for each in secrets if each.business_id is not None}
    signed_everywhere = any(each.business_id is None for each in secrets)
    wanted = _wanted(table)
    if wanted is None:
        if not signed_everywhere:
            yield (
                f"FRONTDESK_WEBHOOK_SECRETS holds secrets for {_named(own)} only, while routes want events of all "
                "locations: those of every other one are taken unsigned; add SECRET for all of them or LOCATION=SECRET "
                f"for each, or name your locations in `businesses` of {table.file}{_whole(own)}"
            )
        return
    if wanted - own and not signed_everywhere:
        yield (
            f"FRONTDESK_WEBHOOK_SECRETS holds no secret for {_named(wanted - own)}, which {table.file} wants: events "
            "from there are taken unsigned; add LOCATION=SECRET for each"
        )
    if own - wanted:
        yield (
            f"FRONTDESK_WEBHOOK_SECRETS holds a secret for {_named(own - wanted)}, of which no route of {table.file} "
            f"wants events; correct the number{_whole(own - wanted)}"
        )


def _wanted(table: RoutingTable) -> set[int] | None:
    """Return the locations that enabled routes want events of; None: all that there are."""
    found = set[int]()
    for route in table.routes:
        if not route.enabled:
            continue
        wanted = route.businesses if route.businesses is not None else table.businesses
        if wanted == "all":
            return None
        found.update(wanted)
    return found


def _named(businesses: Iterable[int]) -> str:
    named = sorted(businesses)
    return f"business{'es' * (len(named) > 1)} {', '.join(map(str, named))}"


def _whole(businesses: Iterable[int]) -> str:
    """Return the remedy for a secret that itself begins with digits and the sign =, which name a business."""
    first = min(businesses)
    return f" (if `{first}=` begins the secret itself, write LOCATION={first}=... with its location before it)"
