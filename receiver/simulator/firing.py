"""The other half of Nexudus: events happen, and are posted to the registered hooks, signed the .NET way.

Everything that happens is kept in a list, whether a hook heard of it or not: a test compares it with what arrived.

A delivery that fails is repeated at growing intervals up to ten times; each failure is a strike against its hook
(help.nexudus.com, "Failed webhook requests and retries"; the intervals themselves are not published).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from receiver.nexudus import actions, signature
from receiver.simulator.account import kinds, life
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.scene import Happening, Order
from receiver.simulator.account.tenant import Record, Tenant
from receiver.simulator.faults import Knobs
from receiver.simulator.outages import Outages

_DELAYS_S = (10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 10_800, 14_400)
_TIMEOUT_S = 15.0
_MOST_UNDERWAY = 10_000
_AT_ONCE = 64
_IDLE_S = 0.1
_MOST_HAPPENED = 100_000
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
    """Lets things happen to *records*, and posts events to the active hooks of *tenant*, signed in one *reading*.

    *secret_of* gives a business's shared secret, or None.
    """

    def __init__(
        self,
        tenant: Tenant,
        records: Records,
        outages: Outages,
        knobs: Knobs,
        secret_of: Callable[[int], str | None],
        reading: signature.Reading,
    ) -> None:
        self._tenant = tenant
        self._records = records
        self._outages = outages
        self._knobs = knobs
        self._secret_of = secret_of
        self._reading = reading
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
        self.happened: deque[dict[str, Any]] = deque(maxlen=_MOST_HAPPENED)
        self.happenings = 0
        self.counts = Counts()

    async def run(self) -> None:
        """Let events happen at the rate of the knobs, until cancelled: of actions that had a hook once.

        They go on happening while the hook is off.
        """
        while True:
            rate = self._knobs.events_per_second
            pairs = [pair for pair in self._tenant.listened_for if pair[1] in _ACTIONS] if rate else []
            if pairs:
                business_id, code = random.choice(pairs)  # noqa: S311 -- dice, not a secret
                self.fire(Order(_ACTIONS[code], business_id, datetime.now(UTC)))
            await asyncio.sleep(1 / rate if pairs else _IDLE_S)

    def fire(self, order: Order) -> list[dict[str, Any]]:
        """Let *order* happen; return what did, as the list of what happened has it. Raises Unknown."""
        return self.tell(life.happen(self._records, order))

    def tell(self, happenings: Iterable[Happening]) -> list[dict[str, Any]]:
        """Keep what happened, and post it to the hooks that want it."""
        return [self._tell(one) for one in happenings]

    def _tell(self, one: Happening) -> dict[str, Any]:
        code = actions.code_of(one.action)
        hooks = [
            hook
            for hook in self._tenant.hooks.values()
            if hook["BusinessId"] == one.business_id and hook["Action"] == code and self._fires(hook)
        ]
        body = kinds.body(one.kind, one.record, one.at) if hooks else b""
        for hook in hooks:
            self._post_later(hook["Id"], body)
        self.happenings += 1
        kept = {
            "number": self.happenings,
            "at": one.at.isoformat(),
            "action": one.action,
            "business_id": one.business_id,
        }
        kept |= {"kind": one.kind, "Id": one.record["Id"], "UpdatedOn": one.record["UpdatedOn"][:19] + "Z"}
        kept |= {"posts": len(hooks)}
        self.happened.append(kept)
        return kept

    def _post_later(self, hook_id: int, body: bytes) -> None:
        self.counts.fired += 1
        if len(self._tasks) >= _MOST_UNDERWAY:
            self.counts.refused += 1
            return
        task = asyncio.create_task(self._deliver(hook_id, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def as_json(self) -> dict[str, int]:
        """Return the counts, and how many deliveries are under way."""
        return {**asdict(self.counts), "underway": len(self._tasks)}

    def forget(self) -> None:
        """Give up what is under way, forget what happened, and count from zero."""
        for task in self._tasks:
            task.cancel()
        self.counts = Counts()
        self.happened.clear()
        self.happenings = 0

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
            if self._outages.fails(hook):
                self._tenant.failed(hook, "Unable to connect to the remote server")
                self.counts.failed += 1
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

    def _fires(self, hook: Record) -> bool:
        return bool(hook["Active"]) and not self._outages.silences(hook)
