"""Proof through the public URL: only a receiver that holds one of our keys can give it."""

import pytest

from receiver.registrar import probe
from tests.conftest import StartFrontdesk
from tests.support.processes import free_port


def _receiver(frontdesk: StartFrontdesk, redis_url: str, keys: str) -> str:
    port = free_port()
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_PORT": str(port), "FRONTDESK_URL_KEYS": keys}
    frontdesk("serve", settings=settings).wait_for_http(f"http://127.0.0.1:{port}/readyz")
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def url(frontdesk: StartFrontdesk, redis_url: str) -> str:
    """A real receiver that holds `key-1`."""
    return _receiver(frontdesk, redis_url, "key-1")


def test_a_receiver_with_one_of_our_keys_is_reachable(url: str) -> None:
    """During a rotation it may still sign with the old one."""
    assert probe.unreachable(url, ("key-2", "key-1")) is None
    assert probe.unreachable(url + "/", ("key-1",)) is None


def test_a_stranger_is_not_the_receiver(url: str) -> None:
    """Somebody answers 200, but without our key."""
    why = probe.unreachable(url, ("key-3",))

    assert why == f"what answers at {url}/hooks/-/probe holds none of our URL keys"


def test_a_receiver_that_does_not_have_the_newest_key_is_behind(url: str) -> None:
    """It may answer hooks of that key with 404; nothing is said of one that is there no more, or never was ours."""
    why = probe.behind(url, ("key-2", "key-1"))

    assert why == f"a receiver at {url}/hooks/-/probe does not take hooks of the first URL key yet"
    assert probe.behind(url, ("key-1", "key-0")) is None
    assert probe.behind(url, ("key-3",)) is None
    assert probe.behind(f"http://127.0.0.1:{free_port()}", ("key-2", "key-1")) is None


def test_a_receiver_that_takes_the_newest_key_and_still_signs_with_the_old_one_is_not_behind(
    frontdesk: StartFrontdesk, redis_url: str
) -> None:
    """Receivers accept both, whatever their order."""
    assert probe.behind(_receiver(frontdesk, redis_url, "key-1,key-2"), ("key-2", "key-1")) is None


def test_nobody_there_and_the_wrong_place_are_told_apart(url: str) -> None:
    """One clause each."""
    nobody = probe.unreachable(f"http://127.0.0.1:{free_port()}", ("key-1",))
    wrong = probe.unreachable(url + "/elsewhere", ("key-1",))

    assert nobody is not None
    assert nobody.startswith("the receiver cannot be reached at http://127.0.0.1:")
    assert wrong == f"the receiver's probe at {url}/elsewhere/hooks/-/probe answered 404"
