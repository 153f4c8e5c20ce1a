"""The order of a record's events over an outage of the store, with real processes; see `order`."""

import time
from collections.abc import Callable

import pytest

from tests.faults.order import Ordered, Senders, handled, judge

SETTLES_WITHIN_S = 60.0
PAUSE_S = 2.5


def _freeze(stand: Ordered) -> None:
    stand.store.freeze()
    time.sleep(PAUSE_S)
    stand.store.thaw()


def _stall(stand: Ordered) -> None:
    """For the receiver alone: the workers take at once what there is."""
    stand.receiver_to_store.tell("stall")
    time.sleep(PAUSE_S)
    stand.receiver_to_store.tell("pass")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pause", [_freeze, _stall])
def test_order_holds_over_a_pause_of_the_store(
    pause: Callable[[Ordered], None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What was spooled is handled before what came later, and so is what was sent at the same time before it."""
    with Ordered(tmp_path_factory.mktemp("o")) as stand:
        with Senders(stand.ports, records=120, at_once=2, every_s=0.3) as senders:
            for _ in range(3):
                time.sleep(0.7)
                pause(stand)
                time.sleep(0.7)
        assert stand.settle(timeout_s=SETTLES_WITHIN_S)
        judged = judge(senders.sent, list(handled(stand.notes)), at_once=2, by_id=True)
        unaccounted = stand.unaccounted()
    print(judged, senders.sent)
    assert senders.sent.spooled > 0
    assert not judged.late, str(judged)
    assert judged.missing == 0
    assert unaccounted == []
