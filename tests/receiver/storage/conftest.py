"""A client of an empty, real server for each test of the store, and a small disk that can really be filled."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import disk
from tests.faults.disk import Disk, NoDisk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 8 MB of the test's own. It takes root: else the test is skipped, and fails where CI runs it."""
    mounting = disk.mounted(tmp_path / "disk", megabytes=8)
    try:
        mounted = mounting.__enter__()
    except NoDisk as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    try:
        yield mounted
    finally:
        mounting.__exit__(None, None, None)
