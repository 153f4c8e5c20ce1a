"""When the watch looks: errors are waited out, wrong credentials longer each time, a lost lead ends the lead."""

import itertools
import os
import time
from pathlib import Path

import pytest
import redis

from receiver.core.errors import CredentialsRefused, LockLost, NexudusError
from receiver.nexudus.actions import CODES
from receiver.registrar import watch_schedule
from receiver.routing.table_reload import CurrentTable
from receiver.storage.redis import connection
from receiver.storage.shared.lock import Lock


class Enough(Exception):
    """Ends the loop from outside."""


class Rounds:
    """Raises one thing after another, then ends the loop; time passes only in `sleep`."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = [*errors, Enough()]
        self.slept: list[float] = []

    def reconcile(self) -> None:
        """One round."""
        self.slept.append(0.0)
        error = self._errors.pop(0)
        if error is not None:
            raise error

    def sleep(self, seconds: float) -> None:
        """Note it, and look again at once."""
        self.slept[-1] += seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is as old as it usually is."""
    path = tmp_path / "routes.yaml"
    path.write_text("routes: []")
    os.utime(path, (time.time() - 60,) * 2)
    return path


@pytest.fixture
def routes(path: Path) -> CurrentTable:
    """The table of that file, loaded."""
    table = CurrentTable(path, known_actions=CODES, data_dir=path.parent / "data", still_s=0.01)
    table.reload()
    return table


def _run(rounds: Rounds, redis_url: str, routes: CurrentTable, *, every_s: float) -> None:
    with connection.connect(redis_url) as client:
        lock = Lock(client, "leader")
        with pytest.raises(Enough):
            watch_schedule.run(rounds.reconcile, lock, routes, every_s=every_s, sleep=rounds.sleep)
        assert Lock(client, "leader").take() is None, "the lead is given back"


def test_an_error_is_waited_out(redis_url: str, routes: CurrentTable) -> None:
    """It never ends the loop."""
    rounds = Rounds(NexudusError("down"), None, NexudusError("down"))

    _run(rounds, redis_url, routes, every_s=0.01)

    assert len(rounds.slept) == 4


def test_a_lost_lead_is_taken_again(redis_url: str, routes: CurrentTable) -> None:
    """Somebody else may have it meanwhile; here nobody has."""
    rounds = Rounds(LockLost("gone"), None)

    _run(rounds, redis_url, routes, every_s=0.01)

    assert len(rounds.slept) == 3


def test_routes_that_were_just_written_are_read_by_receivers_first(
    redis_url: str, routes: CurrentTable, path: Path
) -> None:
    """Also by a watch that has just begun to lead: what came for a new hook before, would be kept unrouted."""
    path.touch()
    slept: list[float] = []
    rounds = Rounds()

    with connection.connect(redis_url) as client, pytest.raises(Enough):
        watch_schedule.run(rounds.reconcile, Lock(client, "leader"), routes, every_s=60, sleep=slept.append)

    assert len(slept) == 1
    assert 0 < slept[0] <= 3
    assert rounds.slept == [0.0]


def test_an_edit_wakes_the_loop(redis_url: str, routes: CurrentTable, path: Path) -> None:
    """The table's own watcher says so, once receivers have had the time to load the edit, too."""
    slept: list[float] = []
    rounds = Rounds(None)

    def reconcile() -> None:
        rounds.reconcile()
        path.write_text("routes: [{action: BookingCreate, handler: log}]")
        os.utime(path, (time.time() - 60,) * 2)

    routes.start_watching()
    with connection.connect(redis_url) as client, pytest.raises(Enough):
        watch_schedule.run(reconcile, Lock(client, "leader"), routes, every_s=3_000, sleep=slept.append)
    routes.stop_watching()

    assert [each for each in slept if each] == [1.0]


def test_wrong_credentials_are_tried_less_and_less_often(redis_url: str, routes: CurrentTable) -> None:
    """Until they work again."""
    refused = CredentialsRefused("no", status=401)
    starts: list[float] = []
    rounds = Rounds(refused, refused, refused, None, None)
    with connection.connect(redis_url) as client:

        def reconcile() -> None:
            starts.append(time.monotonic())
            rounds.reconcile()

        with pytest.raises(Enough):
            watch_schedule.run(reconcile, Lock(client, "leader"), routes, every_s=0.05)

    gaps = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert len(gaps) == 5
    assert all(gap >= least for gap, least in zip(gaps, (0.08, 0.16, 0.32, 0.04, 0.04), strict=True))


def test_without_redis_it_waits(routes: CurrentTable) -> None:
    """The watch starts before its store does, too."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise Enough

    client = redis.Redis(host="127.0.0.1", port=1)
    with pytest.raises(Enough):
        watch_schedule.run(lambda: None, Lock(client, "leader"), routes, every_s=1, sleep=sleep)
    client.close()
