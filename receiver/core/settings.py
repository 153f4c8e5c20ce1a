"""Settings from the environment: read once, unknown names refused, secrets marked by their type.

Every process reads the same settings and requires only those that it needs (`Settings.need`). No other module reads
FRONTDESK_ variables.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from receiver.core.cleaning import clean
from receiver.core.durations import Milliseconds
from receiver.core.errors import SettingsError
from receiver.core.setting_values import BaseUrl, Host, List, NamedToken, Network, WebhookSecret
from receiver.core.suggest import nearest

PREFIX = "FRONTDESK_"

_KUBERNETES = re.compile(
    r"FRONTDESK_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""Variables that Kubernetes injects into every pod for Services called frontdesk or frontdesk-something."""

_KUBERNETES_PORT = re.compile(r"FRONTDESK_(\w+_)?PORT")
"""The same, but only with a value like tcp://10.0.0.1:8000, because two of our settings have such names."""

Names = Mapping[str, str]


class Settings(BaseModel):
    """All settings; see `deploy/env.example` for a sentence on each. Field names are the names without the prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: SecretStr | None = None
    routes: Path = Path("routes.yaml")
    data_dir: Path = Path("var")
    host: Host = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    console_port: int = Field(8001, ge=0, le=65_535)
    trusted_proxies: Annotated[tuple[Network, ...], List] = ()
    public_url: BaseUrl | None = None
    url_keys: Annotated[tuple[SecretStr, ...], List] = ()
    webhook_secrets: Annotated[tuple[WebhookSecret, ...], List] = ()
    signature_reading: Literal["any", "raw", "dotnet-ascii"] = "any"
    on_bad_signature: Literal["quarantine", "reject"] = "quarantine"
    max_connections: int = Field(1_000, ge=1, le=100_000)
    idle_timeout: Milliseconds = 620_000
    shutdown_delay: Milliseconds = 0
    max_body: int = Field(1_048_576, ge=1_024, le=64 * 1_048_576)
    retention: Milliseconds = 7 * 86_400_000
    retention_kept: Milliseconds = 30 * 86_400_000
    dedup_window: Milliseconds = 86_400_000
    durability: Literal["local", "replicated"] = "local"
    replicas: int = Field(1, ge=1, le=16)
    spool_max: int = Field(1_073_741_824, ge=1_048_576)
    store_patience: Milliseconds = 150
    nexudus_url: BaseUrl = "https://spaces.nexudus.com"
    nexudus_username: str | None = None
    nexudus_password: SecretStr | None = None
    nexudus_totp: SecretStr | None = None
    nexudus_client_id: str | None = None
    nexudus_token: SecretStr | None = None
    nexudus_calls_per_minute: int = Field(120, ge=1, le=10_000)
    nexudus_writes_per_minute: int = Field(60, ge=1, le=10_000)
    nexudus_calls_per_hour: int = Field(5_000, ge=1, le=1_000_000)
    nexudus_writes_per_day: int = Field(5_000, ge=1, le=1_000_000)
    admin_token: Annotated[tuple[NamedToken, ...], List] = ()
    viewer_token: Annotated[tuple[NamedToken, ...], List] = ()
    alert_urls: Annotated[tuple[SecretStr, ...], List] = ()
    alert_after: Milliseconds = 300_000
    watch_every: Milliseconds = 60_000
    traces_url: BaseUrl | None = None
    traces_sample: float = Field(1.0, ge=0, le=1)
    log_format: Literal["json", "console"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("data_dir", "routes")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        try:
            return value.expanduser()
        except RuntimeError:
            raise ValueError("begins with ~, but that home is not known; write the whole path, or set HOME") from None

    @model_validator(mode="after")
    def _durations_are_bounded(self) -> Self:
        if not 1_000 <= self.dedup_window <= 30 * 86_400_000:
            raise ValueError("FRONTDESK_DEDUP_WINDOW: must be between 1s and 30d")
        if not 100 <= self.watch_every <= 3_600_000:
            raise ValueError("FRONTDESK_WATCH_EVERY: must be between 100ms and 1h")
        if not 10 <= self.store_patience <= 10_000:
            raise ValueError("FRONTDESK_STORE_PATIENCE: must be between 10ms and 10s")
        if not 1_000 <= self.idle_timeout <= 86_400_000:
            raise ValueError("FRONTDESK_IDLE_TIMEOUT: must be between 1s and 1d")
        return self

    @property
    def reading(self) -> Literal["raw", "dotnet-ascii"] | None:
        """The only reading under which a signature is valid; None: for each secret, the one that it was seen to use."""
        return None if self.signature_reading == "any" else self.signature_reading

    def need(self, *names: str) -> None:
        """Raise SettingsError for the first of these settings that is not set."""
        for name in names:
            if not getattr(self, name):
                raise SettingsError(f"{PREFIX}{name.upper()} is not set; deploy/env.example says what it is for")


def from_environ(environ: Names) -> Settings:
    """Read the settings. Raises SettingsError with one sentence: which name, what is wrong, what to do."""
    values: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and not _is_kubernetes(name, environ[name]):
            field, value = _read(name, environ)
            if value:
                values[field] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{PREFIX}{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        raise SettingsError(f"{where}{first['msg'].removeprefix('Value error, ')}") from None


def _is_kubernetes(name: str, value: str) -> bool:
    is_url = value.startswith(("tcp://", "udp://", "sctp://"))
    return bool(_KUBERNETES.fullmatch(name)) or (is_url and bool(_KUBERNETES_PORT.fullmatch(name)))


def _is_list(field: str) -> bool:
    return List in Settings.model_fields[field].metadata


def _read(name: str, environ: Names) -> tuple[str, str]:
    """Return the field and value of one environment name, following `NAME_FILE` for secrets. Empty: it is not set."""
    field = name.removeprefix(PREFIX).lower()
    if field in Settings.model_fields:
        return field, clean(name, environ[name], is_list=_is_list(field))
    secret = field.removesuffix("_file")
    if secret != field and secret in SECRETS:
        if not environ[name].strip():
            return secret, ""
        if environ.get(name.removesuffix("_FILE")):
            raise SettingsError(f"{name} and {name.removesuffix('_FILE')} are both set; keep one")
        try:
            text = Path(environ[name].strip()).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}: cannot read {environ[name]!r}: {error}") from None
        value = clean(name, text, is_list=_is_list(secret))
        if not value and field == "redis_url_file":  # unset means a server here, which nobody means who names a file
            raise SettingsError(f"{name}: {environ[name]!r} is empty; write the store's URL into it, or unset {name}")
        return secret, value
    known = [PREFIX + known.upper() for known in Settings.model_fields]
    known += [f"{PREFIX}{secret.upper()}_FILE" for secret in SECRETS]
    near = nearest(name, known)
    raise SettingsError(f"{name} is not a setting of Frontdesk" + (f"; did you mean {near}?" if near else ""))


SECRETS = frozenset(
    {
        "redis_url",
        "url_keys",
        "webhook_secrets",
        "nexudus_password",
        "nexudus_totp",
        "nexudus_token",
        "admin_token",
        "viewer_token",
        "alert_urls",
    }
)
"""Settings that may also be given as the path of a file, under their name followed by `_FILE`."""
