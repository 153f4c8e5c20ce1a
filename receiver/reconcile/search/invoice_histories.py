"""Histories of invoices: one search for all of them or, where Nexudus asks for the invoice, one for each invoice."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from receiver.core.errors import NexudusError
from receiver.reconcile.rules.rule import Ask
from receiver.reconcile.search.listing import Lister, Listing, TooMany, Window

MOST_INVOICES: Final = 500
"""Searches of one back-fill, one for each invoice."""

_KIND: Final = "CoworkerInvoiceHistory"
_ZONES_MS: Final = 14 * 3_600_000
"""The time of the last attempt is that of the location's clock, which is so far from UTC at most."""


def rows(lister: Lister, ask: Ask, window: Window, check: Callable[[], None]) -> Listing:
    """Return the rows of any search. *check* raises when it must not go on. Raises as `Lister.rows` does, and TooMany.

    A search of histories that is answered 400 lacks its invoice. The invoices are those with a payment attempt in the
    window; what else a history tells is not looked for here.
    """
    try:
        return lister.rows(ask, window)
    except NexudusError as error:
        if ask.kind != _KIND or error.status != 400:
            raise
    wide = Window(window.from_ms - _ZONES_MS, window.to_ms + _ZONES_MS)
    attempted = lister.rows(Ask("CoworkerInvoice", "LastPaymentAttemptLocal"), wide).rows
    if len(attempted) > MOST_INVOICES:
        raise TooMany(
            f"the histories of {len(attempted)} invoices are asked for one by one, more than {MOST_INVOICES}; "
            "`frontdesk backfill` with --since and --until for a shorter time asks for fewer"
        )
    whole = Listing()
    for number in attempted:
        check()
        one = replace(ask, filters=(*ask.filters, (f"{_KIND}_CoworkerInvoice", str(number))))
        found = lister.rows(one, window)
        whole.rows |= found.rows
        whole.ahead += found.ahead
    return whole
