"""Deletes that only a comparison of Ids can tell: daily, with a floor, each confirmed by its own answer."""

import time

import pytest

from receiver.nexudus.api.entities import Entities
from receiver.reconcile.automatic_backfill import AutomaticBackfill
from receiver.reconcile.search.id_sets import EVERY_MS
from receiver.storage.shared.gap_ledger import CoverageChange, PairHealth
from tests.receiver.reconcile.outage import Outage, table

DAILY = table(head="reconcile: {deletes: daily}")


@pytest.fixture
def tariffs(outage: Outage) -> Outage:
    """Forty tariffs whose Ids were listed once."""
    outage.table = DAILY
    for number in range(1, 41):
        outage.api.put("Tariff", number, outage.begin - 1_000)
    outage.fill(outage.gaps("TariffDelete"))
    return outage


def test_what_is_missing_was_deleted(tariffs: Outage) -> None:
    """Once; the first listing is named as the beginning."""
    first = tariffs.one()
    del tariffs.api.records["Tariff"][7]

    tariffs.fill(tariffs.gaps("TariffDelete"))
    healed = tariffs.one().state
    tariffs.fill(tariffs.gaps("TariffDelete"))

    assert (first.state, first.cannot) == (
        "cannot",
        "the Ids of Tariff are remembered since now; deletes before cannot be known",
    )
    assert (tariffs.made(), healed) == ([(1001, "TariffDelete", 7)], "healed")


def test_what_a_hook_brought_is_not_made(tariffs: Outage) -> None:
    """A delete happens once."""
    del tariffs.api.records["Tariff"][7]
    tariffs.hook("TariffDelete", {"Id": 7})

    tariffs.fill(tariffs.gaps("TariffDelete"))

    assert tariffs.made() == []


def test_a_listing_that_shrank_much_is_refused(tariffs: Outage) -> None:
    """Under 95 % of the last one; nothing is made, and the last one stays."""
    gone = {number: tariffs.api.records["Tariff"].pop(number) for number in range(1, 11)}
    tariffs.fill(tariffs.gaps("TariffDelete"))
    reason = tariffs.one().cannot
    tariffs.api.records["Tariff"] |= gone
    del tariffs.api.records["Tariff"][7]
    tariffs.fill(tariffs.gaps("TariffDelete"))

    assert reason.startswith("10 of 40 records of Tariff are missing, too many to be believed")
    assert tariffs.made() == [(1001, "TariffDelete", 7)]


def test_a_listing_that_is_not_whole_is_refused(tariffs: Outage) -> None:
    """Nexudus says that there are more."""
    del tariffs.api.records["Tariff"][7]
    tariffs.api.total_is["Tariff"] = 41

    tariffs.fill(tariffs.gaps("TariffDelete"))

    assert tariffs.made() == []
    assert tariffs.one().cannot.startswith("Nexudus says that there are 41 records of Tariff, and shows 39")


def test_the_registrar_compares_once_a_day(outage: Outage) -> None:
    """Without any gap, for the hooks that it looks after."""
    outage.ledger.apply(CoverageChange(1, True, {(1001, "TariffDelete"): PairHealth(1, 1)}, (), ()))
    only = table("{action: TariffDelete, handler: log}", head="reconcile: {deletes: daily}")
    now = [time.time()]
    healer = AutomaticBackfill(outage.store, lambda: Entities(outage.http), lambda: only, clock=lambda: now[0])
    outage.api.put("Tariff", 1, 0)
    outage.api.put("Tariff", 2, 0)

    healer.heal()
    del outage.api.records["Tariff"][2]
    calls = len(outage.api.asked)
    healer.heal()
    asked_again = len(outage.api.asked) - calls
    now[0] += EVERY_MS / 1_000
    healer.heal()

    assert asked_again == 0
    assert outage.made() == [(1001, "TariffDelete", 2)]
    assert outage.ledger.gaps() == ()
