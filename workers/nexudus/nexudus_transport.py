"""Calls Nexudus for the handlers of this process: with its credentials, within the call budget, through a cache.

It connects at the first call. The token stays in this process. The store caches responses for a minute, and
`frontdesk erase` clears them.
"""

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from typing import Any, NoReturn

import orjson
import redis

from receiver.core.errors import CredentialsRefused, HandlerError, NexudusError, SettingsError, StorageUnavailable
from receiver.core.settings import Settings
from receiver.nexudus.api import call_limits
from receiver.nexudus.api.client import Call, Client, Patience
from receiver.nexudus.api.credentials import credentials
from receiver.storage.redis import connection
from receiver.storage.shared.response_cache import CacheLookup, ResponseCache
from receiver.storage.shared.shared_call_budget import SharedBudget
from workers.api import Retry
from workers.nexudus.lookup import AttemptContext
from workers.nexudus.wait_budget import NoTime, WaitBudget

KEPT_MS = 60_000
"""How long a response is cached."""

REFUSAL_KEPT_MS = 5_000
"""How long it is cached that a record does not exist: long enough for a burst of deliveries."""

_LONGEST_CALL_S = 15.0
_LONGEST_FETCH_S = 120.0
_TO_SPARE_S = 1.0
_LOOK_EVERY_S = 0.05
_LOOK_LEAST_OFTEN_S = 0.5
_AGAIN_AFTER_S = 5.0
_LOCKED_OUT_S = 300.0
_WAITING_CALLS = 16
_PATIENCE = Patience(attempts=2, connect_s=5.0, silence_s=_LONGEST_CALL_S, whole_answer_s=_LONGEST_CALL_S)


class NexudusTransport:
    """Calls Nexudus for the handlers of this process. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wait_budget = WaitBudget()
        self._refused: tuple[float, str] = (float("-inf"), "")
        self._connecting = threading.Lock()
        self._sign_in_lock = threading.Lock()
        self._is_signed_in = False

    def check(self) -> None:
        """Raise HandlerError unless the settings say how to sign in at Nexudus."""
        try:
            credentials(self._settings, "work")
        except SettingsError as error:
            raise HandlerError(f"asks for nexudus, but {error}") from None

    def close(self) -> None:
        """Close the connections. A process that exits need not."""
        for name in ("_new_client", "_store"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        self.__dict__.pop("_shelf", None)
        if "executor" in self.__dict__:
            self.__dict__.pop("executor").shutdown()

    @cached_property
    def executor(self) -> Executor:
        """Return the thread pool for calls of async handlers."""
        return ThreadPoolExecutor(_WAITING_CALLS, thread_name_prefix="nexudus")

    def read(self, attempt: AttemptContext, path: str, params: Mapping[str, str | int], *, since_ms: int) -> Any:
        """Return the response to a GET; see `Transport.read`."""
        # What somebody searches by can be personal, and the names of keys are shown in many places.
        name = f"{path}?{hashlib.sha256(orjson.dumps(dict(params))).hexdigest()[:32]}" if params else path
        return self._in_time(attempt, lambda: self._shared(name, path, params, since_ms))

    def write(self, attempt: AttemptContext, method: str, path: str, record: Mapping[str, Any] | None) -> Any:
        """Make a call that changes something; see `Transport.write`."""
        again = method != "POST"

        def write() -> Any:
            within = self._wait_budget.call_s(_LONGEST_CALL_S)
            return self._called(Call(method, f"/api/{path}", record=record, repeatable=again, within_s=within))

        return self._in_time(attempt, write)

    def forget(self, path: str) -> None:
        """Remove a response from the cache."""
        try:
            self._shelf.forget(path)
        except StorageUnavailable as error:
            self._wait(_AGAIN_AFTER_S, str(error))

    # -- what is shared ---------------------------------------------------------------------------------------------

    def _shared(self, name: str, path: str, params: Mapping[str, str | int], since_ms: int) -> Any:
        """Return the cached response, or fetch it, or wait for another worker that fetches it."""
        token, pause = ResponseCache.token(), _LOOK_EVERY_S
        while True:
            within = self._wait_budget.call_s(_LONGEST_CALL_S)
            # After this time, the worker that fetches it has given up or is dead.
            given_up_s = min(self._wait_budget.left(), _LONGEST_FETCH_S) + _TO_SPARE_S
            taken = self._shelf.take(name, token, fetch_ms=int(1_000 * given_up_s), since_ms=since_ms)
            if taken.state == "kept":
                return _read(taken.answer)
            if taken.state == "fetch":
                call = Call("GET", f"/api/{path}", params=params or None, within_s=within)
                return self._fetched(call, name, token, taken)
            self._wait_budget.sleep(pause)
            pause = min(pause * 1.5, _LOOK_LEAST_OFTEN_S)

    def _fetched(self, call: Call, name: str, token: str, taken: CacheLookup) -> Any:
        answer, keep_ms = b"", 0
        try:
            value = self._called(call)
            answer, keep_ms = b"v" + orjson.dumps(value), KEPT_MS
        except NexudusError as error:
            if error.status >= 400 and not (error.throttled or isinstance(error, CredentialsRefused)):
                kind = b"g" if error.gone else b"e"
                answer, keep_ms = kind + orjson.dumps([error.status, str(error)]), REFUSAL_KEPT_MS
            raise
        finally:
            self._shelf.put(name, token, taken, answer, keep_ms)
        return value

    # -- waiting ----------------------------------------------------------------------------------------------------

    def _in_time(self, attempt: AttemptContext, call: Callable[[], Any]) -> Any:
        """Call, and wait as long as the attempt has time; otherwise let the delivery wait, uncharged."""
        try:
            with self._wait_budget.until(attempt.late):
                return call()
        except NoTime as wait:
            self._wait(wait.seconds, "Nexudus or its budget of calls asks us to wait")
        except StorageUnavailable as error:
            self._wait(_AGAIN_AFTER_S, str(error))
        except NexudusError as error:
            if not error.throttled:
                raise
            self._wait(_AGAIN_AFTER_S, str(error))

    @staticmethod
    def _wait(seconds: float, why: str) -> NoReturn:
        # Its route waits with it, so the wait is short; the jitter spreads the deliveries that come back.
        spread: float = random.uniform(0.5, 2.0)  # noqa: S311 -- jitter, not a secret
        raise Retry(why, after=seconds + spread, charged=False) from None

    # -- calls ------------------------------------------------------------------------------------------------------

    def _called(self, call: Call) -> Any:
        until, why = self._refused
        if time.monotonic() < until:
            raise CredentialsRefused(why)
        try:
            with self._signing_in():
                answer = self._client.do(call)
        except CredentialsRefused as error:
            # Each further try brings the account nearer to being locked.
            self._refused = (time.monotonic() + _LOCKED_OUT_S, str(error))
            raise
        self._is_signed_in = True
        return answer

    @contextlib.contextmanager
    def _signing_in(self) -> Iterator[None]:
        """Let one thread sign in first; the others wait for it until their deadlines."""
        if self._is_signed_in:
            yield
            return
        if not self._sign_in_lock.acquire(timeout=self._wait_budget.left()):
            raise NoTime
        try:
            yield
        finally:
            self._sign_in_lock.release()

    @property
    def _client(self) -> Client:
        with self._connecting:
            return self._new_client

    @cached_property
    def _new_client(self) -> Client:
        current = self._settings
        shared = SharedBudget(self._store, **call_limits.limits(current), first=False, sleep=self._wait_budget.sleep)
        who = credentials(current, "work")
        return Client(current.nexudus_url, who, shared, patience=_PATIENCE, sleep=self._wait_budget.sleep)

    @cached_property
    def _shelf(self) -> ResponseCache:
        return ResponseCache(self._store)

    @cached_property
    def _store(self) -> redis.Redis:
        return connection.connect(connection.url_of(self._settings))


def _read(answer: bytes) -> Any:
    """Return the cached value, or raise the cached NexudusError."""
    value = orjson.loads(answer[1:])
    if answer[:1] == b"v":
        return value
    status, message = value
    raise NexudusError(str(message), status=int(status), gone=answer[:1] == b"g")
