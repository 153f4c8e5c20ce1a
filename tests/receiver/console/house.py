"""A whole Frontdesk with a console, in real processes, for tests that look at it from outside."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.http import Answer, request
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Command, Process, Valkey, environment, free_port, wait_until
from tests.support.stack import Stack

ADMIN = "alice-has-a-token"
VIEWER = "victor-has-a-token"
CHANGED_SECRET = "the-secret-of-tomorrow"

ROUTES = """
businesses: [1001, 1002]
queues: [doors, default]
routes:
  - name: everything
    action: "*"
    handler: seen:note
  - name: announce-paid
    action: [BookingCreate, BookingUpdate]
    where: data.Online == true && data.AvailableCredit < 1.0e9
    handler: seen:note
    queue: doors
  - name: never
    action: CoworkerInvoice*
    where: data.NoSuchField == 1
    handler: seen:note
  - name: broken
    action: TeamCreated
    handler: seen:fail
    retry: [100ms]
"""

HANDLERS = """
import time
from pathlib import Path
from workers import Event

def note(event: Event) -> None:
    while Path(__file__).with_name("held").exists():
        time.sleep(0.05)

def fail(event: Event) -> None:
    if not Path(__file__).with_name("mended").exists():
        raise RuntimeError("the lights are out")
"""


class House(Stack):
    """Its processes, its doors, and what is inside."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        stack: ExitStack,
        nexudus: SimulatedNexudus | None = None,
        routes: str = ROUTES,
    ) -> None:
        super().__init__(folder, redis_url, routes=routes, handlers=HANDLERS, key="a-key-of-the-house", secret="s3cr3t")
        self.nexudus = nexudus
        self._stack = stack
        self.settings |= {
            "FRONTDESK_DATA_DIR": str(folder / "var"),
            "FRONTDESK_CONSOLE_PORT": str(free_port()),
            "FRONTDESK_ADMIN_TOKEN": f"alice={ADMIN}",
            "FRONTDESK_VIEWER_TOKEN": f"victor={VIEWER}",
        }
        if nexudus:
            self.settings |= {
                "FRONTDESK_PUBLIC_URL": f"http://127.0.0.1:{self.settings['FRONTDESK_PORT']}",
                **nexudus.settings,
            }

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.settings['FRONTDESK_CONSOLE_PORT']}/console"

    def start(self, *arguments: str) -> Process:
        """Start a command that stays."""
        log = self.folder / f"{arguments[0]}.log"
        process = Command(*arguments, log=log, environ=environment(self.settings), cwd=self.folder)
        self._stack.callback(process.end)
        return process

    def console(self) -> Process:
        """Start the console and wait for it. It knows a shared secret that the receivers do not know yet."""
        self.settings["FRONTDESK_WEBHOOK_SECRETS"] = f"s3cr3t,{CHANGED_SECRET}"
        console = self.start("console")
        self.settings["FRONTDESK_WEBHOOK_SECRETS"] = "s3cr3t"
        console.wait_for_http(self.url.replace("/console", "/healthz"))
        return console

    def post(
        self, action: str, body: bytes | None = None, *, number: int = 1, business_id: int = 1001, encoding: str = ""
    ) -> str:
        """Post one signed request as Nexudus does; return the id of its event. *encoding*: its Content-Encoding."""
        headers = {"Content-Encoding": encoding} if encoding else {}
        answer = self.posted(action, body, number=number, business_id=business_id, headers=headers)
        assert answer.status == 202
        event_id: str = answer.json()["events"][0]["id"]
        return event_id

    def post_forged(self, action: str, body: bytes | None = None, *, number: int = 1, secret: str = "nobody's") -> str:
        """Post one request under another secret; return the id under which it was set aside."""
        event_id: str = self.posted(action, body, number=number, secret=secret).json()["events"][0]["id"]
        return event_id

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        cookie: str | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask the console for something below its root; *path* begins with a slash."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if cookie:
            sent["Cookie"] = cookie
        if form is not None:
            body = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        return request(method, f"{self.url}{path}", body, sent)

    def facts(self, path: str, token: str = ADMIN) -> Any:
        """What the API tells."""
        answer = self.ask("GET", f"/api{path}", token=token)
        assert answer.status == 200, answer
        return answer.json()

    def act(self, path: str, token: str = ADMIN, **form: str) -> Any:
        """Do something through the API."""
        answer = self.ask("POST", f"/api{path}", token=token, form=form)
        assert answer.status == 200, answer
        return answer.json()

    def sign_in(self, token: str = ADMIN) -> str:
        """Sign in as a browser does; return the cookie."""
        answer = self.ask("POST", "/sign-in", form={"token": token, "next": "/console/events"})
        assert (answer.status, answer.headers["location"]) == (303, "/console/events")
        return answer.cookies[0].partition(";")[0]

    def proof(self, cookie: str) -> str:
        """The proof that forms of this session carry."""
        match = re.search(r'name="proof" value="([0-9a-f]+)"', self.ask("GET", "/workers", cookie=cookie).text)
        assert match
        return match[1]

    def wait_for_status(self, event_id: str, status: str) -> Any:
        """Wait until an event has that status; return what is known of it."""

        def look() -> Any:
            event = self.facts(f"/events/{event_id}")
            return event if event["status"] == status else None

        return wait_until(look, f"{event_id} to be {status}")


@contextlib.contextmanager
def built(folder: Path, simulator: SimulatedNexudus | None = None, *, routes: str = ROUTES) -> Iterator[House]:
    """Build a house around a store of its own; all of it is gone afterwards. *routes*: the text of its routes.yaml."""
    with ExitStack() as stack:
        store = Valkey(folder / "valkey")
        stack.callback(store.end)
        yield House(folder, store.url, stack, simulator, routes)
