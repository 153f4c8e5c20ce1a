"""Secrets and personal data are found only where they belong: the records themselves, in the store and in the spool."""

import ast
import contextlib
import re
import sqlite3
import urllib.request
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rq import Queue

from receiver.nexudus import hook_urls, samples
from receiver.storage.model import codec
from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk
from tests.support.journey import Journey
from tests.support.processes import free_port, run, wait_until

ROOT = Path(__file__).parents[1]
URL_KEY = "url-key-that-nobody-may-see"
HANDLER_SECRET = "whsec_" + "bm9ib2R5LW1heS1zZWUtdGhpcw=="
ROUTES = """
routes:
  - {action: "*", handler: log}
  - {action: "*", handler: "seen:note", name: note}
  - action: Coworker*
    handler: forward
    with: {url: "http://127.0.0.1:9/hook", secret: env/CRM_SECRET, allow_private: true}
    retry: [100ms]
    give_up: 2s
"""


PERSONAL = re.compile(r"FullName$|Email|Phone|LandLine|AccessPincode|AccessCardId|KeyFob|CardNumber")


def personal_data() -> set[str]:
    """Names, e-mail addresses, phone numbers and access PINs of the people in the samples."""
    records = [
        samples.record(action, now=datetime.now(UTC), number=number)
        for action in samples.names()
        for number in range(1, 8)
    ]
    values = [value for record in records for name, value in record.items() if PERSONAL.search(name)]
    return {value for value in values if isinstance(value, str) and len(value) > 3}


def _texts(client: Any) -> Iterator[tuple[str, bytes]]:
    """Everything in the store but the envelopes, which hold the records."""
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    for key in client.scan_iter(count=1_000):
        if not key.startswith(b"fd:e:"):
            # As Python shows bytes: what is not ASCII is escaped, here as in what is looked for.
            yield key.decode(), repr((key, readers[client.type(key)](key))).encode()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_tells_what_it_must_not(
    tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk, log_format: str
) -> None:
    """Every action was taken in, handled, forwarded in vain: logs, metrics and keys tell nothing."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    stack.settings |= {
        "FRONTDESK_URL_KEYS": URL_KEY,
        "FRONTDESK_LOG_FORMAT": log_format,
        "FRONTDESK_LOG_LEVEL": "debug",
    }
    stack.settings |= {"CRM_SECRET": HANDLER_SECRET}
    processes = [stack.serve(), stack.start("work")]
    for action in samples.names():
        assert stack.post(action) == 202
    stack.lines("send", "CoworkerCreate", "--count", "2")
    with connection.connect(redis_url) as client:
        wait_until(lambda: not stack.lines("events", "--status", "in_flight"), "everything to end")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{stack.settings['FRONTDESK_PORT']}/metrics").read()
        places = dict(_texts(client)) | {"metrics": metrics}
    for process in processes:
        process.stop()
        places[str(process.log.name)] = process.output.encode()

    tokens = {hook_urls.token(URL_KEY, 1001, action) for action in samples.names()}
    hidden = {URL_KEY, HANDLER_SECRET, HANDLER_SECRET.removeprefix("whsec_")} | tokens | personal_data()
    assert len(personal_data()) > 15
    told = {
        (place, one)
        for place, text in places.items()
        for one in hidden
        if one.encode() in text or repr(one.encode())[2:-1].encode() in text
    }
    assert told == set()


def test_a_spool_tells_no_secret_and_nothing_personal_beside_the_records(
    tmp_path: Path, frontdesk: StartFrontdesk
) -> None:
    """The store is away, so that everything lies in the data directory: names and numbers in the records alone."""
    stack = Journey(tmp_path, f"redis://127.0.0.1:{free_port()}/0", frontdesk)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    stack.settings |= {"FRONTDESK_URL_KEYS": URL_KEY, "CRM_SECRET": HANDLER_SECRET}
    receiver = stack.serve()
    for action in samples.names():
        assert stack.post(action) == 202
    receiver.kill()

    files = [file for file in (tmp_path / "var").rglob("*") if file.is_file()]
    (spool,) = [file for file in files if file.suffix == ".db"]
    tokens = {hook_urls.token(URL_KEY, 1001, action) for action in samples.names()}
    secrets = {URL_KEY, HANDLER_SECRET.removeprefix("whsec_")} | tokens
    assert {(file, one) for file in files for one in secrets if one.encode() in file.read_bytes()} == set()
    with contextlib.closing(sqlite3.connect(spool)) as file:
        cursor = file.execute("SELECT * FROM event")
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    assert len(rows) == len(samples.names())
    beside = repr([[value for name, value in zip(columns, row, strict=True) if name != "envelope"] for row in rows])
    assert {one for one in personal_data() if one in beside} == set()
    records = b"".join(codec.unpack(row[columns.index("envelope")]).body for row in rows).decode()
    assert {one for one in personal_data() if one in records}


class Trap:
    """What a stranger with access to the queue would put there."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.file, "w")


def test_nothing_is_ever_unpickled(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> None:
    """A job of stock RQ, which pickles, is refused unread, wherever it lies; and no module of ours knows pickle."""
    sprung = tmp_path / "sprung"
    stack = Journey(tmp_path, redis_url, frontdesk)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with connection.connect(redis_url) as client:
        for queue in ("default", "frontdesk-isolated"):
            job = Queue(queue, connection=client).enqueue("os.system", Trap(sprung), job_id=f"trap-{queue}")
            assert b"os" in zlib.decompress(client.hget(f"rq:job:{job.id}", "data") or b"")
        worker = stack.start("work")
        wait_until(lambda: client.zcard("rq:failed:default"), "the refusal")
        stack.lines("events")
        run("audit", "--full", settings=stack.settings)
        worker.stop()
    assert not sprung.exists()

    unsafe = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    found = set()
    for file in (*ROOT.glob("receiver/**/*.py"), *ROOT.glob("workers/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {f"{file}: {name}" for name in names if name.partition(".")[0] in unsafe}
    assert found == set()
