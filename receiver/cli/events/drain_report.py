"""What `drain` says when it is done: what was moved, what stays, and which spools nobody drains."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis

from receiver.cli.ui import output
from receiver.core import timestamps
from receiver.observation.store_status import StoreStatus
from receiver.storage.keep.drain import Drained
from receiver.storage.spool import rejected, reports
from receiver.storage.spool.reports import SpoolReport


@dataclass(slots=True)
class DrainOutcome:
    """What came of it. *left*: events that stay. *skipped*: files of receivers that run. *failed*: a sentence each.
    *staying*: why files that lie aside stay there, when they were tried again."""

    drained: Drained = field(default_factory=Drained)
    left: int = 0
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    staying: dict[Path, str] = field(default_factory=dict)


def silent_spools(client: redis.Redis) -> list[SpoolReport]:
    """Return the spools that hold events and have not reported for a while."""
    now_ms = StoreStatus(client).now_ms()
    return [one for one in reports.reports(client) if one.depth and one.is_orphaned(now_ms)]


def report(folder: Path, outcome: DrainOutcome, silent: Sequence[SpoolReport], *, json: bool) -> None:
    """Print what was drained, what stays and why, and which spools nobody drains."""
    if json:
        output.json_line(_shape(folder, outcome, silent))
    else:
        _print(folder, outcome, silent)


def _shape(folder: Path, outcome: DrainOutcome, silent: Sequence[SpoolReport]) -> dict[str, object]:
    return {
        "folder": str(folder),
        **outcome.drained.counts(),
        "left": outcome.left,
        "skipped": outcome.skipped,
        "failed": outcome.failed,
        "aside": [str(file) for file in rejected.files(folder)],
        "silent": [_silent_json(one) for one in silent],
    }


def _silent_json(report: SpoolReport) -> dict[str, object]:
    return {
        "name": report.name,
        "host": report.host,
        "folder": report.folder,
        "events": report.depth,
        "oldest_at": timestamps.show(report.oldest_ms),
        "reported_at": timestamps.show(report.reported_ms),
    }


def _print(folder: Path, outcome: DrainOutcome, silent: Sequence[SpoolReport]) -> None:
    done = outcome.drained
    output.say(f"{done.kept} events of {folder} were moved into the store; {done.duplicates} were there already.")
    if outcome.left:
        output.warn(f"{outcome.left} events are still in {folder}")
    for name in outcome.skipped:
        output.say(f"{name} was skipped: the receiver that runs on it drains it.")
    if done.held_back:
        stay = f"{done.held_back} quarantined requests stay, because quarantine is full."
        output.say(f"{stay} Release some or wait, then drain again.")
    if done.set_aside:
        output.say(f"{done.set_aside} events were set aside, because the store refuses them.")
    for file in rejected.files(folder):
        why = outcome.staying.get(file, "it is counted nowhere; `frontdesk drain --set-aside` retries it")
        output.warn(f"{file} is set aside: {why}")
    for sentence in outcome.failed:
        output.warn(sentence)
    if silent:
        output.say("")
        rows = [(one.name, one.host, one.folder, one.depth, timestamps.show(one.reported_ms)) for one in silent]
        output.table(("silent spool", "host", "folder", "events", "last heard of"), rows)
        output.say(
            "Start a receiver on that folder, or drain it. If its disk is lost, run `frontdesk drain --forget NAME`."
        )
