"""A simulated Nexudus for the tests of the receiver package."""

from collections.abc import Iterator

import pytest

from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Process, command, environment


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedNexudus]:
    """The simulator of this test process; tests take `nexudus`, which starts it afresh."""
    log = tmp_path_factory.mktemp("simulator") / "log"
    settings = {"FRONTDESK_WEBHOOK_SECRETS": "s3cr3t,1002=other"}
    places = [word for number in (1001, 1002, 1003) for word in ("--business", str(number))]
    argv = command("simulate", "--port", "0", "--rate", "0", *places)
    process = Process(argv, log=log, environ=environment(settings))
    try:
        simulated = SimulatedNexudus(process)
        yield simulated
        simulated.close()
    finally:
        process.end()


@pytest.fixture
def nexudus(simulator: SimulatedNexudus) -> SimulatedNexudus:
    """An empty Nexudus with the locations 1001, 1002 and 1003, without faults."""
    simulator.reset()
    return simulator
