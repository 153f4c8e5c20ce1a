"""The one command, `frontdesk`. Each command lives in the module of its noun and is imported only when it is called."""

import os
import sys
from collections.abc import Sequence

import cyclopts

from receiver import __version__
from receiver.errors import FrontdeskError

app = cyclopts.App(
    name="frontdesk",
    help="The front desk for Nexudus events: takes webhooks in, keeps them, routes them to handlers.",
    version=__version__,
    default_parameter=cyclopts.Parameter(negative=()),
    exit_on_error=False,
    print_error=False,
    help_format="plaintext",
)

COMMANDS = {
    "acts": "receiver.cli.acts:acts",
    "apply": "receiver.cli.plan:apply",
    "audit": "receiver.cli.audit:audit",
    "check": "receiver.cli.check:check",
    "drain": "receiver.cli.drain:drain",
    "erase": "receiver.cli.erase:erase",
    "events": "receiver.cli.events:events",
    "hooks": "receiver.cli.hooks:hooks",
    "new-handler": "receiver.cli.new_handler:new_handler",
    "plan": "receiver.cli.plan:plan",
    "release": "receiver.cli.release:release",
    "replay": "receiver.cli.replay:replay",
    "routes": "receiver.cli.routes:app",
    "send": "receiver.cli.send:send",
    "serve": "receiver.cli.serve:serve",
    "show": "receiver.cli.events:show",
    "simulate": "receiver.cli.simulate:simulate",
    "tail": "receiver.cli.events:tail",
    "try": "receiver.cli.trial:trial",
    "up": "receiver.cli.up:up",
    "watch": "receiver.cli.watch:watch",
    "work": "receiver.cli.work:work",
}
"""Command name to the `module:function` that carries it out."""

for _name, _target in COMMANDS.items():
    app.command(_target, name=_name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 anything wrong; `plan` alone exits 2 when something would change."""
    try:
        result = app(sys.argv[1:] if arguments is None else arguments, result_action="return_value")
        status = result if isinstance(result, int) else 0
    except (FrontdeskError, cyclopts.CycloptsError) as error:
        status = _fail(str(error).strip())
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; a second flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def _fail(sentence: str) -> int:
    print(f"frontdesk: {sentence}", file=sys.stderr)
    return 1
