"""A client of an empty, real server for each test of the store."""

from collections.abc import Iterator

import pytest
import redis

from receiver.storage import connection


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A connected client."""
    with connection.connect(redis_url) as connected:
        yield connected
