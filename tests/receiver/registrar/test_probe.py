"""Proof through the public URL: only a receiver that holds one of our keys can give it."""

import sys
from collections.abc import Iterator

import httpx2
import pytest

from receiver.registrar import probe
from tests.processes import Process, environment, free_port


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A process that answers the probe with `key-1`."""
    log = tmp_path_factory.mktemp("answering") / "log"
    process = Process([sys.executable, "-m", "tests.answering", "key-1"], log=log, environ=environment())
    yield process.wait_for(r"listening at (\S+)")[1]
    process.end()


def test_a_receiver_with_one_of_our_keys_is_reachable(url: str) -> None:
    """During a rotation it may still sign with the old one."""
    assert probe.unreachable(url, ("key-2", "key-1")) is None
    assert probe.unreachable(url + "/", ("key-1",)) is None


def test_a_stranger_is_not_the_receiver(url: str) -> None:
    """Somebody answers 200, but without our key."""
    why = probe.unreachable(url, ("key-3",))

    assert why == f"what answers at {url}/hooks/-/probe holds none of our URL keys"


def test_nobody_there_and_the_wrong_place_are_told_apart(url: str) -> None:
    """One clause each."""
    nobody = probe.unreachable(f"http://127.0.0.1:{free_port()}", ("key-1",))
    wrong = probe.unreachable(url + "/elsewhere", ("key-1",))

    assert nobody is not None
    assert nobody.startswith("the receiver cannot be reached at http://127.0.0.1:")
    assert wrong == f"the receiver's probe at {url}/elsewhere/hooks/-/probe answered 404"


def test_a_broken_receiver_is_unreachable(url: str) -> None:
    """It answers, and not well."""
    httpx2.put(f"{url}/break")
    try:
        assert "answered 503" in (probe.unreachable(url, ("key-1",)) or "")
    finally:
        httpx2.put(f"{url}/mend")
