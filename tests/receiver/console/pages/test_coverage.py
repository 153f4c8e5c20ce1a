"""The page Coverage: each cell says what is known, and explains itself."""

from dataclasses import replace

from receiver.storage.redis import connection
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import (
    CoverageChange,
    GapLedger,
    GapState,
    GapWhy,
    PairHealth,
    opened,
)
from tests.receiver.console.house import ADMIN, House

DAY = 86_400_000
NOW = 20_000 * DAY


def test_each_cell_says_what_is_known(house: House) -> None:
    """Solid, open, healed; the names of locations stand beside their numbers."""
    pairs = {(1001, action): PairHealth(NOW, NOW) for action in ("BookingCreate", "TeamCreated", "TariffDelete")}
    gap = opened((1001, "TeamCreated"), NOW, GapWhy.DISABLED)
    lost = replace(opened((1001, "TariffDelete"), NOW, GapWhy.MISSING), to_ms=NOW + DAY, cannot="nothing tells")
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        ledger = GapLedger(client)
        change = CoverageChange(NOW, False, pairs, (), [gap, replace(lost, state=GapState.CANNOT)])
        ledger.apply(change)
        BusinessNames(client).remember({1001: "London <b>"})

    told = house.facts("/coverage")
    page = house.ask("GET", "/coverage", cookie=house.sign_in(ADMIN)).text

    (place,) = told["businesses"]
    assert (place["business_id"], place["business"]) == (1001, "London <b>")
    assert {action: cell["state"] for action, cell in place["actions"].items()} == {
        "BookingCreate": "solid",
        "TeamCreated": "open",
        "TariffDelete": "cannot",
    }
    why = {action: cell["why"] for action, cell in place["actions"].items()}
    assert why["TariffDelete"].startswith("cannot be known: the webhook was missing, UTC ")
    assert why["TariffDelete"].endswith("0 found, 0 made, 0 known, 0 gone; nothing tells")
    assert why["TeamCreated"].endswith(" to now")
    assert why["BookingCreate"].endswith(" UTC")
    assert {one["state"] for one in told["gaps"]} == {"open", "cannot"}
    assert "gap open" in page
    assert "<td>the webhook was missing</td>" in page
    assert "London &lt;b&gt;" in page
