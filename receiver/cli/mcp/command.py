"""`frontdesk mcp`: tools for assistants, on standard input and output."""

import os

from receiver.cli.up import console_access, generated_secrets
from receiver.core import settings as environment
from receiver.core.errors import SettingsError
from receiver.process import logs


def mcp(*, write: bool = False, console: str | None = None) -> None:
    """Offer what the console shows to an assistant: tools of the Model Context Protocol on standard input and output.

    It asks the console's API, with the token of FRONTDESK_VIEWER_TOKEN or else FRONTDESK_ADMIN_TOKEN. Records are
    masked. It requires the extra `mcp`: pip install 'frontdesk[mcp]'.

    Parameters
    ----------
    write
        also offer tools that replay, release, pause, resume, acknowledge and back-fill, with the token of
        FRONTDESK_ADMIN_TOKEN; the audit log records each use under the name of that token
    console
        the console's URL, by default the one on this machine; elsewhere it must be https
    """
    read = console_access.with_running_console(generated_secrets.completed(environment.from_environ(os.environ)))
    logs.configure(read.log_level, read.log_format)
    base = console_access.api(read, console)
    token = console_access.own_token("mcp", read, is_admin=write)
    try:
        from receiver.cli.mcp import mcp_server
    except ImportError as error:
        raise SettingsError(f"mcp: {error.name} is not installed; pip install 'frontdesk[mcp]'") from None
    mcp_server.serve(base, token, write=write)
