"""The API keeps to its document: requests made of the document, right and wrong ones, against a real console."""

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from receiver.console.api.document import document
from receiver.console.api.endpoints import ENDPOINTS
from tests.receiver.console.api.conftest import Api
from tests.receiver.console.house import ADMIN, VIEWER

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection,unsupported_method"
)


def test_the_document_is_valid_openapi() -> None:
    """And every operation has a name of its own, a summary and a tag."""
    found = document()

    validate(found)
    operations = [one for path in found["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations) == len(ENDPOINTS)
    assert all(one["summary"].endswith(".") and one["tags"] for one in operations)


def test_it_is_served_as_it_is_made(api: Api) -> None:
    """To everybody: it says nothing that the source does not say."""
    answer = api.call("GET", "/openapi.json", token=None)

    assert (answer.status, answer.json()) == (200, document())


def _config(folder: Path, api: Api) -> Path:
    file = folder / "schemathesis.toml"
    file.write_text(
        f"""
[parameters]
"path.event" = "{api.well}"
"path.group" = "{api.group}"
"path.route" = "never"
"path.entity" = "Booking:7"
"""
    )
    return file


def _run(folder: Path, api: Api, token: str, phases: str, *arguments: str) -> None:
    executable = Path(sys.executable).with_name("schemathesis")
    argv = [
        str(executable),
        "--config-file",
        str(_config(folder, api)),
        "run",
        f"{api.url}/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        "--checks",
        CHECKS,
        "--phases",
        phases,
        "--suppress-health-check",
        "all",
        "--generation-deterministic",
        "--request-timeout",
        "60",
        "--no-color",
        *arguments,
    ]
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=1_700)
    assert ran.returncode == 0, ran.stdout[-8_000:] + ran.stderr[-2_000:]


@pytest.mark.timeout(1_800)  # half a minute; more on a busy machine
def test_what_is_made_of_the_document_is_answered_as_it_says(api: Api, tmp_path: Path) -> None:
    """By an admin: everything, with right and wrong values in every place."""
    _run(tmp_path, api, ADMIN, "examples,coverage,fuzzing", "--max-examples", "5")


@pytest.mark.timeout(1_800)
def test_a_viewer_is_answered_as_the_document_says(api: Api, tmp_path: Path) -> None:
    """What only looks, with examples alone: who asks makes no difference to how a wrong value is refused."""
    _run(tmp_path, api, VIEWER, "examples,fuzzing", "--max-examples", "3", "--include-method", "GET")
