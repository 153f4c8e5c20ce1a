"""`events`: searches by text and by record, whole records for programs, and files."""

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.events import entry, keep_all
from tests.support.processes import Ran, run

FORMULAS = ["=1+1", "+1", "-1+cmd|'/C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\uff1d1", "\r=1"]


def events(redis_url: str, *words: str) -> Ran:
    """Run `events`."""
    return run("events", *words, settings={"FRONTDESK_REDIS_URL": redis_url})


def listed(redis_url: str, *words: str) -> list[dict[str, Any]]:
    """What `events --json` prints."""
    ran = events(redis_url, *words, "--json")
    assert (ran.status, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def acts(redis_url: str) -> list[dict[str, Any]]:
    """The audit log."""
    ran = run("acts", "--json", settings={"FRONTDESK_REDIS_URL": redis_url})
    return [json.loads(line) for line in ran.out.splitlines()]


def kept(client: redis.Redis, *records: object, entity: str | None = "Booking:7") -> list[str]:
    """Keep an event for each record; return their ids."""
    entries = [entry(json.dumps(record).encode(), entity=entity) for record in records]
    keep_all(client, *entries)
    return [one.envelope.id for one in entries]


def test_a_text_is_searched_for_and_the_search_is_an_act(redis_url: str, client: redis.Redis) -> None:
    """However it is written in the record; the audit log does not have the text."""
    ids = kept(client, {"Id": 1, "FullName": "Zoë Müller"}, {"Id": 2}, {"Id": 3, "Notes": "zo\u00eb"})

    found = [one["id"] for one in listed(redis_url, "--text", "ZOË")]
    none = events(redis_url, "--text", "nobody")

    assert found == [ids[2], ids[0]]
    assert none.out == "No events of that kind.\n"
    assert [(act["what"], act["detail"]) for act in acts(redis_url)] == [("search", {"by_text": True})] * 2


def test_pages_follow_one_another(redis_url: str, client: redis.Redis) -> None:
    """Each event once."""
    ids = kept(client, *({"Id": number, "x": "y"} for number in range(7)))
    seen: list[str] = []
    while page := [one["id"] for one in listed(redis_url, "--limit", "3", *(["--after", seen[-1]] if seen else []))]:
        seen += page

    assert seen == ids[::-1]


def test_the_story_of_a_record_says_what_changed(redis_url: str, client: redis.Redis) -> None:
    """By the names of fields; events of other records are not in it, nor is what is worked out while sending."""
    kept(client, {"Id": 8}, entity="Booking:8")
    ids = kept(
        client,
        {"Id": 7, "Online": True, "MinutesToStart": 5},
        {"Id": 7, "Online": False, "MinutesToStart": 4, "Notes": "n"},
        {"Id": 7, "Online": False, "MinutesToStart": 3},
    )

    told = events(redis_url, "--entity", "Booking:7")

    assert [one["id"] for one in listed(redis_url, "--entity", "Booking:7")] == ids[::-1]
    lines = told.out.splitlines()
    assert ("Notes" in lines[1], "Online, Notes" in lines[2], "Online" in lines[3]) == (True, True, False)
    assert "MinutesToStart" not in told.out


def test_programs_get_whole_records_and_that_is_an_act(redis_url: str, client: redis.Redis) -> None:
    """With how they were verified and every attempt."""
    kept(client, {"Id": 1, "FullName": "Ada"})

    (told,) = listed(redis_url, "--full", "--action", "BookingCreate")

    assert told["data"] == {"Id": 1, "FullName": "Ada"}
    assert {"verified_by", "attempts", "entity"} < told.keys()
    assert [(act["what"], act["detail"]) for act in acts(redis_url)] == [("export", {"action": "BookingCreate"})]


def test_a_file_of_lines_has_what_programs_get(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Whole, for its owner only; an act."""
    ids = kept(client, {"Id": 1, "FullName": "Ada"}, {"Id": 2})
    file = tmp_path / "events.jsonl"

    ran = events(redis_url, "--export", str(file))

    assert (ran.status, ran.out) == (0, f"2 events written to {file}.\n")
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert ([one["id"] for one in told], told[1]["data"]["FullName"]) == (ids[::-1], "Ada")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    assert acts(redis_url)[0]["what"] == "export"


def test_no_cell_of_a_table_is_a_formula(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Neither a value nor a name, wherever it stands; numbers stay numbers, and a row is one line."""
    hostile = {formula: formula for formula in FORMULAS} | {"Id": -5, "Cost": -1.5, "Notes": "a\nb\x1b[31m", "ok": True}
    kept(client, hostile, {"Id": 2, "Nested": [{"=1": "=2"}]}, ["=list"])
    file = tmp_path / "events.csv"

    assert events(redis_url, "--export", str(file), "--limit", "3").status == 0

    with file.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    assert len(rows) == 3
    cells = [cell for row in [head, *rows] for cell in row]
    unsafe = [cell for cell in cells if cell.strip("'") and cell.lstrip()[:1] in ("=", "+", "@", "\uff1d")]
    assert unsafe == []
    assert [cell for cell in cells if cell.startswith("-")] == ["-5", "-1.5"]
    assert "\x1b" not in file.read_text()
    assert rows[2][head.index("Notes")] == "a\\x0ab\\x1b[31m"
    assert head[:3] == ["id", "action", "business_id"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--full"], "events --full needs --json"),
        (["--export", "x.xlsx"], "must end with .jsonl or .csv"),
        (["--export", "{there}"], "is there already"),
        (["--export", "/nowhere/at/all.csv"], "cannot be written: No such file or directory"),
        (["--entity", "Booking"], "write its kind and its Id, as in Booking:123"),
        (["--entity", "Booking:1\x1b[31m"], "is not a record"),
        (["--after", "x"], "is not the id of an event"),
        (["--since", "5m", "--until", "1h"], "--since: 5m is not before --until 1h"),
        (["--text", ""], "give 1 to 300 characters"),
        (["--text", "x" * 301], "give 1 to 300 characters"),
    ],
)
def test_a_wrong_call_is_one_sentence(redis_url: str, tmp_path: Path, words: list[str], sentence: str) -> None:
    """And nothing is written."""
    there = tmp_path / "there.csv"
    there.write_text("mine")

    ran = events(redis_url, *[word.format(there=there) for word in words])

    assert (ran.status, ran.out, there.read_text()) == (1, "", "mine")
    assert sentence in ran.err
    assert "\x1b" not in ran.err
