"""Taking a receiver away leaves no spool behind: it empties it first, or another does; until then it is counted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.storage.spool import slots
from tests.conftest import StartFrontdesk, StartValkey
from tests.support.processes import Process, Valkey, command, environment, free_port, run, wait_until


class Site:
    """A receiver with a disk, and a store that comes and goes."""

    def __init__(self, folder: Path, valkey: Valkey, start: StartFrontdesk) -> None:
        self.disk = folder / "disk"
        self.valkey = valkey
        self.settings = {
            "FRONTDESK_REDIS_URL": valkey.url,
            "FRONTDESK_DATA_DIR": str(self.disk),
            "FRONTDESK_PORT": str(free_port()),
            "FRONTDESK_URL_KEYS": "a key",
            "FRONTDESK_WEBHOOK_SECRETS": "hush",
        }
        self._start = start

    def serve(self) -> Process:
        """Start the receiver on its disk."""
        receiver = self._start("serve", settings=self.settings)
        receiver.wait_for_http(f"http://127.0.0.1:{self.settings['FRONTDESK_PORT']}/readyz")
        return receiver

    def send(self, count: int) -> None:
        """Let events come; all of them are answered for."""
        ran = run("send", "BookingCreate", "--count", str(count), settings=self.settings)
        assert ran.status == 0, ran

    def audit(self) -> tuple[int, int, int]:
        """Events that are accepted, spooled and unaccounted for."""
        told = json.loads(run("audit", "--full", "--json", settings=self.settings).out)
        return told["events"]["accepted"], told["spooled"], told["unaccounted"]

    @property
    def is_empty(self) -> bool:
        """Whether no spool file is left on the disk."""
        return slots.used(slots.folder_of(self.disk)) == []


@pytest.fixture
def site(tmp_path: Path, start_valkey: StartValkey, frontdesk: StartFrontdesk) -> Site:
    """A disk, a store, no receiver yet."""
    return Site(tmp_path, start_valkey(), frontdesk)


def leave_a_spool_behind(site: Site) -> None:
    """Stop a receiver in the middle of an outage of the store, which then is over."""
    receiver = site.serve()
    site.valkey.kill()
    site.send(7)
    receiver.end()
    assert receiver.popen.returncode == 0
    assert not site.is_empty
    site.valkey.start_again()


def by_a_receiver(site: Site) -> None:
    """The set is scaled up again: the same disk, another process."""
    site.serve()
    wait_until(lambda: site.audit()[0] == 7, lambda: f"the spool to be drained: {site.audit()}")


def by_hand(site: Site) -> None:
    """As the chart's job does, with nothing but the disk and the store."""
    settings = {"FRONTDESK_REDIS_URL": site.valkey.url}
    ran = run("drain", str(site.disk), "--json", settings=settings)
    assert (ran.status, json.loads(ran.out)["kept"]) == (0, 7), ran


@pytest.mark.parametrize("empty", [by_a_receiver, by_hand])
def test_what_is_left_behind_is_adopted_or_drained(site: Site, empty: Callable[[Site], None]) -> None:
    """Nothing is lost, nothing is doubled, and the disk is free to be deleted."""
    leave_a_spool_behind(site)

    empty(site)

    assert site.audit() == (7, 0, 0)
    if empty is by_hand:
        assert site.is_empty


def test_a_receiver_that_is_to_go_is_waited_for(site: Site) -> None:
    """What runs before SIGTERM: it returns when the store is back and the receiver has emptied its spool."""
    site.serve()
    site.valkey.kill()
    site.send(5)
    hook = Process(command("drain", "--wait", "60s"), log=site.disk / "hook.log", environ=environment(site.settings))
    site.valkey.start_again()

    assert hook.popen.wait(60) == 0, hook
    assert site.audit() == (5, 0, 0)


def test_an_outage_that_lasts_longer_is_told(site: Site) -> None:
    """Exit status 1 and one sentence: the events stay on the disk, which is kept."""
    site.serve()
    site.valkey.kill()
    site.send(1)

    ran = run("drain", "--wait", "100ms", settings=site.settings)

    assert (ran.status, ran.err.count("\n")) == (1, 1), ran
    assert not site.is_empty
    assert "--wait: " in run("drain", "--wait", "soon", settings=site.settings).err
