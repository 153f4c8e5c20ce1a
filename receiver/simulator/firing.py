"""The other half of Nexudus: events happen, and are posted to the registered hooks, signed the .NET way.

A delivery that fails is repeated at growing intervals up to ten times; each failure is a strike against its hook
(help.nexudus.com, "Failed webhook requests and retries"; the intervals themselves are not published).
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import httpx2

from receiver.nexudus import actions, samples, signature
from receiver.simulator.faults import Knobs
from receiver.simulator.tenant import Record, Tenant

_DELAYS_S = (10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 10_800, 14_400)
_TIMEOUT_S = 15.0
_MOST_UNDERWAY = 10_000
_AT_ONCE = 64
_IDLE_S = 0.1
_ACTIONS: Mapping[int, str] = {code: name for name, code in actions.CODES.items() if name in actions.NAMES}


@dataclass(slots=True)
class Counts:
    """What happened to deliveries so far. *lost*: given up, because retries or the hook came to an end."""

    fired: int = 0
    delivered: int = 0
    failed: int = 0
    lost: int = 0
    refused: int = 0


class Firing:
    """Posts events to the active hooks of *tenant*, signed in one *reading*.

    *secret_of* gives a business's shared secret, or None.
    """

    def __init__(
        self, tenant: Tenant, knobs: Knobs, secret_of: Callable[[int], str | None], reading: signature.Reading
    ) -> None:
        self._tenant = tenant
        self._knobs = knobs
        self._secret_of = secret_of
        self._reading = reading
        self._numbers = itertools.count(random.randrange(1, 1_000_000_000, 1_000))  # noqa: S311 -- ids, not secrets
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
        self.counts = Counts()

    async def run(self) -> None:
        """Let events happen at the rate of the knobs, until cancelled."""
        while True:
            rate = self._knobs.events_per_second
            hooks = [hook for hook in self._tenant.hooks.values() if _fires(hook)] if rate else []
            if hooks:
                hook = random.choice(hooks)  # noqa: S311 -- dice, not a secret
                self.fire(hook["BusinessId"], _ACTIONS[hook["Action"]])
            await asyncio.sleep(1 / rate if hooks else _IDLE_S)

    def fire(self, business_id: int, action: str) -> int:
        """Let one event happen; returns how many hooks it is posted to. Without an active hook nobody hears of it."""
        code = actions.code_of(action)
        hooks = [
            hook
            for hook in self._tenant.hooks.values()
            if hook["BusinessId"] == business_id and hook["Action"] == code and _fires(hook)
        ]
        if not hooks:
            return 0
        body = samples.body(action, now=datetime.now(UTC), number=next(self._numbers))
        for hook in hooks:
            self.counts.fired += 1
            if len(self._tasks) >= _MOST_UNDERWAY:
                self.counts.refused += 1
                continue
            task = asyncio.create_task(self._deliver(hook["Id"], body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(hooks)

    def as_json(self) -> dict[str, int]:
        """Return the counts, and how many deliveries are under way."""
        return {**asdict(self.counts), "underway": len(self._tasks)}

    def forget(self) -> None:
        """Give up what is under way, and count from zero."""
        for task in self._tasks:
            task.cancel()
        self.counts = Counts()

    async def close(self) -> None:
        """Give up what is under way, and close the connections."""
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def _deliver(self, hook_id: int, body: bytes) -> None:
        for delay in (*_DELAYS_S, None):
            hook = self._tenant.hooks.get(hook_id)
            if hook is None or not hook["Active"]:
                break
            async with self._turns:
                error = await self._post(hook, body)
            if error is None:
                self._tenant.succeeded(hook)
                self.counts.delivered += 1
                return
            self._tenant.failed(hook, error)
            self.counts.failed += 1
            if delay is not None:
                await asyncio.sleep(delay * self._knobs.retry_scale)
        self.counts.lost += 1

    async def _post(self, hook: Record, body: bytes) -> str | None:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        secret = self._secret_of(hook["BusinessId"])
        if secret is not None:
            headers[signature.HEADER] = signature.sign(body, secret, self._reading)
        try:
            async with self._http.stream("POST", hook["URL"], content=body, headers=headers) as response:
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return str(error) or type(error).__name__
        return None if 200 <= status < 300 else f"The remote server returned an error: ({status})."


def _fires(hook: Record) -> bool:
    return bool(hook["Active"]) and hook["Action"] in _ACTIONS
