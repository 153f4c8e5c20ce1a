"""Twenty-one locations with every action: what the registrar costs over 1,869 hooks. Real processes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from receiver.nexudus import actions
from receiver.registrar.ownership import Ownership, name_of
from receiver.simulator.account.tenant import Tenant
from tests.conftest import StartFrontdesk
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Ran, run

PLACES = range(1001, 1022)
OURS = len(PLACES) * 89
PAGES = 4
"""Of 500 hooks each."""

SIGNING_IN_AND_CHECKS = 3
"""The token, one page of locations, the table of actions."""


@pytest.fixture
def crowd(frontdesk: StartFrontdesk, tmp_path: Path) -> Iterator[SimulatedNexudus]:
    """A Nexudus that holds all of them, right and active, and a hook of somebody else."""
    tenant = Tenant({number: f"Location {number}" for number in PLACES})
    ownership = Ownership("https://hooks.example", ("key-1",))
    for place in PLACES:
        for action in actions.NAMES:
            record = {"BusinessId": place, "Name": name_of(action), "Action": actions.CODES[action], "Active": True}
            tenant.create(record | {"URL": ownership.url(place, action)})
    tenant.create({"BusinessId": 1001, "Name": "CRM", "Action": 6, "Active": True, "URL": "https://crm.example/"})
    tenant.save(tmp_path / "nexudus.json")
    started = frontdesk("simulate", "--port", "0", "--rate", "0", "--state", str(tmp_path / "nexudus.json"))
    simulated = SimulatedNexudus(started)
    yield simulated
    simulated.close()


@pytest.fixture
def settings(crowd: SimulatedNexudus, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Everything at every location that Nexudus knows, with limits that do not slow a test down."""
    (tmp_path / "routes.yaml").write_text('businesses: all\nroutes: [{action: "*", handler: log}]\n')
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        **crowd.settings,
        "FRONTDESK_PUBLIC_URL": "https://hooks.example",
        "FRONTDESK_URL_KEYS": "key-1",
        "FRONTDESK_WEBHOOK_SECRETS": "s3cr3t",
    }


def _counted(nexudus: SimulatedNexudus, settings: Mapping[str, str], *arguments: str) -> tuple[Ran, int]:
    before = nexudus.state()["calls"]
    ran = run(*arguments, settings=settings)
    calls: int = nexudus.state()["calls"] - before
    return ran, calls


def test_what_a_plan_costs_over_1800_hooks(crowd: SimulatedNexudus, settings: dict[str, str]) -> None:
    """Pages, not hooks: at most one call for each hundred of them, everything counted. So do `hooks` and an apply."""
    ran, calls = _counted(crowd, settings, "plan", "--json")
    plan: dict[str, Any] = orjson.loads(ran.out)
    assert (ran.status, plan["changes"], plan["unchanged"], plan["foreign"]) == (0, [], OURS, 1)
    assert calls == SIGNING_IN_AND_CHECKS + PAGES <= OURS // 100

    listed, calls = _counted(crowd, settings, "hooks", "--json")
    rows = [orjson.loads(line) for line in listed.out.splitlines()]
    assert (len(rows), {row["state"] for row in rows}) == (OURS, {"healthy"})
    assert calls == SIGNING_IN_AND_CHECKS + PAGES

    for hook in crowd.hooks()[::200]:
        if "crm" not in hook["URL"]:
            crowd.edit(hook["Id"], Active=False)
    applied, calls = _counted(crowd, settings, "apply", "--yes")
    assert (applied.status, applied.out.splitlines()[-1]) == (0, "Done: 10 changes, confirmed by a fresh list.")
    assert calls == SIGNING_IN_AND_CHECKS + 3 * PAGES + 2 * 10, "shown, planned, seen again; each read and written"
