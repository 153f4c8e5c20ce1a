"""Where the console of this machine is, and links that sign an admin in to it, once, within ten minutes."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from receiver.cli.ui import option_values
from receiver.console.api.endpoint import BASE
from receiver.console.auth.sessions import Authenticator, Identity, Role
from receiver.core.errors import SettingsError, UsageError
from receiver.core.setting_values import NamedToken
from receiver.core.settings import Settings

_PORT_FILE: Final = "console.port"


def make(current: Settings) -> str:
    """Return a link for the first admin. Raises SettingsError when there is none."""
    current.need("admin_token")
    secret = Authenticator(named(current.admin_token), ()).link(Identity(current.admin_token[0].name, Role.ADMIN))
    return f"{address(current)}/console/enter?link={secret}"


def address(current: Settings) -> str:
    """Return where the console is found from this machine."""
    return option_values.base_url(current.host, current.console_port)


def named(tokens: Iterable[NamedToken]) -> list[tuple[str, str]]:
    """Return names and tokens as the console wants them."""
    return [(each.name, each.token.get_secret_value()) for each in tokens]


def api(current: Settings, given: str | None) -> str:
    """Return the URL of a console's API: of the one that *given* names, else of the one here. Raises UsageError."""
    base = (given or f"{address(current)}/console").rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--console: give the console's URL, as https://frontdesk.example/console")
    if parts.scheme == "http" and not option_values.is_loopback(parts.hostname):
        raise UsageError("--console: records and the token must not travel without TLS; give an https URL")
    return base.removesuffix("/console") + BASE


def own_token(command: str, current: Settings, *, is_admin: bool) -> str:
    """Return the token that a command shows: the first admin's, or else a viewer's if there is one.

    Raises SettingsError.
    """
    given = current.admin_token if is_admin else (*current.viewer_token, *current.admin_token)
    if given:
        return given[0].token.get_secret_value()
    wanted = "FRONTDESK_ADMIN_TOKEN" if is_admin else "FRONTDESK_VIEWER_TOKEN or FRONTDESK_ADMIN_TOKEN"
    raise SettingsError(f"{command} requires a token of the console: set {wanted}")


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
