"""The one command, `frontdesk`. Each command lives in the module of its noun and is imported only when it is called."""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Sequence

import cyclopts

from receiver import __version__
from receiver.core.errors import FrontdeskError, OutputUnwritable
from receiver.core.sanitize import plain, writable
from receiver.core.suggest import nearest
from receiver.process import standard_streams

COMMANDS = {
    "acts": ("receiver.cli.health.acts:acts", "List who did what: replays, releases, changes at Nexudus, ..."),
    "alerts": ("receiver.cli.health.alerts:alerts", "List what is wrong now; send a test to FRONTDESK_ALERT_URLS."),
    "apply": ("receiver.cli.registrar.plan:apply", "Bring the webhooks at Nexudus in step with routes.yaml."),
    "audit": ("receiver.cli.health.audit:audit", "Account for every event and every delivery."),
    "backfill": (
        "receiver.cli.registrar.backfill:backfill",
        "Find changes for which no webhook arrived, and make events.",
    ),
    "check": ("receiver.cli.health.check:check", "Check settings, routes and handlers, as in a deployment pipeline."),
    "console": ("receiver.cli.processes.console:console", "Serve the web console."),
    "drain": ("receiver.cli.events.drain:drain", "Move the events of a spool into the store."),
    "erase": ("receiver.cli.events.erase:erase", "Erase what is kept about one person."),
    "events": ("receiver.cli.events.events:events", "List events, newest first."),
    "failures": ("receiver.cli.events.failures:failures", "List what fails, grouped by route and error."),
    "gaps": ("receiver.cli.registrar.gaps:gaps", "List when webhooks were not known to be healthy."),
    "hooks": ("receiver.cli.registrar.hooks:hooks", "List our webhooks at Nexudus and their health."),
    "init": ("receiver.cli.up.init:init", "Write a first routes.yaml."),
    "listen": ("receiver.cli.events.listen:listen", "Send copies of live events to a program on this machine."),
    "mcp": ("receiver.cli.mcp.command:mcp", "Offer what the console shows to an assistant, as tools (MCP)."),
    "new-handler": (
        "receiver.cli.routes.new_handler:new_handler",
        "Write a plugin package with a handler and its test.",
    ),
    "pause": ("receiver.cli.routes.pause:pause", "Hold the deliveries of a route."),
    "plan": ("receiver.cli.registrar.plan:plan", "Show what would change at Nexudus."),
    "recipes": ("receiver.cli.routes.recipes:recipes", "List routes to copy; print one, or add it to routes.yaml."),
    "release": ("receiver.cli.events.release:release", "Check quarantined requests again and route those that pass."),
    "replay": ("receiver.cli.events.replay:replay", "Deliver kept events again, by the current routes."),
    "resume": ("receiver.cli.routes.pause:resume", "Resume the deliveries of a paused route."),
    "routes": ("receiver.cli.routes.routes:app", "List the routes; explain, diff, schema."),
    "send": ("receiver.cli.events.send:send", "Post signed samples to a running receiver."),
    "serve": ("receiver.cli.processes.serve:serve", "Receive events from Nexudus."),
    "show": ("receiver.cli.events.events:show", "Show one event with its deliveries and attempts."),
    "simulate": ("receiver.cli.processes.simulate:simulate", "Run a simulated Nexudus on this machine."),
    "tail": ("receiver.cli.events.events:tail", "Print events as they arrive."),
    "try": ("receiver.cli.routes.try_handler:trial", "Run a route's handler once, here."),
    "up": ("receiver.cli.up.up:up", "Run everything on this machine."),
    "watch": ("receiver.cli.processes.watch:watch", "Keep the webhooks at Nexudus in step with routes.yaml."),
    "work": ("receiver.cli.processes.work:work", "Run deliveries."),
}
"""Command name to the `module:function` that carries it out, and what it does in one line."""


def build(*, listing: bool = False) -> cyclopts.App:
    """Return the command. Commands are imported when they are called; in a *listing*, one line stands for each."""
    app = cyclopts.App(
        name="frontdesk",
        help="The front desk for Nexudus events: receives webhooks, keeps them, and routes them to handlers.",
        version=__version__,
        default_parameter=cyclopts.Parameter(negative=()),
        exit_on_error=False,
        print_error=False,
        help_format="plaintext",
    )
    for name, (target, sentence) in COMMANDS.items():
        app.command(target, name=name, help=sentence if listing else None)
    return app


def import_command(words: Sequence[str]) -> None:
    """Import the module of the command that *words* call. If it cannot be imported, calling the command says why."""
    target, _ = COMMANDS.get(words[0] if words else "", ("", ""))
    if target:
        with contextlib.suppress(Exception):
            importlib.import_module(target.partition(":")[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 anything wrong; `plan` alone exits 2 when something would change."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = build(listing=not words or words[0].startswith("-"))(words, result_action="return_value")
        status = result if isinstance(result, int) else 0
        sys.stdout.flush()  # here, where it may still fail
    except cyclopts.CycloptsError as error:
        status = _fail(_usage_sentence(error))
    except OutputUnwritable as error:
        standard_streams.discard_output()
        status = _fail(str(error))
    except FrontdeskError as error:
        status = _fail(str(error).strip())
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; a second flush at exit must not complain.
        standard_streams.discard_output()
        status = 1
    except Exception as error:  # noqa: BLE001 - whatever it is, a person reads a sentence and a program a status
        status = _fail(_fault(error))
    sys.exit(status)


def _usage_sentence(error: cyclopts.CycloptsError) -> str:
    """Return one sentence about a wrong call: what is wrong with it, and where to read how it goes."""
    if not isinstance(error, cyclopts.UnusedCliTokensError) or not error.unused_tokens:
        return str(error).strip()
    command = " ".join(error.command_chain or ("frontdesk",))
    word = plain(error.unused_tokens[0])
    known = [name for name in error.app or () if not name.startswith("-")]
    if not known:
        return f"{command}: {word!r} is one word too many; see frontdesk {command} --help"
    near = nearest(word, known)
    hint = (
        f"did you mean {near}?"
        if near
        else f"the commands are {', '.join(sorted(known))}; see frontdesk {command} --help"
    )
    return f"{command}: {word!r} is not one of its commands; {hint}"


def _fail(sentence: str) -> int:
    print(f"frontdesk: {writable(sentence)}", file=sys.stderr, flush=True)
    return 1


def _fault(error: Exception) -> str:
    """Return what may be shown of a fault of ours: its class and line; its message may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"a fault of Frontdesk: {type(error).__name__} at {ours[-1].filename}:{ours[-1].lineno}; please report it"
