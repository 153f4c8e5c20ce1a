"""The name of a location stands beside its number, wherever a person or a program sees the number."""

import json
from pathlib import Path

import pytest
import redis

from receiver.storage.shared.business_names import BusinessNames, place
from receiver.storage.shared.gap_ledger import GapLedger, GapWhy, opened
from tests.support.events import entry, keep_all
from tests.support.processes import run


@pytest.fixture
def settings(redis_url: str, client: redis.Redis, tmp_path: Path) -> dict[str, str]:
    """Nexudus named two locations, and routes.yaml one of them otherwise."""
    text = 'locations: {1002: {name: "Our Paris"}}\nroutes: [{action: "*", handler: log}]\n'
    (tmp_path / "routes.yaml").write_text(text)
    BusinessNames(client).remember({1001: "London", 1002: "Paris"})
    return {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml")}


def test_commands_say_the_name(settings: dict[str, str], client: redis.Redis) -> None:
    """Of an event and of a gap: in tables and in JSON; a location without a name has none."""
    one, other = entry(b"{}"), entry(b'{"Id":2}')
    other = other._replace(envelope=other.envelope._replace(business_id=1009))
    keep_all(client, one, other)
    GapLedger(client).write([opened((1002, "TeamCreated"), 1_790_000_000_000, GapWhy.DISABLED)])

    def objects(*words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in run(*words, "--json", settings=settings).out.splitlines()]

    here = one.envelope.business_id
    assert {(event["business_id"], event["business"]) for event in objects("events")} == {
        (here, {1001: "London", 1002: "Our Paris"}.get(here)),
        (1009, None),
    }
    assert objects("show", one.envelope.id)[0]["business"] == ("London" if here == 1001 else "Our Paris")
    assert objects("gaps")[0]["business"] == "Our Paris"
    assert "London" in run("events", settings=settings).out
    assert "Our Paris" in run("gaps", settings=settings).out


def test_a_store_that_is_away_hides_the_names_only(client: redis.Redis) -> None:
    """What routes.yaml says is there all the same."""
    away = redis.Redis(port=1, socket_connect_timeout=0.1)

    names = BusinessNames(away, lambda: {1002: "Our Paris"}).all()

    assert names == {1002: "Our Paris"}
    assert (place(1002, names), place(7, names)) == ("1002 Our Paris", "7")
