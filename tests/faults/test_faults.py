"""Promises 1, 2, 3, 4, 5 and 8 under faults: nothing answered 202 is lost or doubled, whatever is killed or cut."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import campaign, campaigns, table, verdict
from tests.faults.campaigns import Campaign
from tests.faults.disk import NoDisk

RecordProperty = Callable[[str, object], None]

IS_LONG = os.environ.get("TESTS_LONG") == "1"
SEED = int(os.environ.get("TESTS_SEED", "4"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("one", campaigns.long(SEED) if IS_LONG else campaigns.SHORT, ids=str)
def test_nothing_is_lost_or_doubled(
    one: Campaign, tmp_path_factory: pytest.TempPathFactory, record_property: RecordProperty
) -> None:
    """See `verdict` for what is asserted; the table of each campaign is printed when it fails, and by `make faults`."""
    folder = tmp_path_factory.mktemp("f")
    result, unaccounted = _struck(one, folder)
    text = table.text(one.name, result.rows)
    record_property("table", text)
    print(text)

    assert result.settled
    assert verdict.complaints(one.blows, result.rows, by_the_clock=IS_LONG) == []
    assert unaccounted == []


def _struck(one: Campaign, folder: Path) -> tuple[campaign.Result, list[str]]:
    try:
        with one.stand(folder) as stand:
            return campaign.run(stand, one.blows, one.plan), stand.unaccounted()
    except NoDisk as reason:
        pytest.skip(str(reason))
