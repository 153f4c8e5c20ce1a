"""`python -m tests.benchmarks [BENCHMARK...]`: measure, print the tables, write them to `build/bench/`.

Without a name all of them in the quick form, about ten minutes; `--full` takes longer windows, more rounds, a million
events. Nothing here fails because it was slow: a goal that is not reached is a line in a table.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import (
    backfill,
    cost,
    delivery,
    flatness,
    ingest,
    latency,
    memory,
    nocode,
    open_loop,
    outage,
    report,
    scale,
)
from tests.benchmarks.results import Result
from tests.benchmarks.rounds import say


@dataclass(frozen=True, slots=True)
class Form:
    """How long and how often: what the command line asks for, else what the quick or the full form has."""

    rounds: int | None
    seconds: float | None
    events: int | None
    routes: int
    full: bool
    peers: bool

    def turns(self, quick: int, full: int) -> int:
        """How many rounds."""
        return self.rounds or (full if self.full else quick)

    def length(self, quick: float, full: float) -> float:
        """How many seconds for each measurement."""
        return self.seconds or (full if self.full else quick)

    def size(self, quick: int, full: int) -> int:
        """How many events."""
        return self.events or (full if self.full else quick)


BENCHMARKS: Mapping[str, Callable[[Form], Result]] = {
    "ingest": lambda f: ingest.run(rounds=f.turns(3, 9), seconds=f.length(1.5, 3.0), peers=f.peers),
    "open-loop": lambda f: open_loop.run(rounds=f.turns(3, 9), seconds=f.length(2.0, 5.0)),
    "delivery": lambda f: delivery.run(rounds=f.turns(2, 7), seconds=f.length(1.5, 4.0), peers=f.peers),
    "waiting": lambda f: delivery.run_waiting(rounds=f.turns(1, 5), seconds=f.length(2.0, 4.0), peers=f.peers),
    "latency": lambda f: latency.run(rounds=f.turns(1, 5), seconds=f.length(5.0, 20.0), peers=f.peers),
    "memory": lambda f: memory.run(events=f.size(10_000, 10_000), peers=f.peers),
    "backlog": lambda f: scale.run_backlog(
        rounds=f.turns(3, 9), seconds=f.length(1.0, 2.0), events=f.size(100_000, 1_000_000)
    ),
    "routes": lambda f: scale.run_routes(rounds=f.turns(3, 9), seconds=f.length(1.0, 2.0), routes=f.routes),
    "outage": lambda f: outage.run(rounds=f.turns(1, 5)),
    "flatness": lambda f: flatness.run(events=f.size(60_000, 1_000_000)),
    "nocode": lambda f: nocode.run(rounds=f.turns(3, 9), calls=f.size(1_000, 5_000)),
    "backfill": lambda f: backfill.run(locations=f.size(1_500, 1_500) // sum(backfill.KINDS.values())),
    "cost": lambda f: cost.run(seconds=f.length(4.0, 15.0)),
}
"""What there is to measure, in the order of the report."""


def main(words: Sequence[str]) -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").partition("\n")[2])
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"{', '.join(BENCHMARKS)}; or readme: write "
                        "what was measured last into README.md and deploy/")  # fmt: skip
    parser.add_argument("--full", action="store_true", help="the long form, about an hour")
    parser.add_argument("--rounds", type=int, help="how often everybody is measured")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes")
    parser.add_argument("--events", type=int, help="how many events: memory, backlog, flatness")
    parser.add_argument("--routes", type=int, default=1_000, help="how many routes the long table has")
    parser.add_argument("--no-peers", action="store_true", help="Frontdesk and the yardstick alone")
    asked = parser.parse_args(words)
    if asked.benchmarks == ["readme"]:
        return _written(report.write_pages())
    if unknown := set(asked.benchmarks) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    form = Form(asked.rounds, asked.seconds, asked.events, asked.routes, asked.full, not asked.no_peers)
    for name in asked.benchmarks or BENCHMARKS:
        say(f"{name}:")
        result = BENCHMARKS[name](form)
        result.write()
        print(f"{report.text(result)}\n", flush=True)
    return _written(report.write())


def _written(files: Sequence[Path]) -> int:
    for file in files:
        say(f"written: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
