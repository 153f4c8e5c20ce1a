"""A client that is generated from the document works, with types, and no line of it written by hand."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from receiver.console.api.document import document
from tests.receiver.console.api.conftest import Api
from tests.receiver.console.house import ADMIN

PROGRAM = """
import sys
from datetime import datetime
from frontdesk_client import AuthenticatedClient
from frontdesk_client.api.events import get_event, list_events, replay_event
from frontdesk_client.api.failures import get_failure_group
from frontdesk_client.api.gaps import list_gaps
from frontdesk_client.api.routes import explain_record, pause_route, resume_route
from frontdesk_client.api.status import get_audit, get_status
from frontdesk_client.models import Explain, ExplainData, ListGapsState, Nothing, Problem, ReplayOne

url, token, well, group = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True) as client:
    status = get_status.sync(client=client)
    assert status.standing["dead"] == 1, status
    assert isinstance(status.now, datetime)
    page = list_events.sync(client=client, limit=1)
    older = list_events.sync(client=client, limit=1, cursor=page.next_)
    assert older.events[0].id < page.events[0].id
    event = get_event.sync(well, client=client)
    assert (event.action, event.deliveries[0].status, event.is_masked) == ("BookingCreate", "succeeded", True)
    assert get_failure_group.sync(group, client=client).route == "broken"
    (gap,) = list_gaps.sync(client=client, state=ListGapsState.CONFIRM).gaps
    assert (gap.from_.year, gap.why) == (2023, "disabled")
    assert get_audit.sync(client=client).unaccounted == 0
    assert pause_route.sync("never", client=client, body=Nothing()).changed
    assert resume_route.sync("never", client=client, body=Nothing()).changed
    record = ExplainData.from_dict({"Id": 1})
    told = explain_record.sync(client=client, body=Explain(action="TeamCreated", business_id=1001, data=record))
    assert {one.route for one in told.routes if one.matched} == {"everything", "broken"}
    assert replay_event.sync(well, client=client, body=ReplayOne(route="everything")).reason is None
    wrong = get_event.sync("0" * 20, client=client)
    assert isinstance(wrong, Problem) and wrong.status == 404 and wrong.remedy, wrong
with AuthenticatedClient(base_url=url, token="wrong") as client:
    assert get_status.sync(client=client).status == 401
print("done")
"""


@pytest.mark.timeout(1_800)
def test_a_generated_client_looks_and_changes(api: Api, tmp_path: Path) -> None:
    """Pages, times, numbers, problems: as the document says them."""
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(document()))
    (tmp_path / "config.yml").write_text("package_name_override: frontdesk_client\npost_hooks: []\n")
    program = Path(sys.executable).with_name("openapi-python-client")
    generate = [str(program), "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none"]
    made = subprocess.run(
        [*generate, "--output-path", "frontdesk_client"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert (made.returncode, "WARNING" in made.stdout + made.stderr) == (0, False), made.stdout + made.stderr
    (tmp_path / "program.py").write_text(PROGRAM)
    url = api.url.removesuffix("/api/v1")

    ran = subprocess.run(
        [sys.executable, "program.py", url, ADMIN, api.well, api.group],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )

    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stdout + ran.stderr
