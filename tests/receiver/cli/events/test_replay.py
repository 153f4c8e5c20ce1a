"""`frontdesk replay`, as an operator calls it: what cannot be replayed is said, and is no success."""

import json
import time
from pathlib import Path

import pytest
import redis

from receiver.cli.ui.event_options import paced
from receiver.storage.query.event_reader import EventReader
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all
from tests.support.processes import Ran, command, run
from tests.support.terminal import Terminal


def replay(redis_url: str, folder: Path, *arguments: str) -> Ran:
    """Run `replay` on this server, with one route for bookings."""
    routes = folder / "routes.yaml"
    routes.write_text("routes: [{action: 'Booking*', handler: log}]", encoding="utf-8")
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_ROUTES": str(routes)}
    return run("replay", *arguments, "--yes", settings=settings)


def test_what_cannot_be_replayed_is_named_and_the_status_is_1(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """Quarantined, wanted by nobody, in flight: one line each on standard error; the others are replayed."""
    forged, nobodys = entry(b'[{"Id":1}]', quarantine="?"), entry(action="TeamCreated", routes=())
    busy, done = entry(routes=("log",)), entry(b'[{"Id":2}]', routes=("log",))
    keep_all(client, forged, nobodys, done)
    acknowledge(client, *claim_all(client))
    keep_all(client, busy)
    ids = {name: one.envelope.id for name, one in (("f", forged), ("n", nobodys), ("b", busy), ("d", done))}

    none = replay(redis_url, tmp_path, ids["f"], ids["n"], ids["b"])
    some = replay(redis_url, tmp_path, ids["n"], ids["d"], "--json")

    assert (none.status, none.out) == (1, "0 events replayed: 0 deliveries.\n")
    assert none.err.splitlines() == [
        f"frontdesk: {ids['f']} is not replayed: it is quarantined; `frontdesk release` checks it again",
        f"frontdesk: {ids['n']} is not replayed: no route of today's table wants it",
        f"frontdesk: {ids['b']} is not replayed: its deliveries are still in flight",
    ]
    assert some.status == 1
    made = json.loads(some.out)
    assert (made["events"], made["deliveries"], [one["id"] for one in made["skipped"]]) == (2, 1, [ids["n"]])


def test_of_those_that_a_filter_chose_one_is_enough(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Nobody named the others; and nothing chosen is nothing wrong."""
    done, nobodys = entry(routes=("log",)), entry(action="TeamCreated", routes=())
    keep_all(client, done, nobodys)
    acknowledge(client, *claim_all(client))

    some = replay(redis_url, tmp_path, "--since", "1h")
    none = replay(redis_url, tmp_path, "--since", "1h", "--action", "TeamCreated")
    empty = replay(redis_url, tmp_path, "--since", "1h", "--action", "TeamDeleted")

    assert (some.status, some.out) == (0, "1 events replayed: 1 deliveries.\n")
    assert "no route of today's table wants it" in some.err
    assert (none.status, empty.status, empty.err) == (1, 0, "")


def test_a_dry_run_counts_and_changes_nothing(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """By the filters; what it says is what then happens."""
    keep_all(client, *[entry(b"[%d]" % number, routes=("log",), business_id=1001 + number % 2) for number in range(5)])
    acknowledge(client, *claim_all(client))
    chosen = "--since", "1h", "--business", "1001", "--action", "BookingCreate", "--json"

    dry = json.loads(replay(redis_url, tmp_path, *chosen, "--dry-run").out)
    assert client.llen("rq:queue:default") == 0
    done = json.loads(replay(redis_url, tmp_path, *chosen).out)

    assert (dry["events"], dry["deliveries"], dry["dry_run"]) == (3, 3, True)
    assert (done["events"], done["deliveries"], done["dry_run"]) == (3, 3, False)
    assert client.llen("rq:queue:default") == 3


def test_a_rate_is_kept(client: redis.Redis) -> None:
    """So that a replay of a week does not crowd out what happens today."""
    kept = [entry(b"[%d]" % number) for number in range(5)]
    keep_all(client, *kept)
    began = time.monotonic()

    read = [
        one.envelope for one in paced(EventReader(client), [one.envelope.id for one in kept], "", rate=20, shown=False)
    ]

    assert read == [one.envelope for one in kept]
    assert time.monotonic() - began >= 4 / 20


@pytest.mark.parametrize(("answer", "made"), [("n", 0), ("y", 1)])
def test_on_a_terminal_it_asks(redis_url: str, client: redis.Redis, tmp_path: Path, answer: str, made: int) -> None:
    """Saying first how much it is."""
    keep_all(client, entry(routes=("log",)))
    acknowledge(client, *claim_all(client))
    (tmp_path / "routes.yaml").write_text("routes: [{action: 'Booking*', handler: log}]")
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml")}

    with Terminal(command("replay", "--since", "1h"), settings) as terminal:
        terminal.answer("Replay 1 events, which makes 1 deliveries? [y/N] ", answer)
        ended, seen = terminal.end()

    assert ended == 0, seen
    assert client.llen("rq:queue:default") == made


def test_an_event_that_is_named_twice_is_replayed_once(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Two lists that were pasted together, for example."""
    done = entry(routes=("log",))
    keep_all(client, done)
    acknowledge(client, *claim_all(client))

    twice = replay(redis_url, tmp_path, done.envelope.id, done.envelope.id)

    assert (twice.status, twice.out) == (0, "1 events replayed: 1 deliveries.\n")


def test_a_route_that_is_not_there_is_no_choice(redis_url: str, tmp_path: Path) -> None:
    """Else a wrong letter looks like nothing to do."""
    wrong = replay(redis_url, tmp_path, "--route", "lgo", "--since", "1h")

    assert (wrong.status, wrong.out) == (1, "")
    assert wrong.err.startswith("frontdesk: replay: ")
    assert wrong.err.endswith("routes.yaml has no route 'lgo'; did you mean 'log'?\n")


def test_an_edited_record_is_sent_as_a_new_event(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """From a file; an act; `show` names the original."""
    done = entry(routes=("log",))
    keep_all(client, done)
    acknowledge(client, *claim_all(client))
    file = tmp_path / "edited.json"
    file.write_text('{"Id": 1, "Notes": "new"}')

    dry = json.loads(replay(redis_url, tmp_path, done.envelope.id, "--with", str(file), "--dry-run", "--json").out)
    made = json.loads(replay(redis_url, tmp_path, done.envelope.id, "--with", str(file), "--json").out)
    shown = EventReader(client).get(made["id"]).envelope

    assert (dry["id"], dry["changed"], dry["deliveries"], dry["dry_run"]) == (None, ["Notes"], 1, True)
    assert (made["edited_from"], made["deliveries"]) == (done.envelope.id, 1)
    assert (shown.origin, shown.edited_from, shown.body) == ("edited", done.envelope.id, file.read_bytes())
    acts = [
        json.loads(line)
        for line in run("acts", "--json", settings={"FRONTDESK_REDIS_URL": redis_url}).out.split("\n")
        if line
    ]
    assert [(act["what"], act["detail"]) for act in acts] == [("edit", {"event_id": done.envelope.id, "fields": 1})]


def test_an_edited_record_that_cannot_be_sent_is_refused(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """A file that is not there, one of the wrong shape, more than one event."""
    done = entry(routes=("log",))
    keep_all(client, done)
    file = tmp_path / "edited.json"
    file.write_text('{"Notes": "new"}')

    for words, sentence in (
        ((done.envelope.id, "--with", str(tmp_path / "none")), "cannot be read: No such file"),
        ((done.envelope.id, "--with", str(file)), "Id: is required"),
        ((done.envelope.id, done.envelope.id, "--with", str(file)), "exactly one event by its id"),
        ((done.envelope.id, "--since", "1h", "--with", str(file)), "exactly one event by its id"),
    ):
        ran = replay(redis_url, tmp_path, *words)
        assert (ran.status, ran.out) == (1, "")
        assert sentence in ran.err
