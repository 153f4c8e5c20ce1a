"""The registrar killed at each of its calls: it repairs hooks, keeps the ledger and makes events, and dies at any step.

Each run of the real process gets some calls further than the one before. Before the call nothing of it is done, after
it all of it. Calls to Nexudus are held there; what was written into the store in between is there either way. Calls to
the store are held on their way, so that it dies between two writes, too.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
import redis

from receiver.storage.accounting.audit import Audit
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.shared.gap_ledger import DONE, GapLedger, GapState
from tests.conftest import StartFrontdesk
from tests.receiver.cli.registrar.registrations import ours, start_receiver
from tests.support.locks import let_run_out
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import DEADLINE_S, wait_until
from tests.support.store_gate import StoreGate

BUSINESSES = (1001, 1002)
ROUTES = """
businesses: [1001, 1002]
routes: [{name: all, action: [TeamCreated, TeamUpdated, TeamDeleted, BlogPostUpdate], handler: log}]
"""
NIGHT = ("TeamCreated", "TeamUpdated", "TeamDeleted", "TeamCreated", "BlogPostUpdate")
MOST_CALLS = 400
STRIDE = 1 if os.environ.get("TESTS_LONG") else 7
"""How many calls to Nexudus further each run gets; the kinds of outage begin at different ones."""

MOST_STORE_CALLS = 4_000
STORE_STRIDE = 5 if os.environ.get("TESTS_LONG") else 61
"""The same of calls to the store. Odd: the call that is held is by turns not done and done."""


class _Registrar:
    def __init__(
        self, settings: dict[str, str], start: StartFrontdesk, client: redis.Redis, nexudus: SimulatedNexudus
    ) -> None:
        self._settings, self._start, self._client, self._nexudus = settings, start, client, nexudus
        self._ledger = GapLedger(client)

    def killed_at(self, call: int) -> bool:
        """Run until its call of this number is held, and kill it then; False: all was done before that."""
        before = self._nexudus.state()["held"]
        fault = "hold" if call % 2 else "hold_done"
        self._nexudus.turn(next=[*[None] * (call - 1), fault])
        process = self._start("watch", "--every", "100ms", settings=self._settings)
        wait_until(lambda: self._nexudus.state()["held"] > before, f"call {call}")
        process.kill()
        let_run_out(self._client)
        return not self.is_done()

    def killed_at_store_call(self, call: int, gate: StoreGate) -> bool:
        """The same for a call to the store; also False when it is well before it makes so many."""
        gate.hold_at(call, done=not call % 2)
        process = self._start("watch", "--every", "100ms", settings=self._settings | {"FRONTDESK_REDIS_URL": gate.url})
        assert gate.held.wait(DEADLINE_S), f"call {call}"
        process.kill()
        let_run_out(self._client)
        return not self.is_done()

    def is_done(self) -> bool:
        """Whether the hooks are well, and every gap is filled."""
        gaps = self._ledger.gaps()
        active = Counter(hook["BusinessId"] for hook in ours(self._nexudus) if hook["Active"])
        return all(gap.state in DONE for gap in gaps) and all(active[one] == 4 for one in BUSINESSES)


@pytest.fixture
def registrar(
    nexudus: SimulatedNexudus,
    settings: dict[str, str],
    frontdesk: StartFrontdesk,
    client: redis.Redis,
    tmp_path: Path,
) -> _Registrar:
    """One that has registered its hooks, with a receiver."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    start_receiver(settings, frontdesk)
    watch = frontdesk("watch", "--every", "200ms", settings=settings)
    watch.wait_for(r'"done":0,.*registrar.reconciled')
    watch.kill()
    let_run_out(client)
    return _Registrar(settings, frontdesk, client, nexudus)


def _pass_a_night(nexudus: SimulatedNexudus, how: str) -> None:
    nexudus.begin_outage(how=how)
    for action in NIGHT:
        for business_id in BUSINESSES:
            nexudus.happen(business_id, action)
    wait_until(lambda: nexudus.state()["deliveries"]["underway"] == 0, "what fails to fail")
    nexudus.end_outage()


def _assert_nothing_is_missed_or_made_twice(client: redis.Redis, nexudus: SimulatedNexudus) -> None:
    found = [stored.envelope for stored in EventReader(client).newest(EventFilter())]
    got = Counter((one.business_id, one.action, one.record()["Id"]) for one in found)
    told = Counter((one["business_id"], one["action"], one["Id"]) for one in nexudus.happened())
    gone = {one["Id"] for one in nexudus.happened() if one["action"] == "TeamDeleted"}
    assert got == Counter({one: 1 for one in told if one[1] == "TeamDeleted" or one[2] not in gone})
    gaps = GapLedger(client).gaps()
    states = Counter(gap.state for gap in gaps)
    assert states == {GapState.HEALED: states.total()}
    assert all(gap.found == gap.made + gap.known + gap.gone for gap in gaps)
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())


@pytest.mark.parametrize(("how", "first"), [("disable", 1), ("delete", 4), ("errors", 6)])
def test_killed_at_any_call_nothing_is_missed_and_nothing_is_made_twice(
    how: str,
    first: int,
    registrar: _Registrar,
    nexudus: SimulatedNexudus,
    settings: dict[str, str],
    frontdesk: StartFrontdesk,
    client: redis.Redis,
) -> None:
    """What is kept in the end is what happened, each once, and every gap is healed."""
    _pass_a_night(nexudus, how)

    call = first
    while registrar.killed_at(call):
        call += STRIDE
        assert call < MOST_CALLS, "it never ends"
    nexudus.turn(next=[])
    frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(registrar.is_done, "all gaps to be done")

    assert call > first + STRIDE, "it was killed at several calls"
    _assert_nothing_is_missed_or_made_twice(client, nexudus)


def test_killed_at_any_call_to_the_store_nothing_is_missed_and_nothing_is_made_twice(
    registrar: _Registrar,
    nexudus: SimulatedNexudus,
    settings: dict[str, str],
    frontdesk: StartFrontdesk,
    client: redis.Redis,
    redis_url: str,
) -> None:
    """Between two writes, without a call to Nexudus in between, too."""
    _pass_a_night(nexudus, "disable")

    call = STORE_STRIDE
    with StoreGate(redis_url.removeprefix("unix://").partition("?")[0]) as gate:
        while registrar.killed_at_store_call(call, gate):
            call += STORE_STRIDE
            assert call < MOST_STORE_CALLS, "it never ends"
    frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(registrar.is_done, "all gaps to be done")

    assert call > 2 * STORE_STRIDE, "it was killed at several calls"
    _assert_nothing_is_missed_or_made_twice(client, nexudus)
