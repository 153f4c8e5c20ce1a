"""The bench of the workers' tests, and a simulated Nexudus for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk
from tests.support.bench import Bench
from tests.support.nexudus import SimulatedNexudus

TOKEN = "bearer-of-the-tests"


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> Iterator[Bench]:
    """A fresh bench."""
    with connection.connect(redis_url, timeout_s=30.0) as client:
        yield Bench(tmp_path, redis_url, client, frontdesk)


@pytest.fixture
def simulated(frontdesk: StartFrontdesk, bench: Bench) -> Iterator[SimulatedNexudus]:
    """A simulated Nexudus whose API the bench's workers may use."""
    process = frontdesk("simulate", "--port", "0", "--rate", "0", settings={"FRONTDESK_NEXUDUS_TOKEN": TOKEN})
    one = SimulatedNexudus(process)
    bench.settings |= {
        "FRONTDESK_NEXUDUS_URL": one.url,
        "FRONTDESK_NEXUDUS_USERNAME": "demo@example.com",
        "FRONTDESK_NEXUDUS_PASSWORD": "demo",
    }
    yield one
    one.close()
