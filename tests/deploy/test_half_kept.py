"""What the release before left half-written, because its script failed in the middle: found, told and finished."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.nexudus import hook_urls, signature
from receiver.storage.redis import connection
from tests.deploy.previous import release
from tests.deploy.previous.release import SECRET, URL_KEY, PreviousRelease
from tests.support.processes import free_port, run, wait_until

ROUTES = json.dumps(
    {
        "routes": [
            {"name": "all", "action": "TeamCreated", "handler": "deeds:fine"},
            *(
                {"name": f"waits-{number}", "action": "TeamCreated", "handler": "deeds:fine"}
                | {"where": "data.Id == 3", "order": "entity", "debounce": "1s", "concurrency": 1}
                for number in range(1_500)
            ),
        ]
    }
)
"""The third event is wanted by more routes than the script of 0.2.0 can unpack."""

BODY = json.dumps([{"Id": number, "Name": f"Team {number}"} for number in (1, 2, 3)]).encode()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of an empty server."""
    with connection.connect(redis_url) as connected:
        yield connected


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of both releases."""
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_ROUTES": str(release.write_routes(tmp_path, routes=ROUTES)),
        "FRONTDESK_URL_KEYS": URL_KEY,
        "FRONTDESK_WEBHOOK_SECRETS": SECRET,
        "FRONTDESK_PORT": str(free_port()),
    }


@pytest.fixture
def half_kept(client: redis.Redis, settings: dict[str, str], tmp_path: Path) -> list[str]:
    """The ids of three events that the release before answered 202 for, and wrote in part; all lie in its spool."""
    receiver = PreviousRelease(tmp_path).start("serve", settings=settings, log=tmp_path / "old.log")
    try:
        port = int(settings["FRONTDESK_PORT"])
        receiver.wait_for_http(f"http://127.0.0.1:{port}/readyz")
        sender = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        signed = {signature.HEADER: signature.sign(BODY, SECRET)}
        sender.request("POST", hook_urls.path(URL_KEY, 1001, "TeamCreated"), BODY, signed)
        answer = sender.getresponse()
        assert answer.status == 202
        ids = [one["id"] for one in json.loads(answer.read())["events"]]
        sender.close()
        wait_until(lambda: client.exists(f"fd:d:{ids[0]}") == 1, lambda: "nothing was written")
    finally:
        receiver.end()
    assert [client.exists(f"fd:e:{one}") for one in ids] == [0, 0, 0], "an envelope was written"
    return ids


def told(*arguments: str, settings: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Run a command of today; return its status and the object that it printed."""
    ran = run(*arguments, "--json", settings=settings)
    return ran.status, json.loads(ran.out)


@pytest.mark.parametrize("is_repaired", [False, True], ids=["drained at once", "repaired first"])
def test_what_was_half_written_is_told_and_kept(
    half_kept: list[str], settings: dict[str, str], client: redis.Redis, *, is_repaired: bool
) -> None:
    """`audit` names it without `--full`; repaired or not, the spool's events are kept whole, and each runs once."""
    status, audit = told("audit", settings=settings)
    assert (status, audit["unaccounted"] >= 1) == (1, True), audit
    if is_repaired:
        told("audit", "--repair", settings=settings)

    _, drained = told("drain", settings=settings)

    assert (drained["kept"], drained["left"]) == (3, 0), drained
    status, audit = told("audit", "--full", settings=settings)
    assert (status, audit["unaccounted"], audit["events"]["accepted"]) == (0, 0, 3), audit
    shown = run("events", "--json", settings=settings)
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert {event["id"] for event in events} == set(half_kept)
    assert sorted(len(event["deliveries"]) for event in events) == [1, 1, 1_501]
