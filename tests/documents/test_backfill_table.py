"""The page on back-fill says of all 90 actions what the code does."""

from tests.documents import backfill_table


def test_the_table_of_actions_is_that_of_the_code() -> None:
    """Write it anew with `python -m tests.documents.backfill_table`."""
    assert backfill_table.on_the_page()[1] == backfill_table.table()
