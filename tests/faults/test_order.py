"""The order of a record's events over outages of the store and deaths of processes; see `order`."""

import pytest

from tests.faults import order
from tests.faults.test_faults import IS_LONG, RecordProperty


@pytest.mark.timeout(900)
@pytest.mark.parametrize("one", order.LONG if IS_LONG else order.SHORT, ids=str)
def test_order_holds_over_outages(
    one: order.Campaign, tmp_path_factory: pytest.TempPathFactory, record_property: RecordProperty
) -> None:
    """What was spooled is handled before what came later to any receiver, and nothing is missing."""
    result = order.run(one, tmp_path_factory.mktemp("o"))
    record_property("order", str(result.judged))
    print(one.name, result.judged, f"{result.spooled} spooled")

    assert result.spooled > 0
    assert result.wrong == []
