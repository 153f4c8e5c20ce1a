"""The real topology under load: everything is rolled, killed, failed over and changed, and Nexudus notices nothing."""

import os
from collections.abc import Callable

import pytest

from tests.faults import upheaval
from tests.faults.estate import Estate

IS_LONG = os.environ.get("TESTS_LONG") == "1"


@pytest.mark.needs("nginx")
@pytest.mark.timeout(900)
def test_nexudus_counts_no_strike_whatever_is_done(
    tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    """See `upheaval` for what is done. Nothing is missing, the audit is 0, and every answer was 202."""
    with Estate(tmp_path_factory.mktemp("e")) as estate:
        marks = upheaval.strike(estate, upheaval.LONG if IS_LONG else upheaval.SHORT, rate=60 if IS_LONG else 20)
        text = upheaval.text(estate, marks)
        record_property("table", text)
        print(text)

        assert list(upheaval.complaints(estate)) == []
