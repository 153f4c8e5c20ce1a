"""An office for each test."""

from collections.abc import Iterator

import pytest

from tests.receiver.registrar.offices import Office
from tests.support.nexudus import SimulatedNexudus


@pytest.fixture
def office(nexudus: SimulatedNexudus) -> Iterator[Office]:
    """A registrar that knows the key `key-1`."""
    opened = Office(nexudus)
    yield opened
    opened.client.close()
