"""Where the console of this machine is, and links that sign an admin in to it, once, within ten minutes."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from receiver.cli.ui import values
from receiver.console.auth.sessions import Authenticator, Identity, Role
from receiver.core.settings import NamedToken, Settings

_PORT_FILE: Final = "console.port"


def make(current: Settings) -> str:
    """Return a link for the first admin. Raises SettingsError when there is none."""
    current.need("admin_token")
    secret = Authenticator(named(current.admin_token), ()).link(Identity(current.admin_token[0].name, Role.ADMIN))
    return f"{address(current)}/console/enter?link={secret}"


def address(current: Settings) -> str:
    """Return where the console is found from this machine."""
    return values.base_url(current.host, current.console_port)


def named(tokens: Iterable[NamedToken]) -> list[tuple[str, str]]:
    """Return names and tokens as the console wants them."""
    return [(each.name, each.token.get_secret_value()) for each in tokens]


@contextlib.contextmanager
def announced(settings: Settings) -> Iterator[None]:
    """Leave the console's port, which may not be the default, for commands beside this `up`."""
    path = settings.data_dir / _PORT_FILE
    path.write_text(str(settings.console_port), encoding="ascii")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def with_running_console(settings: Settings) -> Settings:
    """Return *settings* with the port of the console that an `up` here runs, when nobody named one."""
    if "console_port" in settings.model_fields_set:
        return settings
    try:
        port = int((settings.data_dir / _PORT_FILE).read_text(encoding="ascii"))
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return settings.model_copy(update={"console_port": port})
    except (OSError, ValueError, OverflowError):
        return settings  # no `up` runs here, or it was killed
