"""`frontdesk init`: write a first routes.yaml, for an operator to edit."""

import os
from importlib import resources
from pathlib import Path

from receiver.cli.ui import output
from receiver.core import settings
from receiver.core.errors import UsageError


def init(file: Path | None = None, /) -> None:
    """Write a first routing file with comments. It never overwrites one.

    Parameters
    ----------
    file
        Where; without it at FRONTDESK_ROUTES, or as routes.yaml in this folder.
    """
    path = file or settings.from_environ(os.environ).routes
    write(path)
    output.say(f"wrote {path}: bookings, check-ins, visitors and paid invoices go to the log")
    output.say("next: frontdesk up --demo runs everything here, with sample events; frontdesk check tests your edits")


def write(path: Path) -> None:
    """Write the first routing file. Raises UsageError where there is a file already, or none can be written."""
    text = (resources.files("receiver") / "scaffold" / "routes.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: already exists, and is left as it is; edit it, or move it away first") from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}; name another file: frontdesk init FILE"
        ) from None
