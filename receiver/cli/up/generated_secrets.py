"""The keys and secrets that `up` makes when nobody set them: files in the data directory, for their owner alone.

Other commands on the same machine find them there, so that `frontdesk send` beside `make run` just works.
"""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from receiver.core.errors import SettingsError
from receiver.core.setting_values import NamedToken, WebhookSecret
from receiver.core.settings import Settings

MADE: Final = ("url_keys", "webhook_secrets", "admin_token")
"""Settings that can be made here; each is one file of its name."""


def make(data_dir: Path, name: str) -> Path:
    """Return the file of one secret, made now if it is not there yet. Raises SettingsError when it cannot be kept."""
    path = _path(data_dir, name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(32))
    except OSError as error:
        raise SettingsError(f"{path}: cannot keep a secret there: {error.strerror}; set FRONTDESK_DATA_DIR") from None
    return path


def completed(settings: Settings) -> Settings:
    """Return *settings* with what `up` has made in the data directory in the place of what is not set."""
    found: dict[str, Any] = {}
    for name in MADE:
        if not getattr(settings, name) and (value := _read(_path(settings.data_dir, name))):
            found[name] = (_as_setting(name, value),)
    return settings.model_copy(update=found)


def _path(data_dir: Path, name: str) -> Path:
    return data_dir / "secrets" / name.replace("_", "-")


def _write_once(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable for its owner only; whoever comes second keeps the first one's."""
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _as_setting(name: str, value: str) -> SecretStr | WebhookSecret | NamedToken:
    secret = SecretStr(value)
    if name == "webhook_secrets":
        return WebhookSecret(business_id=None, secret=secret)
    return NamedToken(name="operator", token=secret) if name == "admin_token" else secret
