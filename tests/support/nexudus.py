"""The simulated Nexudus as a real process, and its remote control, for tests of everything that talks to it."""

from collections.abc import Callable
from typing import Any

import httpx2

from receiver.nexudus.api.call_limits import CallBudget
from receiver.nexudus.api.client import Client, Patience
from receiver.nexudus.api.oauth import BearerToken, Password
from tests.support.processes import Process

HURRY = Patience(first_pause_s=0.001, longest_pause_s=0.01, silence_s=10)
"""As patient as ever in tries, in milliseconds instead of seconds."""

DEMO = Password("demo@example.com", "demo", "tests")


class CountingBudget:
    """A budget without a limit that counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.writes = 0

    def take(self, *, write: bool) -> None:
        """Allow it."""
        self.calls += 1
        self.writes += write


class SimulatedNexudus:
    """Controls a running simulator."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.wait_for(r"simulated at (http://\S+)")[1]
        self._http = httpx2.Client(base_url=self.url, timeout=30)

    @property
    def settings(self) -> dict[str, str]:
        """What whoever calls it sets, with limits that do not slow a test down."""
        return {
            "FRONTDESK_NEXUDUS_URL": self.url,
            "FRONTDESK_NEXUDUS_USERNAME": "demo@example.com",
            "FRONTDESK_NEXUDUS_PASSWORD": "demo",
            "FRONTDESK_NEXUDUS_CALLS_PER_MINUTE": "10000",
            "FRONTDESK_NEXUDUS_WRITES_PER_MINUTE": "10000",
            "FRONTDESK_NEXUDUS_CALLS_PER_HOUR": "1000000",
            "FRONTDESK_NEXUDUS_WRITES_PER_DAY": "1000000",
        }

    def close(self) -> None:
        """Close our connections."""
        self._http.close()

    def reset(self) -> None:
        """Forget all hooks, tokens, faults."""
        self._ask("DELETE", "/simulator/state")
        self.turn(retry_scale=0.00001)

    def state(self) -> Any:
        """Return everything it knows."""
        return self._ask("GET", "/simulator/state")

    def hooks(self) -> list[dict[str, Any]]:
        """Return the whole records of all hooks."""
        hooks: list[dict[str, Any]] = self.state()["hooks"]
        return hooks

    def turn(self, **knobs: object) -> Any:
        """Turn knobs; returns all of them as they are then."""
        return self._ask("POST", "/simulator/faults", knobs)

    def fire(self, business_id: int, action: str, count: int = 1, **wishes: object) -> int:
        """Let events happen; returns how many posts they make. *wishes*: `id`, `at` (RFC 3339), `fields`."""
        posts: int = self.happen(business_id, action, count=count, **wishes)["posts"]
        return posts

    def happen(self, business_id: int, action: str, **wishes: object) -> Any:
        """As `fire`; returns the whole answer: `events`, `posts`, `happened`."""
        return self._ask("POST", "/simulator/fire", {"business_id": business_id, "action": action, **wishes})

    def happened(self, after: int = 0) -> list[dict[str, Any]]:
        """Return all that happened after the number *after*, whether a hook heard of it or not."""
        told: list[dict[str, Any]] = []
        while True:
            answer = self._ask("GET", f"/simulator/happened?after={told[-1]['number'] if told else after}")
            assert answer["forgotten"] == 0
            if not answer["happened"]:
                return told
            told += answer["happened"]

    def stock(self, kind: str, business_id: int, *, since: str, until: str, **more: object) -> list[int]:
        """Add records that were there all along, `count` of them with `fields`; returns their ids."""
        order = {"kind": kind, "business_id": business_id, "since": since, "until": until, **more}
        made: list[int] = self._ask("POST", "/simulator/records", order)["ids"]
        return made

    def change(self, path: str, number: int, **fields: object) -> None:
        """Change a record behind everybody's back; nothing happens."""
        self._ask("PATCH", f"/simulator/records/{path}/{number}", fields)

    def vanish(self, path: str, number: int) -> None:
        """Take a record away; nothing tells of it."""
        self._ask("DELETE", f"/simulator/records/{path}/{number}")

    def begin_outage(self, **outage: object) -> None:
        """Switch hooks off: `seconds`, `how` (disable, delete, errors), `businesses`, `actions`."""
        self._ask("POST", "/simulator/outage", outage)

    def end_outage(self) -> None:
        """Let hooks be switched on again."""
        self._ask("DELETE", "/simulator/outage")

    def edit(self, hook_id: int, **fields: object) -> None:
        """Change a hook behind everybody's back."""
        self._ask("PATCH", f"/simulator/hooks/{hook_id}", fields)

    def remove(self, hook_id: int) -> None:
        """Take a hook away behind everybody's back."""
        self._ask("DELETE", f"/simulator/hooks/{hook_id}")

    def end_tokens(self) -> None:
        """End all access tokens."""
        self._ask("DELETE", "/simulator/tokens")

    def client(
        self,
        budget: CallBudget | None = None,
        credentials: BearerToken | Password = DEMO,
        sleep: Callable[[float], None] = lambda _: None,
    ) -> Client:
        """Return a client of its API that does not really wait; the caller closes it."""
        return Client(self.url, credentials, budget or CountingBudget(), patience=HURRY, sleep=sleep)

    def _ask(self, method: str, path: str, value: Any = None) -> Any:
        answer = self._http.request(method, path, json=value)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
