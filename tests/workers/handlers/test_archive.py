"""archive appends whole lines, also when many write at once, when a writer dies, and when the disk is full."""

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from tests.support.handled import an_event
from workers.handlers import archive as archiving
from workers.plugins import loader

DAY = datetime(2026, 3, 14, 23, 59, 59, tzinfo=UTC)


def append(folder: Path, day: datetime = DAY, **changes: object) -> Path:
    return archiving.append(folder, an_event(**changes), clock=lambda: day)


def test_a_line_holds_the_event_as_a_handler_sees_it(tmp_path: Path) -> None:
    """Into the file of today (UTC), which belongs to its owner alone."""
    folder = tmp_path / "made" / "as needed"

    loader.load("archive", {"path": str(folder)}, environ={}, folder=tmp_path).call(an_event())

    (file,) = folder.iterdir()
    assert datetime.strptime(file.name, "%Y-%m-%d.jsonl").replace(tzinfo=UTC).year >= 2026
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {
        "id": "00m5x2k1qabcdefg0001", "key": "00m5x2k1qabcdefg0001", "action": "BookingCreate", "action_code": 41,
        "business_id": 1001, "received_at": "2026-03-14T15:09:26.535000Z", "origin": "webhook", "attempt": 1,
        "superseded": False,
        "data": {"Id": 77, "CoworkerFullName": "Zoë Ångström 🥶", "EstimatedCost": 12.5, "Notes": None},
    }  # fmt: skip


def test_a_home_that_is_not_known_fails_the_attempt_with_the_remedy(tmp_path: Path) -> None:
    """As in a container, where the user has no entry and HOME is not set."""
    handler = loader.load("archive", {"path": "~nobody-of-that-name/out"}, environ={}, folder=tmp_path)

    with pytest.raises(archiving.NotArchived, match="begins with ~.*; write the whole path, or set HOME"):
        handler.call(an_event())


def test_each_day_has_its_file_and_a_past_one_never_changes(tmp_path: Path) -> None:
    """By the time of writing, whenever the event arrived."""
    append(tmp_path)
    before = (tmp_path / "2026-03-14.jsonl").read_bytes()

    append(tmp_path, datetime(2026, 3, 15, tzinfo=UTC))

    assert sorted(file.name for file in tmp_path.iterdir()) == ["2026-03-14.jsonl", "2026-03-15.jsonl"]
    assert (tmp_path / "2026-03-14.jsonl").read_bytes() == before


def test_what_a_crash_left_of_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    """The half line stays, on a line of its own; nothing is deleted."""
    file = append(tmp_path, id="one")
    with file.open("ab") as stream:
        stream.write(b'{"id":"half')

    append(tmp_path, id="two")

    lines = file.read_bytes().split(b"\n")
    assert [orjson.loads(lines[0])["id"], lines[1], orjson.loads(lines[2])["id"], lines[3]] == [
        "one", b'{"id":"half', "two", b"",
    ]  # fmt: skip


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tests.support.handled import an_event
from workers.handlers.archive import append
folder, name, count, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
for number in range(count):
    event = an_event(id=f"{name}-{number}", data={"Id": number, "Notes": name * size})
    append(folder, event, clock=lambda: datetime(2026, 3, 14, tzinfo=UTC))
    print(number, flush=True)
"""


def a_writer(folder: Path, name: str, count: int, size: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(folder), name, str(count), str(size)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_many_processes_and_threads_write_whole_lines(tmp_path: Path) -> None:
    """Also lines far longer than a pipe's or a page's worth of bytes."""
    writers = [a_writer(tmp_path, name, 60, 20_000) for name in "abcd"]
    threads = [
        threading.Thread(target=lambda n=n: [append(tmp_path, id=f"{n}-{i}") for i in range(30)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for writer in writers:
        writer.communicate(timeout=90)
    for thread in threads:
        thread.join(90)

    events = [orjson.loads(line) for line in (tmp_path / "2026-03-14.jsonl").read_bytes().splitlines()]

    wanted = {f"{name}-{number}" for name in "abcd" for number in range(60)}
    wanted |= {f"{name}-{number}" for name in range(4) for number in range(30)}
    assert {event["id"] for event in events} == wanted
    assert len(events) == len(wanted)


def test_writers_that_are_killed_lose_no_line_they_reported(tmp_path: Path) -> None:
    """kill -9 at any moment: what was acknowledged is there, whole; the survivors' lines are whole too."""
    survivor = a_writer(tmp_path, "s", 40, 1_000)
    reported: set[str] = set()
    for name in "klmnop":
        victim = a_writer(tmp_path, name, 100_000, 50_000)
        assert victim.stdout is not None
        for line in victim.stdout:
            if line.strip() == "7":
                break
        victim.send_signal(signal.SIGKILL)
        rest = victim.stdout.read().split()
        victim.wait(30)
        victim.stdout.close()
        reported |= {f"{name}-{number}" for number in [*range(8), *(int(one) for one in rest if one.isdigit())]}
    survivor.communicate(timeout=90)

    whole = set()
    for raw in (tmp_path / "2026-03-14.jsonl").read_bytes().splitlines():
        if raw.endswith(b"}"):
            whole.add(orjson.loads(raw)["id"])

    assert reported <= whole
    assert {f"s-{number}" for number in range(40)} <= whole


LIMITED = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from tests.support.handled import an_event
from workers.handlers.archive import NotArchived, append
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    event = an_event(id="two", data={"Notes": "x" * 10_000})
    append(Path(sys.argv[1]), event, clock=lambda: datetime(2026, 3, 14, tzinfo=UTC))
except (OSError, NotArchived):
    sys.exit(42)
"""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The attempt fails, the file is as before, and the next attempt finds it so."""
    file = append(tmp_path, id="one")
    before = file.read_bytes()
    limited = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path), str(len(before) + 100)], timeout=60)

    assert limited.returncode == 42
    assert file.read_bytes() == before


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_csv_has_a_header_chosen_columns_and_the_whole_record(tmp_path: Path) -> None:
    """What a spreadsheet takes for a formula, and what breaks a line, is a text on one line."""
    record = {"Id": 77, "Name": '=HYPERLINK("x")', "Notes": "one\ntwo", "Price": -12.5, "Cancelled": False}
    options = {"path": str(tmp_path), "format": "csv", "columns": ["Name", "Notes", "Price", "Cancelled", "Missing"]}
    handler = loader.load("archive", options, environ={}, folder=tmp_path)

    handler.call(an_event(data=record))
    handler.call(an_event())

    (file,) = tmp_path.iterdir()
    header, first, second = _rows(file)
    assert header[-7:] == ["superseded", "Name", "Notes", "Price", "Cancelled", "Missing", "data"]
    assert first[:7] == [
        *("00m5x2k1qabcdefg0001", "00m5x2k1qabcdefg0001", "BookingCreate", "41", "1001"),
        *("2026-03-14T15:09:26.535000+00:00", "webhook"),
    ]
    assert first[-6:-1] == ['\'=HYPERLINK("x")', "one\\x0atwo", "-12.5", "false", ""]
    assert json.loads(first[-1].replace("\\\\n", "n")) | {"Notes": ""} == record | {"Notes": ""}
    assert (len(second), second[-6]) == (len(header), "")
    assert file.stat().st_mode & 0o777 == 0o600


def test_other_columns_begin_another_file(tmp_path: Path) -> None:
    """After an edit of the route, and when routes share a folder; each file keeps its own columns, and JSON its own."""

    def add(*columns: str) -> str:
        return archiving.append(tmp_path, an_event(), clock=lambda: DAY, columns=columns).name

    assert [add("Id"), add("Id", "Notes"), add("Id"), append(tmp_path).name, add("Id", "Notes")] == [
        *("2026-03-14.csv", "2026-03-14-2.csv", "2026-03-14.csv", "2026-03-14.jsonl", "2026-03-14-2.csv"),
    ]
    assert [len(_rows(tmp_path / name)) for name in ("2026-03-14.csv", "2026-03-14-2.csv")] == [3, 3]
    for number in range(18):
        add(f"Field{number}")
    with pytest.raises(archiving.NotArchived, match="20 files of 2026-03-14 with other columns"):
        add("One more")


@pytest.mark.parametrize("left", [10, 300, 100_000])
def test_what_a_crash_left_of_a_row_is_gone(left: int, tmp_path: Path) -> None:
    """An open quote would take in the rows behind it. A header that is not whole is written anew."""
    file = archiving.append(tmp_path, an_event(), clock=lambda: DAY, columns=["Notes"])
    whole = file.read_bytes()
    if left < len(whole):
        file.write_bytes(whole[:left])
    else:
        file.write_bytes(whole + b'"' + b"x" * left)

    archiving.append(tmp_path, an_event(), clock=lambda: DAY, columns=["Notes"])

    rows = _rows(file)
    assert [row[0] for row in rows] == ["id"] + ["00m5x2k1qabcdefg0001"] * (2 if left > len(whole) else 1)
    assert {len(row) for row in rows} == {11}


@pytest.mark.parametrize("trap", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_not_written_to(trap: str, tmp_path: Path) -> None:
    """A link would send personal data elsewhere, a pipe would hang the worker."""
    file = tmp_path / "2026-03-14.jsonl"
    elsewhere = tmp_path / "elsewhere"
    if trap == "link":
        file.symlink_to(elsewhere)
    elif trap == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()

    with pytest.raises((OSError, archiving.NotArchived)):
        append(tmp_path)

    assert not elsewhere.exists()
