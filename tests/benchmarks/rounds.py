"""Interleaving: everybody is measured once in each round, in an order of chance, so that ratios share their seconds."""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from tests.benchmarks.environments import Missing

S = TypeVar("S")
M = TypeVar("M")


class Rounds(Generic[S, M]):
    """Measurements of *S* (by name), one for each round."""

    def __init__(self, subjects: Sequence[S], name: Callable[[S], str]) -> None:
        self._name = name
        self._chance = random.Random(5)
        self.subjects = list(subjects)
        self.found: dict[str, list[M]] = {name(subject): [] for subject in subjects}
        self.notes: list[str] = []

    def run(self, number: int, measure: Callable[[S], M]) -> None:
        """Measure all of them *number* times. Who fails is left out from then on, loudly."""
        for turn in range(number):
            for subject in self._chance.sample(self.subjects, len(self.subjects)):
                name = self._name(subject)
                say(f"  round {turn + 1} of {number}: {name}")
                try:
                    self.found[name].append(measure(subject))
                except (Missing, AssertionError, OSError) as reason:
                    self.leave_out(subject, str(reason))

    def leave_out(self, subject: S, reason: str) -> None:
        """Go on without one of them."""
        name = self._name(subject)
        lines = reason.strip().splitlines() or ["it failed"]
        self.notes.append(f"NOT MEASURED: {name}: {lines[0][:300]}")
        say("\n".join([f"NOT MEASURED: {name}:", *lines[:1], *lines[1:][-12:]]))
        self.subjects.remove(subject)
        del self.found[name]

    def present(self) -> Iterator[tuple[str, list[M]]]:
        """Yield the name and the measurements of everybody who took part in every round."""
        yield from self.found.items()


def say(line: str) -> None:
    """Tell whoever waits what is going on."""
    print(line, file=sys.stderr, flush=True)
