"""A night without webhooks at three locations: what is kept in the end is what Nexudus knows happened, each once."""

from collections import Counter
from pathlib import Path

import orjson
import redis

from receiver.nexudus import actions
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import Stage, Sure
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from tests.conftest import StartFrontdesk
from tests.receiver.cli.registrar.registrations import start_receiver
from tests.support.locks import let_run_out
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import run, wait_until

BUSINESSES = (1001, 1002, 1003)
MADE = [
    name
    for name, rule in RULES.items()
    if rule.sure in (Sure.EXACT, Sure.GOOD) and not rule.by_ids and name in actions.NAMES
]
ROUTES = """
businesses: [1001, 1002, 1003]
reconcile: {limit: 5000}
routes: [{name: all, action: "*", handler: log}]
"""


def gaps(settings: dict[str, str]) -> list[dict[str, object]]:
    """Return the gap ledger."""
    return [orjson.loads(line) for line in run("gaps", "--json", settings=settings).out.splitlines()]


def test_a_night_is_made_good(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk, client: redis.Redis, tmp_path: Path
) -> None:
    """Every action that Nexudus can tell of happens at each location while all webhooks are off."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    start_receiver(settings, frontdesk)
    frontdesk("work", settings=settings)
    watch = frontdesk("watch", "--every", "500ms", settings=settings)
    wait_until(lambda: len(nexudus.hooks()) > 89 * 3, "all hooks")
    watch.wait_for(r'"done":0,.*registrar.reconciled')
    watch.kill()
    let_run_out(client)
    nexudus.begin_outage(how="disable")
    for action in MADE:
        for business_id in BUSINESSES:
            nexudus.happen(business_id, action)
    happened = nexudus.happened()
    nexudus.end_outage()
    watch = frontdesk("watch", "--every", "500ms", settings=settings)

    watch.wait_for(r"backfill.finished")
    wait_until(lambda: all(one["state"] not in ("open", "healing") for one in gaps(settings)), "all gaps to be done")

    deleted = {(one["kind"], one["Id"]) for one in happened if RULES[one["action"]].stage is Stage.DELETE}
    told = Counter(
        (one["business_id"], one["action"], one["Id"])
        for one in happened
        if one["action"] in MADE
        and (RULES[one["action"]].stage is Stage.DELETE or (one["kind"], one["Id"]) not in deleted)
    )
    found = [stored.envelope for stored in EventReader(client).newest(EventFilter())]
    got = Counter((one.business_id, one.action, one.record()["Id"]) for one in found)
    assert set(got) == set(told)
    assert all(number <= told[one] for one, number in got.items()), "each once; several updates are one"
    assert {envelope.origin for envelope in found} == {"backfill"}
    named = {one["action"] for one in gaps(settings) if one["state"] == "cannot"}
    assert named == set(actions.NAMES) - set(MADE), "and nothing else is left unsaid"
    audit = orjson.loads(run("audit", "--full", "--json", settings=settings).out)
    assert (audit["events"]["accepted"], audit["unaccounted"]) == (len(found), 0)
