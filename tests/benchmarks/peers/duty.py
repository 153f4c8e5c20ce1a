"""What every peer does with a request and with a job, so that the same work is compared. Needs nothing but orjson."""

import hashlib
import hmac
import os
import sys
import time
from pathlib import Path
from typing import Any

import orjson

REDIS = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")
WAIT_S = float(os.environ.get("BENCH_WAIT_MS", "0")) / 1_000
HEADER = "X-Nexudus-Hook-Signature"

_SECRET = os.environ.get("BENCH_SECRET", "").encode()
_marks = os.open(os.environ.get("BENCH_MARKS", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def records(body: bytes, given: str | None) -> list[dict[str, Any]]:
    """Check the signature and read the body. Raises ValueError."""
    if not hmac.compare_digest(hmac.digest(_SECRET, body, hashlib.sha256).hex(), (given or "").lower()):
        raise ValueError("the signature does not match")
    read = orjson.loads(body)
    if not isinstance(read, list):
        raise ValueError("the body is no array")  # noqa: TRY004 - like every other fault of a body
    return read


def mark(record: dict[str, Any]) -> None:
    """Write down that the job of this record has started, and when: one line of 32 bytes."""
    os.write(_marks, b"%010d %020d\n" % (record["Id"], time.monotonic_ns()))


def work(record: dict[str, Any]) -> None:
    """The job: leave the mark, wait as long as asked."""
    mark(record)
    if WAIT_S:
        time.sleep(WAIT_S)


def wanted() -> list[dict[str, Any]]:
    """As many records as the command line asks for, to be enqueued before any worker runs."""
    record = orjson.loads(Path(os.environ["BENCH_RECORD"]).read_bytes())
    first = record["Id"]
    return [{**record, "Id": first + number} for number in range(int(sys.argv[1]))]
