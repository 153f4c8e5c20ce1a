"""Takes a release's code from its commit, lets it fill a store and a spool with events, and records both.

`python -m tests.deploy.previous.record COMMIT` once a release is made; without a commit, by the code that is there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.deploy.previous import release
from tests.deploy.previous.release import PreviousRelease, post
from tests.support.processes import Process, Valkey, children_of, free_port, wait_until


def main(commit: str | None) -> None:
    """Write code.tar.xz when a commit is named, store.jsonl and spool.db."""
    with tempfile.TemporaryDirectory(prefix="fd") as folder:
        if commit:
            _pack(commit, Path(folder))
        _record(Path(folder))


def _pack(commit: str, folder: Path) -> None:
    """Write the files that the wheel of a commit installs."""
    source, wheels, files = folder / "source", folder / "wheels", folder / "files"
    tree = subprocess.run(["git", "archive", "--format=zip", commit], check=True, capture_output=True).stdout
    (folder / "source.zip").write_bytes(tree)
    _unzip(folder / "source.zip", source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    _unzip(next(wheels.glob("*.whl")), files)
    with tarfile.open(release.CODE, "w:xz", preset=9) as archive:
        archive.add(files, ".", filter=_nobodys)


def _unzip(file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as opened:
        opened.extractall(folder)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out whose files they were, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _record(folder: Path) -> None:
    previous = PreviousRelease(folder)
    valkey = Valkey(folder / "valkey")
    port = free_port()
    settings = {
        "FRONTDESK_REDIS_URL": valkey.url,
        "FRONTDESK_DATA_DIR": str(folder / "var"),
        "FRONTDESK_ROUTES": str(release.write_routes(folder)),
        "FRONTDESK_URL_KEYS": release.URL_KEY,
        "FRONTDESK_WEBHOOK_SECRETS": release.SECRET,
        "FRONTDESK_PORT": str(port),
    }
    receiver = previous.start("serve", settings=settings, log=folder / "serve.log")
    try:
        receiver.wait_for_http(f"http://127.0.0.1:{port}/readyz")
        _fill(previous, settings, port, folder)
        audit = previous.run("audit", "--json", settings=settings)
        events = previous.run("events", "--json", settings=settings)
        with valkey.client() as client:
            lines = release.dump(client)
        valkey.kill()
        assert [one["status"] for one in post(port, "CoworkerCreate", 90)] == ["spooled"]
        receiver.end()
        shutil.copy(folder / "var" / "spool" / "000.db", release.SPOOL)
    finally:
        receiver.end()
        valkey.end()
    told = [{"audit": json.loads(audit.out), "events": [json.loads(line) for line in events.out.splitlines()]}, *lines]
    release.STORE.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in told))
    print(f"{release.STORE}: {len(lines)} keys; {audit.out}", file=sys.stderr)


def _fill(previous: PreviousRelease, settings: dict[str, str], port: int, folder: Path) -> None:
    """Post events and let workers deal with them, until each state there is has some."""
    for number, action in enumerate(("CoworkerCreate", "CoworkerCreate", "BookingCreate", "BookingCreate"), 1):
        post(port, action, number)
    for number, action in enumerate(("TeamCreated", "BookingUpdate", "CoworkerInvoiceCreate", "CoworkerUpdate"), 10):
        post(port, action, number)
    post(port, "CoworkerCheckin", 20)
    assert [one["status"] for one in post(port, "CoworkerCreate", 1)] == ["duplicate"]
    for number in (30, 31):
        post(port, "CoworkerCreate", number, secret="another secret")
    work = previous.start("work", "--threads", "4", "--queue", "default", settings=settings, log=folder / "work.log")
    try:
        _wait_for(previous, settings, {"in_flight": 2, "dead": 3})
        replayed = previous.run("replay", "--status", "dead", "--action", "TeamCreated", "--yes", settings=settings)
        assert replayed.status == 0, replayed
        _wait_for(previous, settings, {"in_flight": 2, "dead": 3})
        for number, action in enumerate(("VisitorRegistered", "VisitorRegistered", "BookingDelete"), 40):
            post(port, action, number)
    finally:
        _kill_all(work)


def _wait_for(previous: PreviousRelease, settings: dict[str, str], counts: dict[str, int]) -> None:
    def holds() -> bool:
        return all(
            len(previous.run("events", "--json", "--status", status, settings=settings).out.splitlines()) == number
            for status, number in counts.items()
        )

    wait_until(holds, lambda: f"{counts}: {previous.run('events', settings=settings).out}")


def _kill_all(work: Process) -> None:
    """As a machine that loses power does: what a worker was running stays in its hands."""
    children = children_of(work.pid)
    work.kill()
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(next(iter(sys.argv[1:]), None))
