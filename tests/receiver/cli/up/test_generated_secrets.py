"""Secrets that nobody set are made once, kept for their owner alone, and found by the next command."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.cli.up import generated_secrets
from receiver.core import settings
from receiver.core.errors import SettingsError


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    """256 random bits, mode 0600 in a folder of mode 0700."""
    path = generated_secrets.make(tmp_path / "var", "url_keys")
    made = path.read_text()

    assert len(made.strip()) >= 43
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert generated_secrets.make(tmp_path / "var", "url_keys").read_text() == made


def test_two_names_and_two_directories_have_different_secrets(tmp_path: Path) -> None:
    """Nothing is derived from anything."""
    files = {
        generated_secrets.make(tmp_path / place, name).read_text()
        for place in ("a", "b")
        for name in generated_secrets.MADE
    }

    assert len(files) == 2 * len(generated_secrets.MADE)


def test_many_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    """Whoever comes second takes the first one's, and never a half-written one."""
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: generated_secrets.make(tmp_path, "url_keys").read_text(), range(40)))

    assert len(set(read)) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["url-keys"]


def test_other_commands_find_what_was_made(tmp_path: Path) -> None:
    """As if it had been set."""
    made = {name: generated_secrets.make(tmp_path, name).read_text().strip() for name in generated_secrets.MADE}

    found = generated_secrets.completed(settings.from_environ({"FRONTDESK_DATA_DIR": str(tmp_path)}))

    assert [key.get_secret_value() for key in found.url_keys] == [made["url_keys"]]
    assert [(secret.business_id, secret.secret.get_secret_value()) for secret in found.webhook_secrets] == [
        (None, made["webhook_secrets"])
    ]
    assert [(token.name, token.token.get_secret_value()) for token in found.admin_token] == [
        ("operator", made["admin_token"])
    ]


def test_what_is_set_comes_first(tmp_path: Path) -> None:
    """The environment is the operator's word."""
    generated_secrets.make(tmp_path, "url_keys")
    read = settings.from_environ({"FRONTDESK_DATA_DIR": str(tmp_path), "FRONTDESK_URL_KEYS": "mine"})

    assert generated_secrets.completed(read) == read


def test_nothing_made_is_nothing_found(tmp_path: Path) -> None:
    """Without `up`, settings stay as they are."""
    read = settings.from_environ({"FRONTDESK_DATA_DIR": str(tmp_path / "nowhere")})

    assert generated_secrets.completed(read) == read


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where, what, remedy."""
    (tmp_path / "var").write_text("")

    with pytest.raises(SettingsError, match="cannot keep a secret there: .*; set FRONTDESK_DATA_DIR"):
        generated_secrets.make(tmp_path / "var", "url_keys")
