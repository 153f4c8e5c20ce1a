"""Links that sign an admin in to the console, once, within ten minutes."""

from collections.abc import Iterable

from receiver.console.auth.sessions import Authenticator, Identity, Role
from receiver.core.settings import NamedToken, Settings


def make(current: Settings) -> str:
    """Return a link for the first admin. Raises SettingsError when there is none."""
    current.need("admin_token")
    secret = Authenticator(named(current.admin_token), ()).link(Identity(current.admin_token[0].name, Role.ADMIN))
    return f"{address(current)}/console/enter?link={secret}"


def address(current: Settings) -> str:
    """Return where the console is found from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(current.host, current.host)  # noqa: S104 - it is replaced
    return f"http://[{host}]:{current.console_port}" if ":" in host else f"http://{host}:{current.console_port}"


def named(tokens: Iterable[NamedToken]) -> list[tuple[str, str]]:
    """Return names and tokens as the console wants them."""
    return [(each.name, each.token.get_secret_value()) for each in tokens]
