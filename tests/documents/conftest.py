"""What the tests of the documents share."""

from collections.abc import Iterator

import pytest

from tests.documents.forked import Commands


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """The process that commands are forked from."""
    with Commands() as started:
        yield started
