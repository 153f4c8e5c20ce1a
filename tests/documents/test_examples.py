"""Every example in the documents works as it stands: routes pass `check`, handlers load and do what the page says."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from receiver.core import settings
from tests.documents.demo import Listener, listening
from tests.documents.pages import ROOT, Page, page, pages
from tests.support.handled import an_event
from tests.support.processes import run
from workers.records import Coworker, CoworkerInvoice

TRIED = {"sh", "yaml", "python", "json", "nginx", "toml", "mermaid", "text", ""}
"""Languages of blocks. The first four are tried here and in test_commands.py."""

WITH_ROUTES = [each for each in pages() if any(block.language == "yaml" for block in each.blocks)]
ENVIRONMENT = {
    "FRONTDESK_NEXUDUS_TOKEN": "t",
    "CRM_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
    "CRM_TOKEN": "t0k3n",
    "DATABASE_URL": "sqlite://",
    "TEAMS_URL": "json://127.0.0.1:9/teams",
    "DESK_MAIL": "mailto://127.0.0.1:9?from=frontdesk@example.com&to=desk@example.com",
}


def _write(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("page", WITH_ROUTES, ids=lambda page: page.name)
def test_every_routes_yaml_passes_check(page: Page, tmp_path: Path) -> None:
    """With the modules and files that stand on the same page beside it."""
    examples = [block.text for block in page.blocks if block.language == "yaml"]
    _write(page.files, tmp_path)

    for text in examples:
        (tmp_path / "routes.yaml").write_text(text)
        ran = run("check", settings=ENVIRONMENT, cwd=tmp_path)
        assert ran.status == 0, f"{page.name}:\n{text}\n{ran.err}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_handler_is_routed_by_an_example_beside_it(page: Page) -> None:
    """So `check` has loaded it (the one of the readme: see below); a Python block has the name of its file."""
    routed = set(re.findall(r"handler: (\w+):\w+", page.text))

    for block in page.blocks:
        if block.language == "python":
            assert block.file.startswith("test_") or block.file.removesuffix(".py") in routed, block.text


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_is_of_a_language_that_is_known(page: Page) -> None:
    """And every fence is closed: none is left in the text."""
    assert {block.language for block in page.blocks} <= TRIED
    assert "```" not in page.prose


def test_the_handler_of_the_readme_is_loaded_and_its_options_are_checked(tmp_path: Path) -> None:
    """As the sentence below it says; without its required option, that is named."""
    _write(page("README.md").files, tmp_path)
    (tmp_path / "routes.yaml").write_text(
        "routes: [{action: BookingCreate, handler: 'announcements:announce', with: {webhook_url: 'http://x.example'}}]"
    )
    ran = run("check", settings={}, cwd=tmp_path)
    (tmp_path / "routes.yaml").write_text("routes: [{action: BookingCreate, handler: 'announcements:announce'}]")

    assert ran.status == 0, ran
    assert "webhook_url" in run("check", settings={}, cwd=tmp_path).err


class Known:
    """A Nexudus that knows one customer."""

    def get(self, kind: type[Coworker], number: int) -> Coworker:
        """Return the customer."""
        return kind(Id=number, Email="ada@example.com")


def test_the_invoice_is_charged_once() -> None:
    """The example of `once` as it stands: of two attempts one calls the bank."""
    namespace: dict[str, Any] = {}
    exec(page("docs/handlers.md").files["billing.py"], namespace)
    record = CoworkerInvoice(Id=5, CoworkerId=7, TotalAmount=Decimal("12.5"))
    event = an_event(id="handlers", key="handlers-charge", data=record)

    with listening() as port:
        Listener.keys.clear()
        for _ in range(2):
            namespace["charge"](event, nexudus=Known(), bank_url=f"http://127.0.0.1:{port}")

    assert Listener.keys == ["handlers-charge-charge"]


def test_the_test_of_a_handler_passes(tmp_path: Path) -> None:
    """The example of a test, run by pytest beside the handler it tests."""
    _write(page("docs/handlers.md").files, tmp_path)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_doors.py"]

    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the plugins that are installed here are slow
    ran = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=200)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_value_of_a_setting_is_one(page: Page) -> None:
    """`FRONTDESK_NAME=value` between backticks or in a command is read without complaint; capitals are filled in."""
    examples = re.findall(r"[`\s]FRONTDESK_([A-Z_]+)=([^`\s]+)", page.text)

    for name, value in examples:
        if name.removesuffix("_FILE").lower() in settings.SECRETS and name.endswith("_FILE"):
            continue
        settings.from_environ({f"FRONTDESK_{name}": value})


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_setting_that_a_page_names_is_one(page: Page) -> None:
    """By its name, or the name of its file."""
    known = {settings.PREFIX + field.upper() for field in settings.Settings.model_fields}
    known |= {f"{settings.PREFIX}{field.upper()}_FILE" for field in settings.SECRETS}

    assert set(re.findall(rf"\b{settings.PREFIX}[A-Z][A-Z_]+", page.text)) <= known


def test_the_readme_is_short_enough_to_be_read() -> None:
    """A page and a half."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 135
