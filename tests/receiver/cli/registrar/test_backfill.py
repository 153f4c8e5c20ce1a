"""`frontdesk backfill` and the registrar's own back-fill: real processes, a real Redis, a Nexudus with records."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import redis

from receiver.storage.shared.gap_ledger import GapLedger, GapState
from tests.receiver.reconcile.outage import HOUR, MINUTE, gap
from tests.support.entity_api import EntityApi
from tests.support.processes import Ran, run

ROUTES = """
businesses: [1001]
routes:
  - {name: teams, action: [TeamCreated, TeamUpdated], handler: log}
  - {name: warehouse, action: TeamCreated, handler: log}
"""


@pytest.fixture
def api() -> Iterator[EntityApi]:
    """Sixty teams of the last hours."""
    api = EntityApi()
    now = int(time.time()) * 1_000
    for number in range(1, 61):
        api.put("Team", number, now - 3 * HOUR + number * 1_000)
    api.put("Business", 1001, now - 900 * HOUR, Name="London")
    yield api
    api.close()


@pytest.fixture
def settings(api: EntityApi, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Of a deployment that signs in with a token."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_NEXUDUS_URL": api.url,
        "FRONTDESK_NEXUDUS_TOKEN": "token",
        "FRONTDESK_NEXUDUS_CALLS_PER_MINUTE": "6000",
    }


def _events(settings: dict[str, str], *options: str) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in run("events", "--json", *options, settings=settings).out.splitlines()]


def _ok(ran: Ran) -> str:
    assert ran.status == 0, ran.err
    return ran.out


def test_a_first_load_is_counted_and_then_made(settings: dict[str, str]) -> None:
    """A dry run costs calls and makes nothing; without a terminal it wants --yes; done twice, nothing is made twice."""
    load = ("backfill", "--since", "1d", "--action", "TeamCreated", "--route", "warehouse")

    dry = _ok(run(*load, "--dry-run", settings=settings))
    refused = run(*load, settings=settings)
    before = _events(settings)
    first = _ok(run(*load, "--yes", settings=settings))
    second = _ok(run(*load, "--yes", settings=settings))

    assert "60 events to make. It cost" in dry
    assert "takes about 2 more to make them" in dry
    assert (refused.status, "--yes" in refused.err, before) == (1, True, [])
    assert "60 events made" in first
    assert "0 events made" in second
    events = _events(settings)
    assert len(events) == 60
    assert {event["origin"] for event in events} == {"backfill"}
    assert len(_events(settings, "--route", "warehouse")) == 60
    assert _events(settings, "--route", "teams") == []
    audit = orjson.loads(run("audit", "--full", "--json", settings=settings).out)
    assert (audit["events"]["accepted"], audit["unaccounted"]) == (60, 0)


def test_programs_get_one_object(settings: dict[str, str]) -> None:
    """Of a dry run, of what was made, and when there is nothing to do: the same keys."""
    load = ("backfill", "--since", "1d", "--action", "TeamCreated", "--json")
    counts = {"found": 60, "made": 60, "known": 0, "gone": 0}

    dry = orjson.loads(_ok(run(*load, "--dry-run", settings=settings)))
    made = orjson.loads(_ok(run(*load, "--yes", settings=settings)))
    nothing = orjson.loads(_ok(run("backfill", "--json", settings=settings)))

    assert dry["actions"] == made["actions"] == [{"action": "TeamCreated", **counts, "cannot": None}]
    assert [one["dry_run"] for one in (dry, made, nothing)] == [True, False, False]
    assert [{name: one[name] for name in counts} for one in (dry, made)] == [counts, counts]
    assert dry["calls_left"] > 0
    assert (nothing["made"], nothing["actions"]) == (0, [])
    assert dry.keys() == made.keys() == nothing.keys()


def test_gaps_that_wait_are_filled_on_demand(settings: dict[str, str], client: redis.Redis) -> None:
    """Those of the ledger; what is named restricts it; who did it is in the audit log."""
    now = int(time.time()) * 1_000
    waiting = [gap(action, 1001, now - 4 * HOUR, now - MINUTE) for action in ("TeamCreated", "TeamUpdated")]
    GapLedger(client).write(waiting)

    nothing = _ok(run("backfill", "--business", "7", "--yes", settings=settings))
    other = _ok(run("backfill", "--gap", "1001-TeamDeleted-1", "--yes", settings=settings))
    made = _ok(run("backfill", "--gap", waiting[0].id, "--action", "TeamCreated", "--yes", settings=settings))

    assert other.startswith("No gap is due")
    assert nothing.startswith("No gap is due")
    assert "60 events made" in made
    states = {one.action: one.state for one in GapLedger(client).gaps()}
    assert states == {"TeamCreated": GapState.HEALED, "TeamUpdated": GapState.HEALING}
    acts = [orjson.loads(line) for line in run("acts", "--json", settings=settings).out.splitlines()]
    assert {act["what"] for act in acts} == {"backfill", "gap.healed"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--action", "TeamCreate"), "--action: 'TeamCreate' is not a known action; did you mean 'TeamCreated'?"),
        (("--route", "werehouse"), "has no route 'werehouse'; did you mean 'warehouse'?"),
        (("--include", "strong"), "--include: 'strong' is not known; write weak"),
        (("--until", "1d"), "--until: needs --since"),
        (("--since", "2h", "--gap", "1001-TeamCreated-1"), "--gap: names gaps of the ledger"),
        (("--since", "2h", "--until", "3h"), "--since: is not before --until"),
    ],
)
def test_a_wrong_call_is_one_sentence(settings: dict[str, str], options: tuple[str, ...], sentence: str) -> None:
    """And nothing is asked for."""
    ran = run("backfill", *options, "--yes", settings=settings)

    assert ran.status == 1
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1
