"""`frontdesk drain`, as an operator calls it beside the disk of a receiver that is gone."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import redis

from receiver.storage.model import spool_row
from receiver.storage.query.event_reader import EventReader
from receiver.storage.spool import rejected, reports, slots
from receiver.storage.spool.handle import Contents
from tests.conftest import StartValkey
from tests.receiver.storage.keep.test_keep_or_spool import assert_kept_once, numbered, spool_offline, stored_ids
from tests.support.events import entry, keep_all
from tests.support.processes import Ran, free_port, run


def frontdesk(redis_url: str, data_dir: Path, *arguments: str) -> Ran:
    """Run one command on this server and this data directory."""
    return run(*arguments, settings={"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(data_dir)})


def test_every_spool_of_the_directory_is_emptied(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Counted by what became of them; the files are gone, what their receivers said of them too, an act is recorded."""
    batches = [numbered(300), numbered(20, 1_000)]
    again = entry(b'{"Id":5}')
    spool_offline(tmp_path / "spool", *batches, [again])
    told = reports.value(tmp_path / "spool", Contents(300, 1, 1), now_ms=1)
    client.hset("fd:spools", f"{slots.prepare(tmp_path / 'spool')}/000", told)

    ran = frontdesk(redis_url, tmp_path, "drain", "--json")

    assert (ran.status, ran.err) == (0, "")
    shape = json.loads(ran.out)
    assert shape == {
        "folder": str(tmp_path / "spool"),
        "kept": 320,
        "duplicates": 1,
        "held_back": 0,
        "set_aside": 0,
        "left": 0,
        "skipped": [],
        "failed": [],
        "aside": [],
        "silent": [],
    }
    assert_kept_once(client, [one for batch in batches for one in batch])
    assert EventReader(client).get(again.envelope.id).envelope == batches[0][5].envelope
    assert slots.used(tmp_path / "spool") == []
    assert client.hgetall("fd:spools") == {}
    assert '"what": "drain"' in frontdesk(redis_url, tmp_path, "acts", "--json").out.replace('":"', '": "')


def test_a_folder_saved_from_a_dead_disk_can_be_named(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """A data directory, or the spool folder itself; nothing there is no error."""
    many = numbered(5)
    spool_offline(tmp_path / "rescued", many)

    ran = frontdesk(redis_url, tmp_path / "var", "drain", str(tmp_path / "rescued"))

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("5 events of ")
    assert_kept_once(client, many)
    assert frontdesk(redis_url, tmp_path / "var", "drain").out.startswith("0 events of ")


def test_a_directory_that_is_not_there_is_one_sentence(redis_url: str, tmp_path: Path) -> None:
    """What, and what to do."""
    ran = frontdesk(redis_url, tmp_path, "drain", str(tmp_path / "nowhere"))

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("frontdesk: drain: ")
    assert ran.err.count("\n") == 1


def test_without_a_store_nothing_is_lost(tmp_path: Path) -> None:
    """One sentence; the file is as it was."""
    spool_offline(tmp_path / "spool", numbered(3))

    ran = frontdesk(f"redis://127.0.0.1:{free_port()}/0", tmp_path, "drain")

    assert (ran.status, ran.out) == (1, "")
    assert "Traceback" not in ran.err
    assert slots.used(tmp_path / "spool") == [0]


def test_the_spool_of_a_receiver_that_runs_is_left_to_it(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """It is named; the others are drained."""
    spool_offline(tmp_path / "spool", numbered(3), numbered(3, 10))
    owned = slots.adopt(tmp_path / "spool", 0)
    assert owned is not None

    ran = frontdesk(redis_url, tmp_path, "drain", "--json")

    owned.release()
    assert (ran.status, json.loads(ran.out)["skipped"], json.loads(ran.out)["kept"]) == (0, ["000.db"], 3)
    assert slots.used(tmp_path / "spool") == [0]


def test_a_file_of_a_newer_version_stays_and_is_told_of(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Exit status 1, because something stays behind; the other file is drained."""
    many = numbered(3, 10)
    spool_offline(tmp_path / "spool", numbered(3), many)
    with sqlite3.connect(tmp_path / "spool" / "000.db") as newer:
        newer.execute("PRAGMA user_version=99")
    newer.close()

    ran = frontdesk(redis_url, tmp_path, "drain")

    assert ran.status == 1
    assert "version 99" in ran.err
    assert_kept_once(client, many)
    assert slots.used(tmp_path / "spool") == [0]


def test_what_quarantine_has_no_room_for_stays_behind(start_valkey: StartValkey, tmp_path: Path) -> None:
    """Exit status 1; what came after it is drained."""
    server = start_valkey("--maxmemory", "8mb")
    junk, many = [entry(os.urandom(80_000), quarantine="no JSON") for _ in range(4)], numbered(10)
    spool_offline(tmp_path / "spool", [*junk, *many])

    ran = frontdesk(server.url, tmp_path, "drain", "--json")

    told = json.loads(ran.out)
    assert (ran.status, told["kept"], told["held_back"], told["left"]) == (1, 12, 2, 2)
    assert slots.used(tmp_path / "spool") == [0]


def test_what_the_store_refuses_is_set_aside_and_told_of_until_somebody_removes_it(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """It was answered 202 and is counted nowhere: no other command would ever speak of it."""
    odd, many = entry(b"odd", at=0), numbered(3)
    odd = odd._replace(envelope=odd.envelope._replace(id="short"))
    spool_offline(tmp_path / "spool", [odd, *many])

    first = json.loads(frontdesk(redis_url, tmp_path, "drain", "--json").out)
    again = frontdesk(redis_url, tmp_path, "drain")

    (file,) = first["aside"]
    assert (first["kept"], first["set_aside"], json.loads(Path(file).read_text())["row"][0]) == (3, 1, "short")
    assert f"{file} is set aside: it is counted nowhere" in again.err.replace("\n", " ")
    assert_kept_once(client, many)


def test_what_lies_aside_is_tried_again(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """What the store takes now is kept, once, and its file removed: after an upgrade, when an earlier version had
    spooled what it could not read."""
    folder = tmp_path / "spool"
    folder.mkdir()
    one, two, junk = entry(), entry(b'{"Id":2}', terms="lane||0|"), entry(b"junk", quarantine="no JSON")
    for number, each in enumerate([one, two, junk, one]):  # a crash between the store and the disk leaves a file behind
        rejected.write(folder / "000.db", number, spool_row.row_of(each).columns(), "this Frontdesk cannot read it")

    ran = frontdesk(redis_url, tmp_path, "drain", "--set-aside", "--json")

    told = json.loads(ran.out)
    assert (ran.status, ran.err, told["kept"], told["duplicates"], told["aside"]) == (0, "", 4, 0, [])
    assert stored_ids(client) == {each.envelope.id: 1 for each in (one, two, junk)}
    assert client.llen("rq:queue:default") == 2
    assert EventReader(client).get(two.envelope.id).envelope == two.envelope
    assert EventReader(client).get(junk.envelope.id).status == "quarantined"


def test_what_lies_aside_and_cannot_be_taken_stays_and_says_why(redis_url: str, tmp_path: Path) -> None:
    """A broken file, a damaged event, one that the store refuses, one of a newer version, and what is no event at all:
    exit status 1, and nothing is touched."""
    folder = tmp_path / "spool"
    folder.mkdir()
    good = spool_row.row_of(entry())
    refused = spool_row.row_of(entry()._replace(envelope=entry().envelope._replace(id="short")))
    newer = replace(good, envelope=b"\x09" + good.envelope[1:])
    whole = good.columns()
    for columns in (refused.columns(), newer.columns(), (*whole[:-1], whole[-1] ^ 1), (1, 2), (None, *whole[1:])):
        rejected.write(folder / "000.db", 1, columns, "?")
    (folder / "set-aside" / "000-1.db").write_bytes(b"SQLite format 3")
    before = {file: file.read_bytes() for file in rejected.files(folder)}

    ran = frontdesk(redis_url, tmp_path, "drain", "--set-aside")

    said = ran.err.replace("\n", " ")
    assert (ran.status, len(before)) == (1, 6)
    assert said.count("its checksum is wrong") == 3
    for why in ("the store refuses it still", "a version that this Frontdesk does not know", "it is a broken spool"):
        assert said.count(why) == 1, ran.err
    assert {file: file.read_bytes() for file in rejected.files(folder)} == before


def test_a_silent_spool_is_shown_and_can_be_forgotten(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Its disk is lost; the audit counts its events until somebody says so."""
    keep_all(client, entry())
    report = json.loads(reports.value(Path("/srv/gone"), Contents(7, 700, 1), now_ms=1))
    client.hset("fd:spools", "abc/000", json.dumps(report | {"reported_ms": 1}))
    assert json.loads(frontdesk(redis_url, tmp_path, "audit", "--json").out)["spooled"] == 7

    (silent,) = json.loads(frontdesk(redis_url, tmp_path, "drain", "--json").out)["silent"]
    assert (silent["name"], silent["folder"], silent["events"]) == ("abc/000", "/srv/gone", 7)
    assert "abc/000" in frontdesk(redis_url, tmp_path, "drain").out

    assert frontdesk(redis_url, tmp_path, "drain", "--forget", "abc/000", "--yes").status == 0
    assert json.loads(frontdesk(redis_url, tmp_path, "audit", "--json").out)["spooled"] == 0
    assert "no spool has the name" in frontdesk(redis_url, tmp_path, "drain", "--forget", "abc/000", "--yes").err
