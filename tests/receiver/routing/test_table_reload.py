"""The table of a process follows its file through every way in which files are edited, and survives wrong ones."""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from receiver.core.errors import RoutesError, StorageUnavailable
from receiver.nexudus import actions
from receiver.routing.table_reload import CurrentTable
from tests.support.processes import wait_until

Lines = list[Any]


def routes(*names: str) -> str:
    return "routes:\n" + "".join(f"  - {{name: {name}, action: BookingCreate, handler: log}}\n" for name in names)


WRONG = "routes:\n  - {actoin: BookingCreate, handler: log}\n"


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged during the test."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def current(tmp_path: Path, **options: Any) -> CurrentTable:
    given = {"still_s": 0.1, **options}
    return CurrentTable(
        tmp_path / "etc" / "routes.yaml", known_actions=actions.NAMES, data_dir=tmp_path / "var", **given
    )


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "etc" / "routes.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def names(one: CurrentTable) -> list[str]:
    return [route.name for route in one.table.routes] if one.table else []


def events(lines: Lines, name: str) -> Lines:
    return [line for line in lines if line["event"] == name]


def test_a_right_file_is_the_table_and_is_kept_as_the_last_good_one(tmp_path: Path, lines: Lines) -> None:
    """In the data directory, which is made, and where the caller says."""
    write(tmp_path, routes("one"))
    saved: list[str] = []

    one = current(tmp_path, save=saved.append)
    one.start()

    assert one.table is not None
    assert (names(one), one.problems) == (["one"], ())
    assert (tmp_path / "var" / "routes.last-good.yaml").read_text() == saved[0]
    assert saved[0].endswith(routes("one"))
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["routes.last-good.yaml"]
    assert events(lines, "routes.reloaded")[0]["hash"] == one.table.hash


def test_a_wrong_file_falls_back_to_the_last_good_one_loudly(tmp_path: Path, lines: Lines) -> None:
    """A new process, after yesterday's edit broke the file."""
    write(tmp_path, routes("good"))
    current(tmp_path).start()
    good = current(tmp_path)
    good.start()
    write(tmp_path, WRONG)

    one = current(tmp_path)
    one.start()

    assert names(one) == ["good"]
    assert one.table == good.table
    assert [problem.line for problem in one.problems] == [2]
    (refused,) = events(lines, "routes.refused")
    assert refused["line"] == 2
    assert "did you mean 'action'?" in refused["problem"]
    assert refused["log_level"] == "error"
    assert events(lines, "routes.last_good_used")[0]["log_level"] == "error"


def test_without_a_last_good_table_there_is_none(tmp_path: Path, lines: Lines) -> None:
    """Events are kept unrouted; nothing stops."""
    one = current(tmp_path)
    one.start()

    assert one.table is None
    assert "No such file" in one.problems[0].message
    assert events(lines, "routes.none_usable")


def test_strict_raises_instead_of_falling_back(tmp_path: Path) -> None:
    """For `work`, which must not run yesterday's handlers."""
    write(tmp_path, routes("good"))
    current(tmp_path).start(strict=True)
    write(tmp_path, WRONG)

    with pytest.raises(RoutesError, match="did you mean 'action'"):
        current(tmp_path).start(strict=True)


def test_the_newest_copy_wins(tmp_path: Path) -> None:
    """That of the store, if another receiver read a newer file; that of the data directory if the store's is older."""
    write(tmp_path, routes("older"))
    store: list[str] = []
    current(tmp_path, save=store.append).start()
    write(tmp_path, routes("newer"))
    current(tmp_path, save=store.append).start()
    write(tmp_path, WRONG)
    older, newer = store

    from_disk = current(tmp_path, load=lambda: older)
    from_disk.start()
    (tmp_path / "var" / "routes.last-good.yaml").write_text(older)
    from_store = current(tmp_path, load=lambda: newer)
    from_store.start()

    assert (names(from_disk), names(from_store)) == (["newer"], ["newer"])


def test_a_copy_that_is_used_is_put_back_where_it_is_missing(tmp_path: Path) -> None:
    """The store was flushed, or the disk is a new one: one accident more must not lose the last copy."""
    write(tmp_path, routes("good"))
    current(tmp_path).start()
    path = tmp_path / "var" / "routes.last-good.yaml"
    kept = path.read_text()
    write(tmp_path, WRONG)
    store: list[str] = []

    current(tmp_path, save=store.append, load=lambda: None).start()
    path.unlink()
    current(tmp_path, load=lambda: store[0]).start()

    assert store == [kept], "as old as it was"
    assert path.read_text() == kept


def test_a_copy_that_cannot_be_used_gives_way_to_the_next(tmp_path: Path, lines: Lines) -> None:
    """A newer copy of another version of ours, or one cut short, is no reason to have no table."""
    write(tmp_path, routes("good"))
    store: list[str] = []
    current(tmp_path, save=store.append).start()
    write(tmp_path, WRONG)
    future = f"# frontdesk: the last good routes, saved 2999-01-01T00:00:00.000000+00:00\n{WRONG}"

    one = current(tmp_path, load=lambda: future)
    one.start()

    assert names(one) == ["good"]
    assert events(lines, "routes.copy_unreadable")[0]["where"] == "store"


def _unavailable(*_: object) -> str:
    raise StorageUnavailable("Redis does not answer")


def _broken(*_: object) -> str:
    raise ZeroDivisionError


@pytest.mark.parametrize("broken", [_unavailable, _broken])
def test_a_copy_that_cannot_be_kept_or_read_is_only_logged(
    tmp_path: Path, lines: Lines, broken: Callable[..., str]
) -> None:
    """Neither a read-only data directory nor a store that is down stops anything."""
    write(tmp_path, routes("one"))
    (tmp_path / "var").write_text("a file where the folder should be")

    one = current(tmp_path, save=broken, load=broken)
    one.start()
    write(tmp_path, WRONG)
    nothing = current(tmp_path, save=broken, load=broken)
    nothing.start()

    assert names(one) == ["one"]
    assert nothing.table is None
    assert len(events(lines, "routes.copy_failed")) == 2
    assert events(lines, "routes.copy_unreadable")


def test_a_wrong_edit_keeps_the_table_and_is_logged_once(tmp_path: Path, lines: Lines) -> None:
    """However often the file is looked at; another wrong edit is logged again, and so is the right one."""
    write(tmp_path, routes("one"))
    one = current(tmp_path)
    one.start()
    before = one.table

    write(tmp_path, WRONG)
    assert [one.reload() for _ in range(5)] == [False] * 5
    assert one.table is before
    assert len(events(lines, "routes.refused")) == 1
    assert before is not None
    assert events(lines, "routes.refused")[0]["table_kept"] == before.hash
    write(tmp_path, WRONG + WRONG)
    one.reload()
    assert len(events(lines, "routes.refused")) == 3
    (tmp_path / "etc" / "routes.yaml").unlink()
    assert [one.reload() for _ in range(3)] == [False] * 3
    assert len(events(lines, "routes.refused")) == 4
    assert one.problems
    write(tmp_path, routes("one"))
    assert one.reload()
    assert one.table == before
    assert one.problems == ()
    assert not one.reload()


def _in_place(path: Path, text: str) -> None:
    path.write_text(text)


def _by_rename(path: Path, text: str) -> None:
    """As vim, sed -i, Ansible and our own tools write: a new file takes the name."""
    new = path.with_name(".routes.yaml.swp")
    new.write_text(text)
    new.replace(path)


def _with_backup(path: Path, text: str) -> None:
    """As vim with `backupcopy=no`, and emacs: the old file goes to another name, then a new one is written."""
    path.rename(path.with_name("routes.yaml~"))
    path.write_text(text)


def _deleted_and_made_again(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _same_size_same_time(path: Path, text: str) -> None:
    """An edit that neither size nor time shows."""
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _folder_exchanged(path: Path, text: str) -> None:
    """As a deployment tool does that puts a whole directory in place."""
    new = path.parent.with_name("etc.new")
    new.mkdir()
    (new / path.name).write_text(text)
    shutil.move(path.parent, path.parent.with_name(f"etc.old-{len(text)}-{os.urandom(3).hex()}"))
    new.rename(path.parent)


EDITS = [_in_place, _by_rename, _with_backup, _deleted_and_made_again, _same_size_same_time, _folder_exchanged]


@pytest.mark.parametrize("edit", EDITS)
def test_every_way_of_editing_is_noticed(tmp_path: Path, edit: Callable[[Path, str], None]) -> None:
    """Several times in a row, because some watches follow the file that was."""
    path = write(tmp_path, routes("v0"))
    one = current(tmp_path)
    one.start()
    one.start_watching()
    try:
        for version in ("v1", "v2", "v3"):
            edit(path, routes(version))
            wait_until(lambda version=version: names(one) == [version], f"{version} after {edit.__name__}")  # type: ignore[misc]
    finally:
        one.stop_watching()


class _Growing:
    """A file that somebody writes in place, a route at a time, which is right after each of them."""

    def __init__(self, path: Path, parts: list[str]) -> None:
        self.path, self.parts = path, parts

    def write(self) -> None:
        self.path.write_text("")
        with self.path.open("a") as stream:
            for part in self.parts:
                stream.write(part)
                stream.flush()
                time.sleep(0.05)


def test_a_file_that_is_written_slowly_counts_when_it_is_complete(tmp_path: Path, lines: Lines) -> None:
    """scp, rsync --inplace, a network file system: half of it would leave the events of the other half unrouted."""
    path = write(tmp_path, routes("old"))
    wanted = [f"new-{n}" for n in range(20)]
    head, *parts = routes(*wanted).splitlines(keepends=True)
    one = current(tmp_path, still_s=3.0)
    one.reload()
    one.start_watching()
    try:
        _Growing(path, [head, *parts]).write()
        wait_until(lambda: names(one) != ["old"], "another table")
        assert names(one) == wanted
    finally:
        one.stop_watching()

    assert len(events(lines, "routes.reloaded")) == 2
    assert not events(lines, "routes.refused")


def test_a_process_that_starts_while_the_file_is_written_waits_for_all_of_it(tmp_path: Path, lines: Lines) -> None:
    """A restart that overtakes the copying of the file."""
    path = write(tmp_path, routes("old"))
    current(tmp_path).start()
    wanted = [f"new-{n}" for n in range(20)]
    path.write_text("routes:\n")
    writing = threading.Thread(target=_Growing(path, routes(*wanted).splitlines(keepends=True)).write)
    writing.start()
    one = current(tmp_path, still_s=6.0)
    one.start()
    writing.join()

    assert names(one) == wanted


def test_a_config_map_of_kubernetes_is_noticed(tmp_path: Path) -> None:
    """routes.yaml links to ..data/routes.yaml, and ..data to a folder that is exchanged at each update."""
    mount = tmp_path / "etc"
    mount.mkdir()

    def update(version: str) -> None:
        (mount / f"..{version}").mkdir()
        (mount / f"..{version}" / "routes.yaml").write_text(routes(version))
        (mount / "..data_tmp").symlink_to(f"..{version}")
        (mount / "..data_tmp").replace(mount / "..data")

    update("v0")
    (mount / "routes.yaml").symlink_to("..data/routes.yaml")
    one = current(tmp_path)
    one.start()
    one.start_watching()
    try:
        for version in ("v1", "v2"):
            update(version)
            shutil.rmtree(mount / f"..v{int(version[1]) - 1}")
            wait_until(lambda version=version: names(one) == [version], version)  # type: ignore[misc]
    finally:
        one.stop_watching()


def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path) -> None:
    """Edits of what it links to, and a link that is pointed elsewhere."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    link = tmp_path / "etc" / "routes.yaml"
    (tmp_path / "a" / "r.yaml").write_text(routes("a0"))
    link.symlink_to(tmp_path / "a" / "r.yaml")
    one = current(tmp_path)
    one.start()
    one.start_watching()
    try:
        (tmp_path / "a" / "r.yaml").write_text(routes("a1"))
        wait_until(lambda: names(one) == ["a1"], "an edit of the target")
        (tmp_path / "b" / "r.yaml").write_text(routes("b0"))
        link.unlink()
        link.symlink_to(tmp_path / "b" / "r.yaml")
        wait_until(lambda: names(one) == ["b0"], "another target")
        (tmp_path / "b" / "r.yaml").write_text(routes("b1"))
        wait_until(lambda: names(one) == ["b1"], "an edit of the new target")
    finally:
        one.stop_watching()


def test_a_file_that_comes_later_is_found(tmp_path: Path) -> None:
    """Neither the file nor its folder is there when the process starts."""
    one = current(tmp_path)
    one.start()
    one.start_watching()
    try:
        write(tmp_path, routes("late"))
        wait_until(lambda: names(one) == ["late"], "the file")
    finally:
        one.stop_watching()


def test_watching_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """The thread is gone, twice is no harm, and it can be started again."""
    path = write(tmp_path, routes("v0"))
    one = current(tmp_path)
    one.start()
    one.stop_watching()
    for _ in range(2):
        one.start_watching()
        one.start_watching()
        assert sum(thread.name == "routes" for thread in threading.enumerate()) == 1
        one.stop_watching()
        one.stop_watching()
        assert not any(thread.name == "routes" for thread in threading.enumerate())

    _by_rename(path, routes("v1"))
    assert names(one) == ["v0"]


def test_an_event_loop_watches_without_being_held_up(tmp_path: Path) -> None:
    """`watch` runs beside other tasks and ends when it is cancelled."""
    path = write(tmp_path, routes("v0"))
    one = current(tmp_path)
    one.start()

    async def follow() -> int:
        watching = asyncio.create_task(one.watch())
        _by_rename(path, routes("v1"))
        turns = 0
        async with asyncio.timeout(30):
            while names(one) != ["v1"]:
                turns += 1
                await asyncio.sleep(0.01)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert watching.cancelled()
        return turns

    assert asyncio.run(follow()) > 0


def test_readers_see_the_old_table_or_the_new_one_and_nothing_between(tmp_path: Path) -> None:
    """Threads match while the file is rewritten again and again."""
    path = write(tmp_path, routes(*(f"a-{n}" for n in range(20))))
    one = current(tmp_path)
    one.start()
    done = threading.Event()
    seen: set[tuple[str, ...]] = set()

    def read() -> None:
        while not done.is_set():
            table = one.table
            assert table is not None
            seen.add(tuple(route.name[0] for route in table.match(1, "BookingCreate", {}).routes))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for version in ("b", "a") * 5:
        _by_rename(path, routes(*(f"{version}-{n}" for n in range(20))))
        one.reload()
    done.set()
    for reader in readers:
        reader.join()

    assert seen <= {("a",) * 20, ("b",) * 20}
