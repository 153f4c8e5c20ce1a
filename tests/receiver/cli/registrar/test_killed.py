"""The registrar killed at each of its calls: it repairs hooks, keeps the ledger and makes events, and dies at any step.

Each run of the real process gets one call further than the one before. Before the call nothing of it is done, after it
all of it; what it wrote into the store in between is there either way.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
import redis

from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.shared.gap_ledger import DONE, GapLedger, GapState
from tests.conftest import StartFrontdesk
from tests.receiver.cli.registrar.registrations import ours, start_receiver
from tests.support.locks import let_run_out
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import wait_until

BUSINESSES = (1001, 1002)
ROUTES = """
businesses: [1001, 1002]
routes: [{name: all, action: [TeamCreated, TeamUpdated, TeamDeleted, BlogPostUpdate], handler: log}]
"""
NIGHT = ("TeamCreated", "TeamUpdated", "TeamDeleted", "TeamCreated", "BlogPostUpdate")
MOST_CALLS = 400
STRIDE = 1 if os.environ.get("FRONTDESK_TEST_LONG") else 7
"""How many calls further each run gets; the kinds of outage begin at different ones."""


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

    def is_done(self) -> bool:
        """Whether the hooks are well, and every gap is filled."""
        gaps = self._ledger.gaps()
        active = Counter(hook["BusinessId"] for hook in ours(self._nexudus) if hook["Active"])
        return all(gap.state in DONE for gap in gaps) and all(active[one] == 4 for one in BUSINESSES)


@pytest.mark.parametrize(("how", "first"), [("disable", 1), ("delete", 4), ("errors", 6)])
def test_killed_at_any_call_nothing_is_missed_and_nothing_is_made_twice(
    how: str,
    first: int,
    nexudus: SimulatedNexudus,
    settings: dict[str, str],
    frontdesk: StartFrontdesk,
    client: redis.Redis,
    tmp_path: Path,
) -> None:
    """What is kept in the end is what happened, each once, and every gap is healed."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    start_receiver(settings, frontdesk)
    registrar = _Registrar(settings, frontdesk, client, nexudus)
    watch = frontdesk("watch", "--every", "200ms", settings=settings)
    watch.wait_for(r'"done":0,.*registrar.reconciled')
    watch.kill()
    let_run_out(client)
    nexudus.begin_outage(how=how)
    for action in NIGHT:
        for business_id in BUSINESSES:
            nexudus.happen(business_id, action)
    wait_until(lambda: nexudus.state()["deliveries"]["underway"] == 0, "what fails to fail")
    nexudus.end_outage()

    call = first
    while registrar.killed_at(call):
        call += STRIDE
        assert call < MOST_CALLS, "it never ends"
    nexudus.turn(next=[])
    frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(registrar.is_done, "all gaps to be done")

    found = [stored.envelope for stored in EventReader(client).newest(EventFilter())]
    got = Counter((one.business_id, one.action, one.record()["Id"]) for one in found)
    told = Counter((one["business_id"], one["action"], one["Id"]) for one in nexudus.happened())
    gone = {one["Id"] for one in nexudus.happened() if one["action"] == "TeamDeleted"}
    assert got == Counter({one: 1 for one in told if one[1] == "TeamDeleted" or one[2] not in gone})
    assert call > first + STRIDE, "it was killed at several calls"
    states = Counter(gap.state for gap in GapLedger(client).gaps())
    assert states == {GapState.HEALED: states.total()}
    assert all(gap.found == gap.made + gap.known + gap.gone for gap in GapLedger(client).gaps())
