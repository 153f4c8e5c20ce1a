"""What is kept of an event may be damaged, or written by a version that we do not know: it hides no other event, every
command says so, and nobody writes over it."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.storage.redis import keys
from tests.support.events import entry, keep_all
from tests.support.processes import Ran, run

ROUTES = "routes:\n  - {name: announce, action: '*', handler: 'seen:fine'}\n"
UNKNOWN = b"\x7fwritten by a version of days to come"
WHY = "an envelope of a version that this Frontdesk does not know"


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of the commands."""
    (tmp_path / "seen.py").write_text("def fine(event): pass\n")
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
    }


def with_one_unreadable(client: redis.Redis, *, quarantine: str | None = None) -> tuple[list[str], str]:
    """Keep three events; return their ids, and that of the one in the middle, which nobody can read."""
    kept = [entry(b'{"Id":%d}' % number, quarantine=quarantine) for number in range(3)]
    keep_all(client, *kept)
    ids = [one.envelope.id for one in kept]
    client.set(keys.envelope(ids[1]), UNKNOWN, keepttl=True)
    return ids, ids[1]


def printed(ran: Ran) -> list[dict[str, Any]]:
    """The objects that a command printed."""
    assert ran.status == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_it_hides_no_other(client: redis.Redis, settings: dict[str, str]) -> None:
    """All are listed, the audit is clean, and the others are delivered; it itself ends as dead, with the reason."""
    ids, unreadable = with_one_unreadable(client)

    listed = printed(run("events", "--json", settings=settings))
    table = run("events", settings=settings)
    (shown,) = printed(run("show", unreadable, "--json", settings=settings))
    (audit,) = printed(run("audit", "--full", "--json", settings=settings))
    assert run("work", "--burst", settings=settings).status == 0
    ended = printed(run("events", "--json", settings=settings))
    again = run("replay", "--since", "1h", "--yes", "--json", settings=settings)

    assert [one["id"] for one in listed] == ids[::-1]
    assert unreadable in table.out
    assert WHY in shown["reason"]
    assert (shown["data"], audit["unaccounted"]) == (None, 0)
    assert [one["status"] for one in ended] == ["succeeded", "dead", "succeeded"]
    (told,) = printed(again)
    assert (told["deliveries"], [one["id"] for one in told["skipped"]]) == (2, [unreadable])
    assert WHY in again.out
    assert client.get(keys.envelope(unreadable)) == UNKNOWN


def test_release_leaves_it_as_it_is(client: redis.Redis, settings: dict[str, str]) -> None:
    """The version that can read it releases it."""
    ids, unreadable = with_one_unreadable(client, quarantine="it does not match")

    (told,) = printed(run("release", "--yes", "--json", settings=settings))

    assert (told["released"], told["events"]) == (2, [ids[0], ids[2]])
    (left,) = told["kept"]
    assert (left["id"], WHY in left["reason"]) == (unreadable, True)
    assert client.get(keys.envelope(unreadable)) == UNKNOWN


@pytest.mark.parametrize("command", [("routes", "explain"), ("try", "announce")])
def test_who_needs_the_record_is_told(client: redis.Redis, settings: dict[str, str], command: tuple[str, str]) -> None:
    """With the reason."""
    _, unreadable = with_one_unreadable(client)

    refused = run(*command, unreadable, settings=settings)

    assert (refused.status, refused.out) == (1, "")
    assert WHY in refused.err
