"""A Nexudus and an account of what happened there, for each test."""

from collections.abc import Iterator

import pytest
import redis

from tests.receiver.reconcile.outage import Outage
from tests.support.entity_api import EntityApi


@pytest.fixture
def api() -> Iterator[EntityApi]:
    """A Nexudus without records."""
    started = EntityApi()
    yield started
    started.close()


@pytest.fixture
def outage(api: EntityApi, client: redis.Redis) -> Iterator[Outage]:
    """An outage of a night at two locations."""
    with api.client() as http:
        yield Outage(api, http, client)
