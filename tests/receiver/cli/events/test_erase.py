"""`frontdesk erase`, as an operator calls it."""

import json
from pathlib import Path

import pytest
import redis

from receiver.storage.accounting.audit import Audit
from receiver.storage.model import spool_row
from receiver.storage.redis import connection
from receiver.storage.shared.audit_log import is_sealed
from receiver.storage.spool import slots
from receiver.storage.spool.sqlite_file import SpoolFile
from tests.conftest import StartValkey
from tests.support.events import entry, keep_all
from tests.support.processes import run, wait_until


def test_nothing_of_a_person_is_left_in_the_server_or_its_file(start_valkey: StartValkey, tmp_path: Path) -> None:
    """Not in any key, not in the append-only file, not in the record of the act."""
    server = start_valkey()
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes: [{action: '*', handler: archive, with: {path: /archive/a}}]", encoding="utf-8")
    settings = {"FRONTDESK_REDIS_URL": server.url, "FRONTDESK_ROUTES": str(routes)}
    with connection.connect(server.url) as client:
        one = entry(b'{"Id":7,"Email":"Ada.Unusual@Example.com"}', action="CoworkerUpdate", entity="Coworker:7")
        keep_all(client, one, entry(b'{"Id":8,"Email":"bob@example.com"}'))
        folder = Path(client.config_get("dir")["dir"]) / "appendonlydir"
        assert _in_keys(client, b"nusual")
        assert _in_files(folder, b"nusual")

        ran = run("erase", "--email", "ada.unusual@example.COM", "--yes", "--json", settings=settings)

        assert (ran.status, ran.err) == (0, "")
        shape = json.loads(ran.out)
        assert (shape["events"], shape["cancelled"]) == ([one.envelope.id], 1)
        assert "/archive/a" in shape["not_reached"][0]
        assert _in_keys(client, b"nusual") == []
        wait_until(lambda: not _in_files(folder, b"nusual"), "the append-only file to be written anew")
        assert b"ob@example" in b"".join(client.get(key) or b"" for key in client.scan_iter("fd:e:*"))
    acts = run("acts", "--json", settings=settings)
    act = json.loads(acts.out)
    assert (act["what"], act["detail"]["by"], act["detail"]["events"]) == ("erase", "email", 1)
    assert is_sealed("Ada.Unusual@example.com", act["detail"]["subject"])
    again = run("erase", "--coworker", "7", "--yes", settings=settings)
    assert "The records of 0 events are erased" in again.out


def _in_keys(client: redis.Redis, text: bytes) -> list[bytes]:
    return [key for key in client.scan_iter() if text in (client.dump(key) or b"")]


def _in_files(folder: Path, text: bytes) -> bool:
    try:
        return any(text in path.read_bytes() for path in folder.iterdir())
    except FileNotFoundError:  # replaced while we looked
        return True


@pytest.mark.parametrize(
    "arguments",
    [(), ("--email", "a@b.example", "--coworker", "1"), ("--email", "a"), ("--email", "@b"), ("--coworker", "-1")],
)
def test_who_must_be_said_exactly(redis_url: str, arguments: tuple[str, ...]) -> None:
    """One sentence, and nothing is touched."""
    ran = run("erase", *arguments, settings={"FRONTDESK_REDIS_URL": redis_url})

    assert ran.status == 1
    assert ran.err.startswith("frontdesk: erase: ")
    assert "Traceback" not in ran.err


def test_what_waits_in_a_spool_of_this_data_directory_is_erased_too(redis_url: str, tmp_path: Path) -> None:
    """While its receiver has it open; what comes into the store of it is a tombstone without deliveries."""
    folder = slots.folder_of(tmp_path)
    slots.prepare(folder)
    slot = slots.Slot.take(folder, 0)
    assert slot is not None
    hers, his = entry(b'{"Id":7,"Email":"Ada.Unusual@Example.com"}'), entry(b'{"Id":8,"Email":"bob@example.com"}')
    hidden = entry(b"\x28\xb5\x2f\xfd\x00\xff", quarantine="no JSON")
    spool = SpoolFile.open(slot.path)
    spool.append([spool_row.row_of(hers), spool_row.row_of(his), spool_row.row_of(hidden)])
    (folder / "set-aside").mkdir()
    (folder / "set-aside" / "000-7-1.json").write_text("{}")
    (folder / "001.db").write_bytes(b"no database at all, but long enough to be taken for a broken one" * 20)
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_DATA_DIR": str(tmp_path)}

    ran = run("erase", "--email", "ada.unusual@example.com", "--yes", "--json", settings=settings)

    shape = json.loads(ran.out)
    assert (shape["events"], shape["spooled"], shape["unsearched"]) == ([], [hers.envelope.id], 1)
    assert any("1 events that cannot be read" in one for one in shape["not_reached"])
    assert "001.db" in shape["not_reached"][0]
    assert "000-7-1.json: set aside" in shape["not_reached"][1]
    (first, second, _), damaged = spool.read(10, 1_000_000)[0], spool.read(10, 1_000_000)[1]
    assert damaged == []
    tombstone = first[1].entry()
    assert (tombstone.envelope.id, tombstone.envelope.body, tombstone.wanted) == (hers.envelope.id, b"{}", ())
    assert tombstone.fingerprint == hers.fingerprint
    assert second[1].entry() == his
    spool.close()
    slot.release()
    assert not any(b"nusual" in path.read_bytes() for path in folder.iterdir() if path.is_file())
    with connection.connect(redis_url) as client:
        keep_all(client, tombstone, his)
        assert Audit(client).run(full=True).events["unrouted"] == 1
