"""A Nexudus and the settings of an operator, for each test."""

from pathlib import Path

import pytest

from receiver.nexudus.api.webhooks import Webhooks
from tests.receiver.cli.registrar.registrations import FOREIGN, ROUTES
from tests.support.nexudus import SimulatedNexudus


@pytest.fixture
def settings(nexudus: SimulatedNexudus, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """What an operator sets, with limits that do not slow a test down; at Nexudus there is a hook of somebody else."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with nexudus.client() as client:
        Webhooks(client).create(FOREIGN | {"Active": True})
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        **nexudus.settings,
        "FRONTDESK_PUBLIC_URL": "https://hooks.example",
        "FRONTDESK_URL_KEYS": "key-1",
        "FRONTDESK_WEBHOOK_SECRETS": "s3cr3t",
        "FRONTDESK_LOG_FORMAT": "json",
    }
