"""`python -m receiver` and the `frontdesk` command."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the current folder, where `python -m` looks first: an email.py there is not Python's

from receiver.cli import main as commands
from receiver.process import garbage, standard_streams


def main() -> None:
    """Run the command of this process's arguments, and exit."""
    standard_streams.install()
    with garbage.not_collected():
        commands.import_command(sys.argv[1:])
    commands.main()


if __name__ == "__main__":
    main()
