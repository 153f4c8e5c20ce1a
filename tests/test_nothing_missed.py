"""Nothing missed: a night without webhooks at three locations, and a registrar that is killed again and again.

What handlers saw in the end is what the simulated Nexudus knows happened: each thing once, and nothing that did not.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.nexudus import actions
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import Stage, Sure
from receiver.storage.shared.gap_ledger import GapLedger, GapState
from tests.conftest import StartFrontdesk
from tests.support.locks import let_run_out
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import PATIENT, Process, free_port, run, wait_until

BUSINESSES = (1001, 1002, 1003)
TOLD = [
    name
    for name in actions.NAMES
    if RULES[name].sure in (Sure.EXACT, Sure.GOOD) and not RULES[name].by_ids  # Ids are compared by day, not by gap
]
ROUTES = """
businesses: [1001, 1002, 1003]
reconcile: {limit: 5000}
routes: [{action: "*", handler: "seen:note"}]
"""
HANDLERS = """
import json, os
from pathlib import Path
from workers import Event

def note(event: Event) -> None:
    line = {"business_id": event.business_id, "action": event.action, "Id": event.data["Id"], "origin": event.origin}
    fd = os.open(Path(__file__).with_name("seen.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (json.dumps(line | {"key": event.key}) + "\\n").encode())
    os.close(fd)
"""

Thing = tuple[int, str, int]
"""Location, action, record."""


class Night:
    """Three locations at a simulated Nexudus, and everything that is needed to hear of them."""

    def __init__(self, folder: Path, redis_url: str, client: redis.Redis, start: StartFrontdesk) -> None:
        (folder / "routes.yaml").write_text(ROUTES)
        (folder / "seen.py").write_text(HANDLERS)
        self.ledger = GapLedger(client)
        self._client = client
        self._start = start
        self._folder = folder
        port = free_port()
        self.settings = {
            "FRONTDESK_REDIS_URL": redis_url,
            "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
            "FRONTDESK_PORT": str(port),
            "FRONTDESK_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "FRONTDESK_URL_KEYS": "a-key-of-the-night",
            "FRONTDESK_WEBHOOK_SECRETS": "hush",
            "FRONTDESK_LOG_FORMAT": "json",
            "FRONTDESK_NEXUDUS_TOKEN": "night",
            **{f"FRONTDESK_NEXUDUS_{name}": "1000000" for name in ("CALLS_PER_HOUR", "WRITES_PER_DAY")},
            **{f"FRONTDESK_NEXUDUS_{name}_PER_MINUTE": "10000" for name in ("CALLS", "WRITES")},
            **PATIENT,
        }
        self.nexudus = SimulatedNexudus(self.start("simulate", "--port", "0", "--rate", "0"))
        self.settings["FRONTDESK_NEXUDUS_URL"] = self.nexudus.url
        self.start("serve").wait_for_http(f"{self.settings['FRONTDESK_PUBLIC_URL']}/readyz")
        self.start("work")

    def __str__(self) -> str:
        states = Counter((gap.state, gap.cannot if gap.state is GapState.HEALING else "") for gap in self.ledger.gaps())
        active = Counter(hook["BusinessId"] for hook in self.nexudus.hooks() if hook["Active"])
        return f"gaps {states}, active hooks {active}, seen {len(self.seen())}"

    def start(self, *arguments: str) -> Process:
        """Start a command that stays."""
        return self._start(*arguments, settings=self.settings, cwd=self._folder)

    def watch(self) -> Process:
        """Start the registrar."""
        return self.start("watch", "--every", "500ms")

    def kill(self, watch: Process) -> None:
        """Kill the registrar; its locks run out."""
        watch.kill()
        let_run_out(self._client)

    def states(self) -> set[GapState]:
        """How the gaps are now."""
        return {gap.state for gap in self.ledger.gaps()}

    def seen(self) -> list[dict[str, Any]]:
        """What the handlers wrote down."""
        file = self._folder / "seen.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def live(self, business_id: int, *, ago: timedelta = timedelta()) -> None:
        """Let one of everything that can be found out happen at a location."""
        for action in TOLD:
            self.nexudus.happen(business_id, action, at=(datetime.now(UTC) - ago).isoformat())

    def audit(self) -> dict[str, Any]:
        """The balance of the store."""
        ran = run("audit", "--full", "--json", settings=self.settings, cwd=self._folder)
        assert ran.status == 0, ran
        audit: dict[str, Any] = json.loads(ran.out)
        return audit


@pytest.fixture
def night(tmp_path: Path, redis_url: str, client: redis.Redis, frontdesk: StartFrontdesk) -> Iterator[Night]:
    """All of it, and no hook yet."""
    made = Night(tmp_path, redis_url, client, frontdesk)
    yield made
    made.nexudus.close()


def _things(told: list[dict[str, Any]]) -> Counter[Thing]:
    return Counter((one["business_id"], one["action"], one["Id"]) for one in told if one["action"] in TOLD)


def _knowable(night: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what happened to records that were deleted in the same night: Nexudus shows only that they are gone."""
    deleted = {(one["kind"], one["Id"]) for one in night if _deletes(one)}
    return [one for one in night if _deletes(one) or (one["kind"], one["Id"]) not in deleted]


def _deletes(one: dict[str, Any]) -> bool:
    return RULES[one["action"]].stage is Stage.DELETE


def _hooks_work(night: Night) -> bool:
    active = Counter(hook["BusinessId"] for hook in night.nexudus.hooks() if hook["Active"])
    return all(active[business_id] == len(actions.NAMES) for business_id in BUSINESSES)


def _nights_events(night: Night) -> int:
    return sum(one["origin"] == "backfill" for one in night.seen())


def _kill_at_steps(night: Night) -> None:
    """Kill the registrar while it repairs hooks, when it has found the gaps, and twice while it makes events."""
    for step in (
        lambda: sum(bool(hook["Active"]) for hook in night.nexudus.hooks()) > 2 * len(actions.NAMES),
        lambda: night.states() - {GapState.OPEN},
        lambda: _nights_events(night) > 0,
        lambda: _nights_events(night) > 30,
    ):
        watch = night.watch()
        wait_until(step, lambda: f"the next step; {night}")
        night.kill(watch)


def test_handlers_see_all_that_happened_each_once(night: Night) -> None:
    """Hooks are disabled at one location, gone at another, failing at the third; the API throttles.

    The registrar is killed at each step. What happens at once to a record that was just made is told by the trail.
    """
    nexudus = night.nexudus
    watch = night.watch()
    watch.wait_for(r'"done":0,.*registrar.reconciled')
    assert _hooks_work(night)
    for business_id in BUSINESSES:
        night.live(business_id, ago=timedelta(seconds=30))
    evening = nexudus.happened()
    wait_until(lambda: len(night.seen()) == sum(one["posts"] for one in evening), "the evening to be handled")
    night.kill(watch)

    for business_id, how in zip(BUSINESSES, ("disable", "delete", "errors"), strict=True):
        nexudus.begin_outage(how=how, businesses=[business_id])
        night.live(business_id)
    wait_until(lambda: nexudus.state()["deliveries"]["underway"] == 0, "what fails to fail")
    nexudus.end_outage()
    nexudus.turn(next=["throttle", *[None] * 30, "throttle_429", *[None] * 30] * 10, retry_after_s=0.1)

    happened = nexudus.happened(after=len(evening))
    told = _things(evening) + _things(_knowable(happened))
    _kill_at_steps(night)
    night.watch()
    wait_until(
        lambda: not night.states() & {GapState.OPEN, GapState.HEALING, GapState.CONFIRM},
        lambda: f"all gaps to be done; {night}",
    )
    wait_until(lambda: night.audit()["deliveries"]["in_flight"] == 0, "the last delivery")

    saw = _things(night.seen())
    assert told.keys() - saw.keys() == set(), "missed"
    assert saw.keys() - told.keys() == set(), "made up"
    assert {thing: number for thing, number in saw.items() if number > told[thing]} == {}, "made twice"
    assert {thing for thing, number in _things(evening).items() if saw[thing] < number} == set(), "heard and not seen"
    assert {one["origin"] for one in night.seen()} == {"webhook", "backfill"}
    assert max(Counter(one["key"] for one in night.seen()).values()) == 1
    # A message to a customer who was deleted meanwhile leads to no location; which customer that is, is chance.
    named = [gap for gap in night.ledger.gaps() if gap.state is GapState.CANNOT and "to no location" not in gap.cannot]
    cannot = {gap.action for gap in named}
    assert cannot == set(actions.NAMES) - set(TOLD), "nothing is left unsaid"
    assert night.audit()["unaccounted"] == 0
