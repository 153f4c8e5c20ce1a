"""`python -m tests.faults`: the long form, the real topology, and the faults on the stock stack; prints all tables.

`python -m tests.faults NAME...` runs only the campaigns of these names, such as `retention` or `"store always"`.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.conftest import find_program
from tests.faults import campaign, campaigns, order, table, upheaval, verdict
from tests.faults.disk import NoDisk
from tests.faults.estate import Estate
from tests.faults.frontdesk import Frontdesk
from tests.faults.ledger import Row
from tests.faults.stand import Stand
from tests.faults.stock import Stock


def main(names: Sequence[str]) -> int:
    """Run everything, or the campaigns of these names; 1 when anything is not as promised."""
    seed = int(os.environ.get("TESTS_SEED", "4"))
    print(f"TESTS_SEED={seed}")
    every = campaigns.long(seed)
    if unknown := set(names) - {one.name for one in every}:
        sys.exit(f"no such campaign: {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in every)}")
    wrong = []
    for one in every:
        if not names or one.name in names:
            wrong += _strike(one)
    if not names:
        wrong += _order()
        wrong += _upheave()
        _compare()
    print("\n".join(wrong) or "Everything is as promised.")
    return 1 if wrong else 0


def _strike(one: campaigns.Campaign) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="fd-") as folder:
        try:
            with one.stand(Path(folder) / "f") as stand:
                result = campaign.run(stand, one.blows, one.plan)
                unaccounted = stand.unaccounted()
        except NoDisk as reason:
            print(reason)
            return []
        except AssertionError as failure:  # a blow that did not come about, or that found something wrong itself
            print(f"\n{one.name}: {failure}", flush=True)
            return [f"{one.name}: {failure}"]
    _show(one.name, result.rows)
    print(f"unaccounted: {unaccounted or 0}", flush=True)
    wrong = [*verdict.complaints(one.blows, result.rows), *unaccounted]
    return [f"{one.name}: {sentence}" for sentence in [*wrong, *["it did not settle"] * (not result.settled)]]


def _order() -> list[str]:
    wrong = []
    for one in order.LONG:
        with tempfile.TemporaryDirectory(prefix="fd-") as folder:
            result = order.run(one, Path(folder) / "f")
        print(f"\norder, {one.name}: {result.judged}, {result.spooled} spooled", flush=True)
        wrong += [f"order, {one.name}: {sentence}" for sentence in result.wrong]
    return wrong


def _upheave() -> list[str]:
    """The real topology, behind nginx."""
    if find_program("nginx") is None:
        print("NOT TESTED: the real topology, because nginx is not installed")
        return []
    with tempfile.TemporaryDirectory(prefix="fd-") as folder, Estate(Path(folder)) as estate:
        marks = upheaval.strike(estate, upheaval.LONG, rate=60)
        print(f"\n{upheaval.text(estate, marks)}", flush=True)
        return list(upheaval.complaints(estate))


def _compare() -> None:
    """The same faults at the same rate on Frontdesk and on the stock stack, with one queue and with two."""
    stands: list[Callable[[Path], AbstractContextManager[Stand]]] = [Frontdesk, Stock, partial(Stock, queues=2)]
    for make in stands:
        with tempfile.TemporaryDirectory(prefix="fd-") as folder, make(Path(folder) / "f") as stand:
            result = campaign.run(stand, campaigns.COMPARED, campaigns.COMPARED_PLAN)
            _show(f"compared: {stand.name}", result.rows)
            if isinstance(stand, Stock):
                print(f"jobs of it that were left: {dict(stand.left())}", flush=True)


def _show(title: str, rows: list[Row]) -> None:
    print(f"\n{table.text(title, rows)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
