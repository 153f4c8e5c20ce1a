"""Lines of many writers reach the terminal whole, harmless, and without making anyone wait."""

import os
import threading
from pathlib import Path

from receiver.process.prefixed_output import PrefixedOutput


def test_lines_are_told_apart_by_name(tmp_path: Path) -> None:
    """The prefix is as wide as the longest name."""
    with (tmp_path / "out").open("wb") as output:
        screen = PrefixedOutput(("serve", "valkey"), file=output.fileno())
        screen.say("serve", "listens")
        screen.say("valkey", "José 🥶")
        screen.close()

    assert (tmp_path / "out").read_text("utf-8") == "serve  | listens\nvalkey | José 🥶\n"


def test_each_name_has_its_colour(tmp_path: Path) -> None:
    """Only the prefix is coloured; two names differ."""
    with (tmp_path / "out").open("wb") as output:
        screen = PrefixedOutput(("a", "b"), file=output.fileno(), colour=True)
        screen.say("a", "x")
        screen.say("b", "x")
        screen.close()

    assert (tmp_path / "out").read_text() == "\x1b[36ma |\x1b[0m x\n\x1b[33mb |\x1b[0m x\n"


def test_text_can_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences, bidirectional overrides and line separators are shown as what they are."""
    with (tmp_path / "out").open("wb") as output:
        screen = PrefixedOutput(("a",), file=output.fileno())
        screen.say("a", "\x1b]0;title\x07 \u202etxt\u2028 \x9b2J \ttab \udcff")
        screen.close()

    assert (tmp_path / "out").read_text() == "a | \\x1b]0;title\\x07 \\u202etxt\\u2028 \\x9b2J \ttab \\udcff\n"


def test_lines_of_many_threads_are_never_mixed(tmp_path: Path) -> None:
    """One writer writes one line after the other."""
    with (tmp_path / "out").open("wb") as output:
        screen = PrefixedOutput(tuple("abcd"), file=output.fileno())

        def speak(name: str) -> None:
            for _ in range(200):
                screen.say(name, name * 1000)

        threads = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        screen.close()

    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) == 800
    assert all(line == f"{line[0]} | {line[0] * 1000}" for line in lines)


def test_a_terminal_that_stands_still_stops_nobody() -> None:
    """A full pipe is what Ctrl-S looks like: callers go on, and what was not shown is counted afterwards."""
    reading, writing = os.pipe()
    screen = PrefixedOutput(("a",), file=writing)

    for _ in range(30_000):
        screen.say("a", "x" * 100)

    # The pipe is read from here on; the writer thread was stuck in it all the while.
    def close() -> None:
        screen.close(within_s=20)
        os.close(writing)

    closer = threading.Thread(target=close)
    closer.start()
    with os.fdopen(reading, "rb") as stream:
        lines = stream.read().decode().splitlines()
    closer.join()
    dropped = [int(line.split()[1]) for line in lines if line.startswith("...")]
    assert sum(dropped) > 0
    assert sum(dropped) + len(lines) - len(dropped) == 30_000


def test_a_reader_that_went_away_is_no_error() -> None:
    """`frontdesk up | head` goes on quietly."""
    reading, writing = os.pipe()
    screen = PrefixedOutput(("a",), file=writing)
    os.close(reading)

    screen.say("a", "x")
    screen.close()

    os.close(writing)
