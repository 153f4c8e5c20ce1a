"""`frontdesk up`: everything on this machine, under one supervisor, until Ctrl-C."""

import contextlib
import http.client
import os
import shutil
import signal
import sys
import threading
import time
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from receiver.cli.ui import option_values
from receiver.cli.up import console_access, generated_secrets, up_prerequisites, up_processes
from receiver.cli.up import demo as nexudus
from receiver.core import settings as environment
from receiver.core.errors import UsageError
from receiver.core.settings import Settings
from receiver.process import end_signals, standard_streams
from receiver.process.prefixed_output import PrefixedOutput
from receiver.process.supervisor import Supervisor
from receiver.storage.embedded import server_binary

STOP_S: Final = 7.0
"""How long the parts may take to stop; with the server's two seconds, Ctrl-C takes less than ten."""

READY_S: Final = 30.0
"""When the receiver has not answered by then, it is said."""

_NAME: Final = "frontdesk"
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=64))]


def up(*, demo: bool = False, receivers: Count = 1, workers: Count = 1) -> int:
    """Run everything on this machine until Ctrl-C: receiver, workers, console, and the registrar if it can sign in.

    The store is the server that FRONTDESK_REDIS_URL names, else an embedded one that keeps its data on disk.

    Parameters
    ----------
    demo
        Also simulate Nexudus: hooks are registered with it, and it fires a few realistic events each second.
    receivers
        Processes that take requests.
    workers
        Processes that run handlers.
    """
    if sys.platform == "win32":
        raise UsageError("up needs Linux or macOS; on Windows use WSL2, or serve and work with a Redis of your own")
    settings = environment.from_environ(os.environ)
    standard_streams.detach_output()
    # Until the supervisor listens, SIGTERM ends us as Ctrl-C does: by an exception, so that the server is stopped.
    end_signals.answer(signal.default_int_handler)
    up_prerequisites.see_routes(settings, demo=demo)
    with up_prerequisites.alone(settings.data_dir):
        settings = settings.model_copy(update={"port": up_prerequisites.free_port(settings)})
        settings = settings.model_copy(update={"console_port": up_prerequisites.free_console_port(settings)})
        names = [_NAME, *(part.name for part in up_processes.PARTS)]
        screen = PrefixedOutput(names, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
        try:
            with (
                console_access.announced(settings),
                up_prerequisites.store(settings, lambda sentence: screen.say(_NAME, sentence)) as url,
            ):
                return _supervise(
                    settings, url, screen, demo=demo, processes={"receiver": receivers, "worker": workers}
                )
        finally:
            screen.close()


def _supervise(settings: Settings, url: str, screen: PrefixedOutput, *, demo: bool, processes: dict[str, int]) -> int:
    environ = {"FRONTDESK_LOG_FORMAT": "console"} | dict(os.environ)
    environ |= {"FRONTDESK_PORT": str(settings.port), "FRONTDESK_CONSOLE_PORT": str(settings.console_port)}
    environ |= {"FRONTDESK_DATA_DIR": str(settings.data_dir)}
    environ |= {"FRONTDESK_REDIS_URL": url} if settings.redis_url is None else {}
    for name in _to_be_made(settings, demo=demo):
        environ[f"{environment.PREFIX}{name.upper()}_FILE"] = str(
            generated_secrets.make(settings.data_dir, name).absolute()
        )
    with contextlib.ExitStack() as stack:
        if demo:
            found = stack.enter_context(nexudus.simulated(settings.data_dir, _receiver(settings)))
            environ = nexudus.instead_of_the_real(environ, found)
        ready = threading.Event()
        threading.Thread(target=_announce, args=(settings, screen, ready, demo), daemon=True).start()
        children = up_processes.children(environ, demo=demo, processes=processes, ready=ready)
        status = Supervisor(children, screen=screen, grace_s=STOP_S).run()
    screen.say(_NAME, "stopped" if status == 0 else "stopped after an error; see above")
    return status


def _to_be_made(settings: Settings, *, demo: bool) -> list[str]:
    """Return the secrets that this `up` needs and nobody has set."""
    names = ["url_keys"] + (["webhook_secrets"] if demo else [])
    found = [name for name in names if not getattr(settings, name)]
    return found if settings.admin_token or settings.viewer_token else [*found, "admin_token"]


def _announce(settings: Settings, screen: PrefixedOutput, ready: threading.Event, demo: bool) -> None:
    """Wait until the receiver answers, then say how to go on from here."""
    late = time.monotonic() + READY_S
    while not _answers(_receiver(settings), "/readyz"):
        if time.monotonic() > late:
            screen.say(_NAME, "the receiver does not answer yet; see its log lines above")
            late += READY_S
        time.sleep(0.1)
    ready.set()
    while time.monotonic() < late and not _answers(console_access.address(settings), "/healthz"):
        time.sleep(0.1)
    itself = "frontdesk" if shutil.which("frontdesk") else sys.argv[0]
    store = (
        "the server of FRONTDESK_REDIS_URL"
        if settings.redis_url
        else f"an embedded {'Redis' if 'redis' in server_binary.find().name else 'Valkey'}, data in {settings.data_dir}"
    )
    for line in (
        "Frontdesk is up.",
        f"  hooks    {_receiver(settings)}/hooks/...",
        f"  routes   {settings.routes}; reloaded when you edit it",
        f"  store    {store}",
        *_console(settings),
        f"  events   {itself} events   (in another terminal; also: show ID, tail, hooks)",
        *(
            [f"  gap      {itself} simulate --outage 1m   (no webhooks for a minute: see what was missed)"]
            if demo
            else []
        ),
        "  stop     Ctrl-C",
    ):
        screen.say(_NAME, line)


def _receiver(settings: Settings) -> str:
    return option_values.base_url(settings.host, settings.port)


def _console(settings: Settings) -> list[str]:
    """Return how to get into the console: by a link when there is an admin to sign in."""
    with_keys = generated_secrets.completed(settings) if not settings.viewer_token else settings
    lines = [f"  console  {console_access.address(settings)}/console/"]
    if with_keys.admin_token:
        lines.append(f"  sign in  {console_access.make(with_keys)}")
        lines.append("           (once, within ten minutes; frontdesk console --link prints another)")
    return lines


def _answers(url: str, path: str) -> bool:
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    with contextlib.closing(client):
        try:
            client.request("GET", path)
            return client.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
