"""The line of a request: for programs or for people, and fit to be read by anybody."""

import asyncio
import dataclasses
import re
from pathlib import Path

import orjson
import pytest

from receiver.process.line_writer import LineWriter
from receiver.storage.model.entries import Receipt
from receiver.web.request_log import Answered, RequestLog, masked
from tests.support.lines import written

TAKEN = Answered(
    "POST", "192.0.2.1", 202, None, 1001, "BookingCreate", 1_523, [Receipt("e1", "accepted")], None, 0.0019
)


def _written(answered: Answered, level: str = "info", style: str = "json") -> bytes:
    async def write(writer: LineWriter) -> None:
        log = RequestLog(level, "console" if style == "console" else "json", writer)
        log.write(answered)
        log.flush()

    return written(lambda writer: asyncio.run(write(writer)))


def test_people_read_what_matters() -> None:
    """Time, status, what and where, size, what became of it, how long."""
    line = _written(TAKEN, style="console").decode()

    assert line[8:] == "  202  BookingCreate@1001  1523 bytes  accepted e1  1.9 ms\n"


def test_a_path_cannot_write_to_the_terminal() -> None:
    """Control characters and long segments are not in it."""
    line = _written(Answered("GET", "192.0.2.1", 404, "/\x1b[31m/" + "s" * 32), style="console")

    assert b"404  GET  '/\\x1b[31m/***'" in line


@pytest.mark.parametrize(
    ("level", "status", "is_written"),
    [("info", 202, True), ("warning", 202, False), ("warning", 401, True), ("error", 401, False), ("error", 503, True)],
)
def test_below_the_level_nothing_is_written(level: str, status: int, is_written: bool) -> None:
    """Refusals are warnings, our own failures errors."""
    answered = Answered("POST", "192.0.2.1", status, None, 1, "A", error="why")

    assert bool(_written(answered, level)) == is_written


def test_lines_are_written_together_soon(tmp_path: Path) -> None:
    """Without anybody asking for it."""

    def lines() -> int:
        return (tmp_path / "log").read_bytes().count(b"\n")

    async def write(file: int) -> None:
        log = RequestLog("info", "json", LineWriter(file))
        for _ in range(65):
            log.write(TAKEN)
        for _ in range(1_500):
            if lines() == 65:
                return
            await asyncio.sleep(0.02)

    with (tmp_path / "log").open("wb") as output:
        asyncio.run(write(output.fileno()))
        assert lines() == 65


def test_a_line_is_one_object_whatever_the_address_is() -> None:
    """The usual line is put together by hand."""
    odd = dataclasses.replace(TAKEN, client='fe80::1%"\\,\n')

    assert orjson.loads(_written(odd))["client"] == odd.client


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/hooks/1001/BookingCreate/tGRskeNILPFZsailLndYzlo9IhlULoxl", "/hooks/1001/BookingCreate/***"),
        ("/hook/1001/BookingCreate/tGRskeNILPFZsailLndYzlo9IhlULoxl/", "/hook/1001/BookingCreate/***/"),
        ("tGRskeNILPFZsailLndYzlo9IhlULoxl", "***"),
        ("/favicon.ico", "/favicon.ico"),
        ("/HOOKS/1001/BookingCreate/TGRSKENILPFZSAILLNDYZLO9IHLULOXL", "/HOOKS/1001/BookingCreate/***"),
        ("/hooks%2F1001%2FBookingCreate%2FtGRskeNILPFZsailLndYzlo9IhlULoxl", "/***"),
        ("/x?t=tGRskeNILPFZsailLndYzlo9IhlULoxl", "/***"),
        ("/%74%47%52%73%6b%65%4e/", "/***/"),
        ("/a/" * 200, "/a/" * 40),
        ("/a" * 55 + "/tGRskeNILPFZsailLndYzlo9IhlULoxl" * 200, "/a" * 55 + "/***/***/*"),
    ],
)
def test_tokens_are_masked_wherever_they_are(path: str, shown: str) -> None:
    """A mistyped URL has the token in it too."""
    assert masked(path) == shown


def test_the_line_of_a_refusal_says_why() -> None:
    """With its level."""
    line = orjson.loads(_written(Answered("POST", "192.0.2.1", 503, None, 1, "A", error="Redis: away")))

    assert (line["level"], line["error"], line["outcome"]) == ("error", "Redis: away", [])


def test_the_usual_line_says_what_any_other_line_says() -> None:
    """It is written another way, because there are many of it."""
    several = dataclasses.replace(TAKEN, receipts=[*TAKEN.receipts, Receipt("e2", "accepted")])
    usual, other = (orjson.loads(_written(one)) for one in (TAKEN, several))

    assert list(usual) == list(other)
    assert usual | {"timestamp": "", "events": []} == other | {"timestamp": "", "events": []}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", usual["timestamp"])
    assert usual["timestamp"][:16] <= other["timestamp"][:16]
