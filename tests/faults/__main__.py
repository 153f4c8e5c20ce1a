"""`python -m tests.faults`: the long form, and the same faults on the stock stack; prints the table of everything."""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.faults import campaign, campaigns, table, verdict
from tests.faults.disk import NoDisk
from tests.faults.frontdesk import Frontdesk
from tests.faults.ledger import Row
from tests.faults.stand import Stand
from tests.faults.stock import Stock


def main() -> int:
    """Run everything; 1 when anything is not as promised."""
    seed = int(os.environ.get("FRONTDESK_TEST_SEED", "4"))
    print(f"FRONTDESK_TEST_SEED={seed}")
    wrong = []
    for one in campaigns.long(seed):
        wrong += _strike(one)
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
    _show(one.name, result.rows)
    print(f"unaccounted: {unaccounted or 0}", flush=True)
    wrong = [*verdict.complaints(one.blows, result.rows), *unaccounted]
    return [f"{one.name}: {sentence}" for sentence in [*wrong, *["it did not settle"] * (not result.settled)]]


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
    sys.exit(main())
