"""`frontdesk audit` and `frontdesk acts`, as an operator calls them."""

import json
from pathlib import Path

import redis

from receiver.storage.redis import keys
from receiver.storage.spool import reports, slots
from receiver.storage.spool.handle import Contents
from tests.receiver.storage.keep.test_keep_or_spool import numbered, spool_offline
from tests.support.events import entry, half_keep, keep_all
from tests.support.processes import Ran, run


def frontdesk(redis_url: str, *arguments: str) -> Ran:
    """Run one command on this server."""
    return run(*arguments, settings={"FRONTDESK_REDIS_URL": redis_url})


def test_audit_prints_the_published_keys_and_exits_0(redis_url: str, client: redis.Redis) -> None:
    """In their published order."""
    keep_all(client, entry())

    ran = frontdesk(redis_url, "audit", "--json")

    assert (ran.status, ran.err) == (0, "")
    shape = json.loads(ran.out)
    assert list(shape) == ["events", "deliveries", "spooled", "duplicates", "unaccounted", "offenders"]
    assert list(shape["events"]) == ["accepted", "unrouted", "quarantined", "routed", "expired"]
    assert list(shape["deliveries"]) == ["created", "succeeded", "dead", "discarded", "in_flight", "expired"]
    assert (shape["events"]["routed"], shape["deliveries"]["in_flight"]) == (1, 1)


def test_audit_exits_1_and_names_what_is_lost_and_repair_mends_it(redis_url: str, client: redis.Redis) -> None:
    """The repair is an act."""
    lost = entry()
    keep_all(client, lost)
    client.delete("rq:queue:default")

    broken = frontdesk(redis_url, "audit")
    mended = frontdesk(redis_url, "audit", "--full", "--repair")
    acts = frontdesk(redis_url, "acts", "--json")

    assert broken.status == 1
    assert "UNACCOUNTED" in broken.out
    assert lost.envelope.id in broken.out
    assert (mended.status, "1 deliveries had lost their jobs" in mended.err) == (0, True)
    assert "Nothing is unaccounted for." in mended.out
    act = json.loads(acts.out)
    assert (act["what"], act["detail"]) == ("audit.repair", {"repaired": 1})
    assert frontdesk(redis_url, "acts", "--since", "1h").out.count("audit.repair") == 1


def test_what_was_kept_by_halves_is_named_and_cleared_away(redis_url: str, client: redis.Redis) -> None:
    """Also without `--full`; the repair names it for the last time, and is an act."""
    half = entry()
    half_keep(client, half)

    found, repaired, after = (frontdesk(redis_url, "audit", *more) for more in ((), ("--repair",), ()))
    act = json.loads(frontdesk(redis_url, "acts", "--json").out)

    assert [ran.status for ran in (found, repaired, after)] == [1, 1, 0]
    assert half.envelope.id in found.out
    assert half.envelope.id in repaired.out
    assert "1 events were never kept completely" in repaired.err
    assert act["detail"] == {"repaired": 0, "cleared": 1}


def test_what_lost_its_state_is_given_back_or_written_off(redis_url: str, client: redis.Redis) -> None:
    """Only when it is said; it is an act, and what has its record still can be replayed."""
    one, gone = entry(b'[{"Id":1}]'), entry(b'[{"Id":2}]')
    keep_all(client, one, gone)
    client.delete(keys.state(one.envelope.id), keys.state(gone.envelope.id), keys.envelope(gone.envelope.id))

    repaired = frontdesk(redis_url, "audit", "--full", "--repair")
    settled = frontdesk(redis_url, "audit", "--full", "--write-off")
    acts = [json.loads(line) for line in frontdesk(redis_url, "acts", "--json").out.splitlines()]
    listed = [json.loads(line) for line in frontdesk(redis_url, "events", "--json").out.splitlines()]

    assert (repaired.status, gone.envelope.id in repaired.out, "--write-off" in repaired.out) == (1, True, True)
    assert settled.status == 0
    assert settled.err == "frontdesk: 1 events had lost their state and are unrouted now; 1 are expired\n"
    assert (acts[0]["what"], acts[0]["detail"]) == ("audit.write_off", {"kept": 1, "written_off": 1})
    assert [(event["id"], event["status"]) for event in listed] == [(one.envelope.id, "unrouted")]
    assert json.loads(frontdesk(redis_url, "audit", "--json").out)["events"]["expired"] == 1


def test_what_only_the_disk_knows_of_is_counted_as_spooled(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Its receiver ended while the store was away, and could report nothing, or less. Others' reports are believed."""
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path)}
    folder = tmp_path / "spool"
    elsewhere = reports.value(Path("/there"), Contents(count=2, bytes=1, oldest_ms=1), now_ms=1)
    client.hset(keys.SPOOLS, "elsewhere/000", elsewhere)
    assert json.loads(run("audit", "--json", settings=settings).out)["spooled"] == 2

    spool_offline(folder, numbered(7))
    client.hset(keys.SPOOLS, f"{slots.identity(folder)}/000", elsewhere)
    ran = run("audit", "--json", settings=settings)

    assert (ran.status, ran.err, json.loads(ran.out)["spooled"]) == (0, "", 2 + 7)
    run("drain", settings=settings)
    assert json.loads(run("audit", "--json", settings=settings).out)["spooled"] == 2


def test_a_spool_that_cannot_be_read_is_told_of(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """And what it reported last is counted."""
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path)}
    folder = tmp_path / "spool"
    name = f"{slots.prepare(folder)}/000"
    (folder / "000.db").write_bytes(b"no database" * 100)
    client.hset(keys.SPOOLS, name, reports.value(folder, Contents(count=3, bytes=1, oldest_ms=1), now_ms=1))

    ran = run("audit", "--json", settings=settings)

    assert (ran.status, json.loads(ran.out)["spooled"]) == (0, 3)
    assert "000.db: cannot be read: " in ran.err


def test_acts_says_when_there_are_none(redis_url: str) -> None:
    """A sentence, not an empty table."""
    assert frontdesk(redis_url, "acts").out == "The audit log is empty.\n"
