"""A house with a console for the tests of one module, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.conftest import program
from tests.receiver.console.browsing import a_context
from tests.receiver.console.house import House, built
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import DEADLINE_S

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatedNexudus) -> Iterator[House]:
    """A receiver, a worker and a console beside a simulated Nexudus; nothing has happened yet."""
    simulator.reset()
    with built(tmp_path_factory.mktemp("house"), simulator) as house:
        house.serve()
        house.start("work", "--threads", "4")
        house.console()
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; each test has a context of its own in it. No longer than a module: while it is there, its
    event loop runs in this thread, and other tests could run none of their own."""
    expect.set_options(timeout=DEADLINE_S * 1_000)  # five seconds are few on a busy machine
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=Path(program("chromium")), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of a test's own, at desktop width."""
    with a_context(browser) as made:
        yield made
