"""Each target holds for a few seconds of fuzzing; in the long form, a minute each."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from receiver.core.errors import EventUnknown
from receiver.storage.accounting.audit import Audit
from receiver.storage.query.event_reader import EventReader
from tests.conftest import StartValkey
from tests.support.processes import environment, run

SECONDS = 60 if os.environ.get("TESTS_LONG") == "1" else 4
CLIENT_IS_GONE = "the handler is closed"
"""How uvloop says it."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def atheris() -> None:
    """There are wheels for Linux on x86-64 alone."""
    if importlib.util.find_spec("atheris") is None:
        sentence = "NOT TESTED: the fuzzer atheris is not installed; it is for Linux with glibc on x86-64"
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            pytest.fail(f"{sentence}, and under CI=true it must be")
        pytest.skip(sentence)


def fuzz(target: str, folder: Path, settings: dict[str, str] | None = None) -> str:
    """Fuzz one target; return what was printed. Fails with what was found."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", target, f"-max_total_time={SECONDS}", "-timeout=20"]
    environ = environment({"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | (settings or {}))
    ended = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS + 100,
        check=False,
    )  # fmt: skip
    printed = ended.stdout.decode(errors="replace")
    # At least the corpus: how much more a few seconds are good for is the machine's affair.
    ran = re.search(r"^Done [1-9]\d* runs", printed, re.MULTILINE)
    assert (ended.returncode, bool(ran)) == (0, True), printed[-6_000:]
    return printed


def lost(archive: EventReader, ids: set[str]) -> set[str]:
    """Those that lead to no event, neither their own nor the one that they proved a duplicate of."""
    missing = ids - {stored.envelope.id for stored in archive.many(sorted(ids))}
    return {event_id for event_id in missing if not leads_to_an_event(archive, event_id)}


def leads_to_an_event(archive: EventReader, event_id: str) -> bool:
    """As `frontdesk show` finds it."""
    try:
        return bool(archive.get(event_id))
    except EventUnknown:
        return False


@pytest.mark.parametrize("target", ["signature_check", "payload_split", "routes_parse"])
def test_a_parser_holds(target: str, tmp_path: Path) -> None:
    """See the target's module for what that means."""
    fuzz(target, tmp_path)


def test_the_door_holds_and_keeps_what_it_took(start_valkey: StartValkey, tmp_path: Path) -> None:
    """Every id that was answered leads to a kept event, nothing is unaccounted for, no fault of ours is in the log.

    On a busy machine the store may take too long once. What was then spooled stays so: the fuzzer ends its process like
    a crash does, and the spool is drained by hand.
    """
    store = start_valkey()
    answers = tmp_path / "answers"
    settings = {
        "FRONTDESK_REDIS_URL": store.url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FUZZ_ANSWERS": str(answers),
    }
    printed = fuzz("door_knock", tmp_path / "fuzz", settings)
    drained = run("drain", "--json", settings=settings)

    answered = [line.split() for line in answers.read_text().splitlines()]
    assert (drained.status, json.loads(drained.out)["set_aside"]) == (0, 0), drained
    with store.client() as client:
        assert lost(EventReader(client), {event_id for event_id, _ in answered}) == set()
        report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    told = Counter(status for _, status in answered)
    assert report.events["accepted"] >= told["accepted"] + told["quarantined"] > 0
    for sign in ("request.failed", "keeper.failed"):
        assert sign not in printed, printed[printed.index(sign) - 500 :][:4_000]
    faults = re.findall(r"^\w*(?:Error|Exception)\b.*", printed, re.MULTILINE)
    assert [fault for fault in faults if not fault.endswith(CLIENT_IS_GONE)] == []
