"""A house in which something of everything has happened, and its API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from receiver.storage.redis import connection
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState, GapWhy
from tests.receiver.console.house import ADMIN, VIEWER, House
from tests.support.http import Answer, request
from tests.support.processes import wait_until

GAP = "1001-BookingCreate-1700000000"
PERSON = "Ada Lovelace"


@dataclass(frozen=True)
class Api:
    """The API of a house, and the ids of what is in it."""

    house: House
    well: str
    dead: str
    forged: str
    group: str

    @property
    def url(self) -> str:
        """Where it is."""
        return self.house.url.removesuffix("/console") + "/api/v1"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = ADMIN,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; *body* is sent as JSON, bytes as they are."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        return request(method, f"{self.url}{path}", content, sent)

    def get(self, path: str, *, token: str = ADMIN) -> Any:
        """Return what a look answers."""
        answer = self.call("GET", path, token=token)
        assert answer.status == 200, answer
        return answer.json()

    def post(self, path: str, body: Any = None, *, token: str = ADMIN) -> Any:
        """Do something, and return the answer."""
        answer = self.call("POST", path, body, token=token)
        assert answer.status == 200, answer
        return answer.json()

    def view(self, path: str) -> Any:
        """Return what a look answers a viewer."""
        return self.get(path, token=VIEWER)

    def wait_for_task(self) -> Any:
        """Wait until nothing runs; return the progress of what ran last."""

        def ended() -> Any:
            progress = self.get("/task")["progress"]
            return {} if progress is None else None if progress["is_running"] else progress

        return wait_until(lambda: [found] if (found := ended()) is not None else None, "the task to end")[0]


@pytest.fixture(scope="module")
def api(house: House) -> Api:
    """One event of each kind, a group of failures, and a gap that waits for a person."""
    record = orjson.dumps([{"Id": 7, "Online": True, "CoworkerFullName": PERSON}])
    found = {
        "well": house.post("BookingCreate", record),
        "dead": house.post("TeamCreated", number=1),
        "forged": house.post_forged("CoworkerUpdate"),
    }
    house.post("BookingUpdate", orjson.dumps([{"Id": 7, "Online": False, "CoworkerFullName": PERSON}]))
    house.wait_for_status(found["well"], "succeeded")
    house.wait_for_status(found["dead"], "dead")
    begin = 1_700_000_000_000
    gap = Gap(GAP, 1001, "BookingCreate", begin, begin + 60_000, GapWhy.DISABLED, GapState.CONFIRM)
    with connection.connect(house.settings["FRONTDESK_REDIS_URL"]) as client:
        GapLedger(client).write([gap])
    group = wait_until(lambda: house.facts("/failures")["groups"], "a group of failures")[0]["id"]
    return Api(house, group=group, **found)
