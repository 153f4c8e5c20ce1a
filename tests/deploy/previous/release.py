"""The release before this one, as it was shipped: its code, to be run, and a store and a spool that it left behind.

`python -m tests.deploy.previous.record COMMIT` made all three files: it takes the code of the commit, and lets it work.
When a release is made, it takes the place of the one before.
"""

import base64
import contextlib
import http.client
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import redis

from receiver.nexudus import hook_urls, samples, signature
from tests.support.processes import Process, Ran, environment

FOLDER: Final = Path(__file__).parent
CODE: Final = FOLDER / "code.tar.xz"
STORE: Final = FOLDER / "store.jsonl"
SPOOL: Final = FOLDER / "spool.db"

URL_KEY: Final = "a-key-of-the-previous-release"
SECRET: Final = "a secret of the previous release"

ROUTES: Final = """
businesses: [1001]
queues: [default, later]
routes:
  - {name: fine, action: [CoworkerCreate, TeamCreated], handler: "deeds:fine"}
  - {name: fails, action: [BookingCreate, TeamCreated], handler: "deeds:fail", retry: []}
  - {name: leaves, action: BookingUpdate, handler: "deeds:leave"}
  - {name: waits, action: CoworkerInvoiceCreate, handler: "deeds:fail", retry: [30d]}
  - {name: runs, action: CoworkerCheckin, handler: "deeds:hang", timeout: 1h}
  - {name: queued, action: [VisitorRegistered, BookingDelete], handler: "deeds:fine", queue: later}
"""

DEEDS: Final = """
import time
from workers import Discard, Event

def fine(event: Event) -> None: pass
def fail(event: Event) -> None: raise ValueError("no good")
def leave(event: Event) -> None: raise Discard("not ours")
def hang(event: Event) -> None: time.sleep(3600)
"""


def write_routes(folder: Path, *, handlers: str = DEEDS, routes: str = ROUTES) -> Path:
    """Write routes.yaml and its handlers; return the path of the former."""
    (folder / "deeds.py").write_text(handlers)
    (folder / "routes.yaml").write_text(routes)
    return folder / "routes.yaml"


class PreviousRelease:
    """Its commands, unpacked to a folder that is their working directory, so that Python finds them there first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "previous"
        with tarfile.open(CODE) as archive:
            archive.extractall(self.folder, filter="data")

    def start(self, *arguments: str, settings: Mapping[str, str], log: Path) -> Process:
        """Start a command that stays."""
        argv = [sys.executable, "-m", "receiver", *arguments]
        return Process(argv, log=log, environ=environment(settings), cwd=self.folder)

    def run(self, *arguments: str, settings: Mapping[str, str]) -> Ran:
        """Run a command to its end."""
        ended = subprocess.run(
            [sys.executable, "-m", "receiver", *arguments],
            env=environment(settings),
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def post(port: int | str, action: str, number: int, *, secret: str = SECRET, day: int = 0) -> list[dict[str, str]]:
    """Post one signed sample as Nexudus does, and return what became of its events.

    The same number is the same entity, and on the same *day*, counted from today, the same event.
    """
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=day)
    body = samples.body(action, now=noon, number=number)
    client = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    with contextlib.closing(client):
        client.request(
            "POST", hook_urls.path(URL_KEY, 1001, action), body, {signature.HEADER: signature.sign(body, secret)}
        )
        answer = client.getresponse()
        told = json.loads(answer.read())
    assert answer.status == 202, (answer.status, told)
    return cast("list[dict[str, str]]", told["events"])


# -- A store as lines of JSON: what a server keeps, in terms that every version of every server knows ------------------


def dump(client: redis.Redis) -> list[dict[str, Any]]:
    """Return every key, in order, but for what RQ notes of a worker's machine: it would have expired."""
    found: list[dict[str, Any]] = []
    for key in sorted(cast("list[bytes]", client.keys("*"))):
        if key.startswith(b"rq:worker:"):
            continue
        kind = cast("bytes", client.type(key)).decode()
        ttl = client.pttl(key)
        found.append({"key": _text(key), "kind": kind, "ttl_ms": max(ttl, 0), "value": _value(client, kind, key)})
    return found


def load(client: redis.Redis, lines: list[dict[str, Any]]) -> None:
    """Write what `dump` returned into an empty store."""
    for line in lines:
        key, value = _bytes(line["key"]), line["value"]
        match line["kind"]:
            case "string":
                client.set(key, _bytes(value))
            case "list":
                client.rpush(key, *(_bytes(each) for each in value))
            case "set":
                client.sadd(key, *(_bytes(each) for each in value))
            case "hash":
                client.hset(key, items=[_bytes(each) for pair in value for each in pair])
            case "zset":
                client.zadd(key, {_bytes(member): score for member, score in value})
            case "stream":
                for entry_id, fields in value:
                    client.xadd(key, {_bytes(name): _bytes(each) for name, each in fields}, id=entry_id)
        if line["ttl_ms"]:
            client.pexpire(key, line["ttl_ms"])


def _value(client: redis.Redis, kind: str, key: bytes) -> Any:
    read: Any = client
    match kind:
        case "string":
            return _text(read.get(key))
        case "list":
            return [_text(each) for each in read.lrange(key, 0, -1)]
        case "set":
            return sorted(_text(each) for each in read.smembers(key))
        case "hash":
            return sorted([_text(name), _text(each)] for name, each in read.hgetall(key).items())
        case "zset":
            return [[_text(member), score] for member, score in read.zrange(key, 0, -1, withscores=True)]
        case "stream":
            return [
                [entry_id.decode(), [[_text(name), _text(each)] for name, each in fields.items()]]
                for entry_id, fields in read.xrange(key)
            ]
    raise AssertionError(f"a key of kind {kind}")


def _text(value: bytes) -> str:
    """Return bytes as text where they are text, else behind a mark in base64."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
    assert not text.startswith("base64:")
    return text


def _bytes(text: str) -> bytes:
    mark, _, coded = text.partition("base64:")
    return base64.b64decode(coded) if coded and not mark else text.encode("ascii")
