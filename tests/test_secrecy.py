"""Secrets and personal data are found only where they belong: the records themselves, in the store and in the spool."""

import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.nexudus import hooks, samples
from receiver.storage import connection
from tests.conftest import StartFrontdesk
from tests.processes import wait_until
from tests.test_journey import Stack

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
    stack = Stack(tmp_path, redis_url, frontdesk)
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

    tokens = {hooks.token(URL_KEY, 1001, action) for action in samples.names()}
    hidden = {URL_KEY, HANDLER_SECRET, HANDLER_SECRET.removeprefix("whsec_")} | tokens | personal_data()
    assert len(personal_data()) > 15
    told = {
        (place, one)
        for place, text in places.items()
        for one in hidden
        if one.encode() in text or repr(one.encode())[2:-1].encode() in text
    }
    assert told == set()
