"""Tables fit a terminal, and what is there to be copied stays whole."""

import pytest

from receiver.cli.ui import output

HEADINGS = ("received", "id", "action", "business", "status", "deliveries")
ROW = ("11-21 06:20:42", "0mwq0rd65g65lme10000", "CoworkerInvoiceLedgerEntryCreate", 1001, "quarantined", "log: dead")


@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_an_id_is_never_cut(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An id is copied into the next command; an action is recognised by its beginning."""
    monkeypatch.setenv("COLUMNS", str(width))

    output.table(HEADINGS, [ROW])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    for whole in (ROW[0], ROW[1], "1001", ROW[4]):
        assert str(whole) in lines[1]
    assert ROW[2][:5] in lines[1]


@pytest.mark.parametrize("width", [20, 40, 60])
def test_not_even_where_the_terminal_has_no_room_for_it(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal breaks the line; each row is one line all the same."""
    monkeypatch.setenv("COLUMNS", str(width))

    output.table(HEADINGS, [ROW])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for whole in (ROW[0], ROW[1], "1001", ROW[4]):
        assert str(whole) in lines[1]


def test_nothing_is_cut_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a pipe or a file there is no width to fit: what is cut cannot be searched for."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)

    output.table(HEADINGS, [(*ROW[:-1], "log: in flight, waits for the route to be resumed " * 3)])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert ROW[2] in lines[1]
    assert lines[1].rstrip().endswith("waits for the route to be resumed")


def test_a_long_cell_in_the_middle_leaves_room_for_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A route may want many actions; whether it is enabled must still be seen."""
    monkeypatch.setenv("COLUMNS", "80")

    output.table(("name", "action", "enabled"), [("people", "CoworkerCreate, " * 20, "yes")])

    shown = capsys.readouterr().out.splitlines()[1]
    assert shown.startswith("people  CoworkerCreate, ")
    assert shown.split()[-1] == "yes"
