"""The spool keeps what it acknowledged through kills, damage and full disks, within its bounds, and in order."""

import asyncio
import errno
import fcntl
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.errors import RequestRefused, SpoolUnavailable
from receiver.core.events import Envelope
from receiver.process import logs
from receiver.storage.model import spool_row
from receiver.storage.model.entries import Entry, PlannedDelivery
from receiver.storage.spool import slots
from receiver.storage.spool.spool import Spool
from receiver.storage.spool.sqlite_file import SpoolFile
from tests.support.events import entry
from tests.support.processes import Process, environment, wait_until

T = TypeVar("T")
LARGE = 1 << 30


def using(folder: Path, work: Callable[[Spool], Awaitable[T]], *, max_bytes: int = LARGE) -> T:
    """Run *work* with an open spool and close it."""

    async def run() -> T:
        spool = Spool(folder, max_bytes=max_bytes)
        await spool.open()
        try:
            return await work(spool)
        finally:
            await spool.close()

    return asyncio.run(run())


async def append_all(spool: Spool, *entries: Entry) -> None:
    """Append in this order."""
    for one in entries:
        await spool.append(one)


async def read_all(spool: Spool) -> list[Entry]:
    """Everything in the spool, without removing it."""
    found = []
    after = 0
    while page := await spool.read(256, after=after):
        found += [spooled.entry for spooled in page]
        after = page[-1].row[0]
    return found


async def read_ids(spool: Spool) -> list[str]:
    """The ids of everything in the spool."""
    return [one.envelope.id for one in await read_all(spool)]


def everything_in(folder: Path) -> bytes:
    """The bytes of all files of the first slot."""
    return b"".join(path.read_bytes() for path in folder.glob("000.db*"))


def orphans_of(folder: Path) -> list[slots.Slot]:
    """The slots that have a file and no owner."""
    taken = (slots.adopt(folder, number) for number in slots.used(folder))
    return [slot for slot in taken if slot]


def ids_of(folder: Path) -> list[str]:
    """The ids in the spool that the next process finds."""
    return using(folder, read_ids)


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.builds(
    lambda envelope, fingerprint, window, wanted: Entry(envelope, fingerprint, window, tuple(wanted)),
    st.builds(
        Envelope,
        id=st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=20, max_size=20),
        business_id=st.integers(0, 2**31),
        action=names,
        action_code=st.none() | st.integers(0, 200),
        received_ms=st.integers(0, 2**45),
        body=st.binary(max_size=5_000),
        origin=st.sampled_from(["webhook", "replay", "backfill", "simulated"]),
        verified_by=st.none() | st.sampled_from(["raw", "dotnet-ascii"]),
        routes=st.text("0123456789abcdef", max_size=16),
        entity=st.none() | names.filter(bool),
        quarantine=st.none() | names.filter(bool),
        headers=st.dictionaries(names, names, max_size=3),
        erased_ms=st.integers(0, 2**45),
        trace=names,
    ),
    st.none() | st.binary(min_size=16, max_size=16),
    st.integers(0, 2**42),
    st.lists(
        st.builds(PlannedDelivery, route=names, queue=names, timeout_ms=st.integers(1, 2**40), terms=names), max_size=4
    ),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(entries, max_size=12, unique_by=lambda one: one.envelope.id))
def test_what_goes_in_comes_out_whole_and_in_order(given_entries: list[Entry]) -> None:
    """Every field of every entry, after the process that wrote it has gone."""
    with tempfile.TemporaryDirectory() as folder:
        using(Path(folder), lambda spool: append_all(spool, *given_entries))

        assert using(Path(folder), read_all) == given_entries


def test_depth_bytes_and_oldest_tell_what_is_there(tmp_path: Path) -> None:
    """They follow every append and removal, and are right again in the next process."""
    kept = [entry(b"%d" % number) for number in range(3)]
    size = sum(spool_row.row_of(one).size for one in kept)

    async def work(spool: Spool) -> None:
        assert (spool.depth, spool.oldest) == (0, None)
        await append_all(spool, *kept)
        assert (spool.depth, spool.contents.bytes) == (3, size)
        assert spool.oldest == kept[0].envelope.received_ms
        await spool.remove(await spool.read(2))
        assert (spool.depth, spool.oldest) == (1, kept[2].envelope.received_ms)

    using(tmp_path, work)

    async def look(spool: Spool) -> tuple[int, int, int | None]:
        return spool.depth, spool.contents.bytes, spool.oldest

    expected = 1, spool_row.row_of(kept[2]).size, kept[2].envelope.received_ms
    assert using(tmp_path, look) == expected


def test_the_same_id_is_in_the_spool_once(tmp_path: Path) -> None:
    """Salvage and retries may bring an event twice."""
    one = entry()
    using(tmp_path, lambda spool: append_all(spool, one, one))

    assert ids_of(tmp_path) == [one.envelope.id]


def test_a_page_is_bounded_in_events_and_in_bytes(tmp_path: Path) -> None:
    """Large bodies do not fill the memory; a page is never empty while there is something left."""
    large = [entry(os.urandom(3_000_000)) for _ in range(3)]

    async def work(spool: Spool) -> tuple[int, int]:
        await append_all(spool, *large)
        return len(await spool.read(256)), len(await spool.read(1))

    assert using(tmp_path, work) == (2, 1)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Folder and files hold personal data."""
    folder = tmp_path / "var" / "spool"

    async def modes(spool: Spool) -> set[int]:
        await spool.append(entry())
        return {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [folder, *folder.glob("000.*")]}

    assert using(folder, modes) == {0}


def test_an_emptied_spool_has_forgotten_what_it_held(tmp_path: Path) -> None:
    """Neither the file nor its log shows a removed payload; closed empty, the file is gone."""

    async def work(spool: Spool) -> bytes:
        await append_all(spool, *[entry(b'{"FullName":"Ada Lovelace %d"}' % number) for number in range(50)])
        await spool.remove(await spool.read(256))
        await spool.compact()
        return await asyncio.to_thread(everything_in, tmp_path)

    assert b"Ada Lovelace" not in using(tmp_path, work)
    assert slots.used(tmp_path) == []


class TestKilled:
    """kill -9 while several transactions are on their way."""

    @pytest.mark.parametrize("acknowledged", [1, 100, 700])
    def test_what_was_acknowledged_is_there(self, tmp_path: Path, acknowledged: int) -> None:
        """Every id that the process said was safe is found, once, and the slot is free at once."""
        folder = tmp_path / "spool"
        argv: list[str | Path] = [sys.executable, "-m", "tests.receiver.storage.spool.appending", folder]
        process = Process(argv, log=tmp_path / "log", environ=environment())
        try:
            wait_until(lambda: process.output.count("\n") >= acknowledged, process.__str__)
        finally:
            process.kill()

        told = [line for line in process.output.split("\n")[:-1] if line]
        found = ids_of(folder)
        assert set(told) - set(found) == set()
        assert len(found) == len(set(found))

    def test_two_processes_never_share_a_slot(self, tmp_path: Path) -> None:
        """Each has its own file; after both are killed, one process finds both as its own and as an orphan."""
        folder = tmp_path / "spool"
        argv: list[str | Path] = [sys.executable, "-m", "tests.receiver.storage.spool.appending", folder]
        both = [Process(argv, log=tmp_path / f"log{n}", environ=environment()) for n in range(2)]
        try:
            for process in both:
                wait_until(lambda process=process: process.output.count("\n") > 20, process.__str__)  # type: ignore[misc]
            assert orphans_of(folder) == []
        finally:
            for process in both:
                process.kill()

        orphans = orphans_of(folder)
        assert [slot.number for slot in orphans] == [0, 1]
        told = {line for process in both for line in process.output.split("\n")[:-1] if line}
        found = set()
        for slot in orphans:
            file = SpoolFile.open(slot.path)
            found |= {record.id for _, record in file.scan()}
            file.close()
            slot.release()
        assert told - found == set()


class TestDamaged:
    """A file that is not what was written is set aside, and the receiver goes on."""

    @pytest.fixture
    def kept(self, tmp_path: Path) -> list[Entry]:
        """A closed spool of 400 events, over many pages."""
        kept = [entry(b'{"Id":%d,"Padding":"%b"}' % (number, os.urandom(500).hex().encode())) for number in range(400)]
        using(tmp_path, lambda spool: append_all(spool, *kept))
        return kept

    def test_a_file_that_is_no_spool_is_set_aside(self, tmp_path: Path) -> None:
        """Its bytes are not thrown away, and a new file takes events."""
        (tmp_path / "000.db").write_bytes(b"what is this? " * 1_000)
        one = entry()

        using(tmp_path, lambda spool: append_all(spool, one))

        assert ids_of(tmp_path) == [one.envelope.id]
        (aside,) = (tmp_path / "set-aside").glob("*.db")
        assert aside.read_bytes().startswith(b"what is this?")

    def test_an_empty_file_and_a_lost_log_are_no_damage(self, tmp_path: Path) -> None:
        """A kill between making the file and its first page leaves nothing in it."""
        (tmp_path / "000.db").touch()
        (tmp_path / "000.db-wal").write_bytes(b"\x37\x7f\x06\x82half a frame")

        assert ids_of(tmp_path) == []
        assert not (tmp_path / "set-aside").exists()

    @pytest.mark.parametrize("start", [0.3, 0.6, 0.9])
    def test_what_can_be_read_is_saved_from_a_broken_file(
        self, tmp_path: Path, kept: list[Entry], start: float
    ) -> None:
        """Pages in the middle are junk: the rest is in the new file, each event whole."""
        path = tmp_path / "000.db"
        offset = int(path.stat().st_size * start) // 4_096 * 4_096
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(os.urandom(8 * 4_096))

        found = using(tmp_path, read_all)

        by_id = {one.envelope.id: one for one in kept}
        assert all(by_id[one.envelope.id] == one for one in found)
        assert len(found) > 100

    def test_a_file_cut_in_half_is_set_aside_with_what_it_still_tells(self, tmp_path: Path, kept: list[Entry]) -> None:
        """As a disk that lost its tail leaves it."""
        path = tmp_path / "000.db"
        os.truncate(path, path.stat().st_size // 2 // 4_096 * 4_096)

        found = ids_of(tmp_path)

        assert set(found) <= {one.envelope.id for one in kept}
        assert list((tmp_path / "set-aside").glob("*.db"))

    def test_damage_found_while_it_runs_loses_nothing_that_comes_after(self, tmp_path: Path, kept: list[Entry]) -> None:
        """The entry that met the damage is in the new file when its append returns."""
        one = entry()

        async def work(spool: Spool) -> list[str]:
            with (tmp_path / "000.db").open("r+b") as file:
                file.write(os.urandom(200 * 4_096))
            await append_all(spool, one)
            return await read_ids(spool)

        assert one.envelope.id in using(tmp_path, work)

    def test_one_flipped_byte_sets_one_event_aside(self, tmp_path: Path, kept: list[Entry]) -> None:
        """SQLite does not notice; the checksum does. The others are read as ever."""
        connection = sqlite3.connect(tmp_path / "000.db")
        connection.execute(
            "UPDATE event SET envelope = substr(envelope, 1, 30) || x'00' || substr(envelope, 32) WHERE seq = 7"
        )
        connection.commit()
        connection.close()

        found = ids_of(tmp_path)

        assert found == [one.envelope.id for one in kept[:6] + kept[7:]]
        (aside,) = (tmp_path / "set-aside").glob("000-7-*.json")
        assert kept[6].envelope.id in aside.read_text()

    def test_a_file_of_a_newer_version_is_left_alone(self, tmp_path: Path, kept: list[Entry]) -> None:
        """The next slot is taken; going back to the newer version loses nothing."""
        connection = sqlite3.connect(tmp_path / "000.db")
        connection.execute("PRAGMA user_version=99")
        connection.commit()
        connection.close()
        one = entry()

        using(tmp_path, lambda spool: append_all(spool, one))

        assert slots.used(tmp_path) == [0, 1]
        assert not (tmp_path / "set-aside").exists()


class TestBounds:
    """Beyond its bound or its disk the spool refuses with a remedy, and takes again when there is room."""

    def test_a_full_spool_refuses_and_takes_again(self, tmp_path: Path) -> None:
        """503 with Retry-After; after a removal there is room."""
        records_of = [entry(os.urandom(1_000)) for _ in range(3)]
        room_for_two = sum(spool_row.row_of(one).size for one in records_of[:2]) + 100

        async def work(spool: Spool) -> None:
            await append_all(spool, *records_of[:2])
            with pytest.raises(RequestRefused, match="FRONTDESK_SPOOL_MAX") as refused:
                await spool.append(records_of[2])
            assert (refused.value.status, refused.value.retry_after) == (503, 30)
            assert not await spool.can_keep()
            await spool.remove(await spool.read(1))
            assert await spool.can_keep()
            await spool.append(records_of[2])

        using(tmp_path, work, max_bytes=room_for_two)

        assert ids_of(tmp_path) == [one.envelope.id for one in records_of[1:]]

    def test_quarantine_gets_a_tenth(self, tmp_path: Path) -> None:
        """Junk cannot fill what customers' events need."""
        junk = [entry(os.urandom(1_000), quarantine="no JSON") for _ in range(9)]

        async def work(spool: Spool) -> int:
            kept = 0
            for one in junk:
                try:
                    await spool.append(one)
                    kept += 1
                except RequestRefused as refused:
                    assert "quarantined" in str(refused)  # noqa: PT017 - some are refused, some are not
            await spool.append(entry())
            return kept

        assert using(tmp_path, work, max_bytes=40_000) in (2, 3)

    def test_the_bound_is_for_all_files_of_the_folder(self, tmp_path: Path) -> None:
        """What another process holds counts."""
        (tmp_path / "007.db").write_bytes(b"x" * 100_000)

        async def work(spool: Spool) -> None:
            with pytest.raises(RequestRefused, match="full"):
                await spool.append(entry())

        using(tmp_path, work, max_bytes=90_000)

    def test_a_folder_that_cannot_be_made_refuses_and_recovers(self, tmp_path: Path) -> None:
        """The receiver starts all the same, and spools as soon as the folder can be made."""
        blocker = tmp_path / "var"
        blocker.write_text("a file where the folder should be")
        one = entry()

        async def work(spool: Spool) -> None:
            assert not await spool.can_keep()
            with pytest.raises(RequestRefused, match="cannot be written"):
                await spool.append(one)
            blocker.unlink()
            await append_patiently(spool, one)
            assert await spool.can_keep()

        using(blocker / "spool", work)

        assert ids_of(blocker / "spool") == [one.envelope.id]

    def test_a_limit_on_the_size_of_files_refuses_and_keeps_what_it_had(self, tmp_path: Path) -> None:
        """As on a full disk (test_full_disk.py), where the kernel refuses the write itself, in a process of its own."""
        code = "from tests.receiver.storage.spool.test_spool import fill_up_to_a_limit; fill_up_to_a_limit()"
        ended = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60, check=True
        )

        acknowledged = ended.stdout.split()
        assert len(acknowledged) > 3
        assert set(acknowledged) <= set(ids_of(tmp_path))


async def append_patiently(spool: Spool, one: Entry) -> None:
    """Append once it is possible again."""
    while True:
        try:
            return await spool.append(one)
        except RequestRefused:
            await asyncio.sleep(0.05)


async def fill(spool: Spool) -> list[str]:
    """Append until it is refused; return what was acknowledged."""
    acknowledged: list[str] = []
    for _ in range(10_000):
        one = entry(os.urandom(50_000))
        try:
            await spool.append(one)
        except RequestRefused as refused:
            assert refused.status == 503  # noqa: PT017 - the end of the loop
            return acknowledged
        acknowledged.append(one.envelope.id)
    raise AssertionError("it never was refused")


def fill_up_to_a_limit() -> None:
    """Print the ids that are acknowledged before this process may write no more."""
    logs.configure("error", "json")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    print(*using(Path(sys.argv[1]), fill))


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    """And says so at once."""

    async def work() -> None:
        spool = Spool(tmp_path, max_bytes=LARGE)
        await spool.open()
        await spool.close()
        with pytest.raises(RequestRefused):
            await spool.append(entry())
        with pytest.raises(SpoolUnavailable, match="closed"):
            await spool.read(1)
        await spool.close()

    asyncio.run(work())


def test_a_volume_without_hard_links_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT, and many network and FUSE volumes. An identity that was torn by a crash is made again."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    tmp_path.joinpath("identity").touch()
    one = entry()

    using(tmp_path, lambda spool: append_all(spool, one))

    assert ids_of(tmp_path) == [one.envelope.id]
    assert len(slots.identity(tmp_path)) == 12


def test_processes_that_begin_at_once_agree_on_the_identity(tmp_path: Path) -> None:
    """Whoever is first names the folder."""
    code = (
        "import sys, pathlib; from receiver.storage.spool import slots; print(slots.prepare(pathlib.Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path / "new"], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    told = {one.communicate(timeout=60)[0].strip() for one in started}

    assert told == {slots.identity(tmp_path / "new")}
    assert all(told)


def test_a_volume_without_locks_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And used as soon as it has them."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    async def work(spool: Spool) -> None:
        assert "does not lock files (Operation not supported); put FRONTDESK_DATA_DIR on a local disk" in str(
            spool.trouble
        )
        monkeypatch.undo()
        await append_patiently(spool, entry())
        assert await spool.examine() is None

    monkeypatch.setattr(fcntl, "flock", refuse)
    using(tmp_path, work)


def test_a_folder_that_is_removed_while_it_is_in_use(tmp_path: Path) -> None:
    """An empty spool is made again; what is in another one can still be drained, and nothing more is promised."""
    folder, one = tmp_path / "spool", entry()

    async def work(spool: Spool) -> None:
        shutil.rmtree(folder)
        await spool.append(one)
        assert await read_ids(spool) == [one.envelope.id]
        shutil.rmtree(folder)
        with pytest.raises(RequestRefused, match="was removed"):
            await spool.append(entry())
        assert "was removed" in str(await spool.examine())
        await spool.remove(await spool.read(256))
        assert await spool.examine() is None
        await append_patiently(spool, one)

    using(folder, work)

    assert ids_of(folder) == [one.envelope.id]


def test_the_folder_keeps_its_identity(tmp_path: Path) -> None:
    """Whatever the host is called after its next start."""

    async def name(spool: Spool) -> str:
        return spool.name

    first = using(tmp_path, name)

    assert using(tmp_path, name) == first
    assert first.endswith("/000")
    assert using(tmp_path / "other", name) != first
