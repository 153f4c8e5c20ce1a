"""The bench of the workers' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk
from tests.support.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> Iterator[Bench]:
    """A fresh bench."""
    with connection.connect(redis_url, timeout_s=30.0) as client:
        yield Bench(tmp_path, redis_url, client, frontdesk)
