"""`frontdesk gaps`: what the ledger holds, for people and for programs."""

from dataclasses import replace

import orjson
import redis

from receiver.core import timestamps
from receiver.storage.redis import keys
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger, GapState, GapWhy, opened
from tests.support.processes import run

DAY = 86_400_000
HEALED = replace(
    opened((1001, "BookingCreate"), 20_000 * DAY, GapWhy.DISABLED),
    to_ms=20_001 * DAY,
    state=GapState.HEALED,
    found=3,
    made=2,
    known=1,
)
OPEN = opened((1002, "CoworkerCreate"), 20_002 * DAY, GapWhy.UNKNOWN)


def test_gaps_are_listed_one_object_a_line(client: redis.Redis, redis_url: str) -> None:
    """With the keys of the interface, the name of the location, and times that a program can read."""
    GapLedger(client).write([OPEN, HEALED])
    client.hset(keys.GAPS, "damaged", b"{")
    BusinessNames(client).remember({1001: "London"})
    settings = {"FRONTDESK_REDIS_URL": redis_url}

    rows = [orjson.loads(line) for line in run("gaps", "--json", settings=settings).out.splitlines()]
    some = run("gaps", "--json", "--state", "open", "--business", "1002", settings=settings).out.splitlines()

    assert rows[0] == {
        "id": HEALED.id,
        "business_id": 1001,
        "business": "London",
        "action": "BookingCreate",
        "from": timestamps.show(20_000 * DAY),
        "to": timestamps.show(20_001 * DAY),
        "why": "disabled",
        "state": "healed",
        "found": 3,
        "made": 2,
        "known": 1,
        "gone": 0,
        "cannot": None,
    }
    assert [(row["state"], row["to"], row["business"]) for row in rows[1:]] == [("open", None, None)]
    assert [orjson.loads(line)["id"] for line in some] == [OPEN.id]
    shown = run("gaps", settings=settings).out
    assert "London" in shown
    assert shown.splitlines()[-2:] == [
        "2 gaps, 1 not healed",
        "open: the webhook is not healthy yet; `frontdesk hooks` says why",
    ]


def test_a_state_that_is_none_is_refused(redis_url: str) -> None:
    """One sentence."""
    result = run("gaps", "--state", "opne", settings={"FRONTDESK_REDIS_URL": redis_url})

    assert result.status == 1
    assert result.err.strip() == "frontdesk: --state: 'opne' is not a state; did you mean 'open'?"
