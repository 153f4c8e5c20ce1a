"""Puts the registrar together from the settings, for `plan`, `apply`, `hooks` and `watch`."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from receiver.cli.context import Context
from receiver.cli.ui import option_values
from receiver.cli.up import demo, generated_secrets
from receiver.core.errors import RoutesError, SettingsError, StorageUnavailable
from receiver.core.settings import Settings
from receiver.nexudus.api import call_limits
from receiver.nexudus.api.call_limits import CallBudget
from receiver.nexudus.api.client import Client
from receiver.nexudus.api.credentials import credentials
from receiver.nexudus.api.webhooks import Webhooks
from receiver.registrar.hooks_at_nexudus import Planner
from receiver.registrar.ownership import Ownership
from receiver.routing.loading import read_table
from receiver.routing.table import RoutingTable
from receiver.storage.redis import connection
from receiver.storage.redis.store_client import guarded
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.shared_call_budget import SharedBudget

LOCK = "registrar"
"""Whoever writes registrations holds it: `apply` and the watch."""


@dataclass(frozen=True, slots=True)
class RegistrarTools:
    """The parts. *store* is None when no Redis is there and none was asked for."""

    settings: Settings
    client: Client
    webhooks: Webhooks
    ownership: Ownership
    planner: Planner
    store: redis.Redis | None

    def routes(self) -> RoutingTable:
        """Read the routing file. Raises RoutesError."""
        return read_table(self.settings.routes)

    def names(self) -> dict[int, str]:
        """Return the names of the locations: of routes.yaml, of the last call to Nexudus, else of the store."""
        try:
            told = self.routes().business_names
        except RoutesError:
            told = {}
        kept = {} if self.store is None else BusinessNames(self.store).all()
        return kept | dict(self.planner.names) | told


@contextlib.contextmanager
def opened(
    role: str, *, needs: tuple[str, ...] = ("public_url", "url_keys"), alone: bool = True, can_wait: bool = False
) -> Iterator[RegistrarTools]:
    """Yield the registrar's parts for a command. *role* names the command to Nexudus (each has tokens of its own).

    Raises SettingsError for what is missing. *alone*: the command can do without Redis; one that cannot also waits for
    it in its own way, so it is not asked for here. *can_wait*: its calls let those of others go first.
    """
    current = demo.completed(generated_secrets.completed(Context().settings))
    current.need(*needs)
    if current.public_url:
        check_public_url(current.public_url)
    who = credentials(current, role)
    with contextlib.ExitStack() as stack:
        store = _store(current, stack, alone=alone)
        client = stack.enter_context(Client(current.nexudus_url, who, _budget(current, store, can_wait=can_wait)))
        webhooks = Webhooks(client)
        ownership = Ownership(current.public_url, tuple(key.get_secret_value() for key in current.url_keys))
        yield RegistrarTools(
            current, client, webhooks, ownership, Planner(webhooks, ownership, _signed(current)), store
        )


def check_public_url(url: str) -> None:
    """Raise SettingsError unless events travel to *url* encrypted, or do not leave this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or option_values.is_loopback(parts.hostname or ""):
        return
    raise SettingsError("FRONTDESK_PUBLIC_URL: must be https://; plain http is for this machine alone (127.0.0.1)")


def _store(current: Settings, stack: contextlib.ExitStack, *, alone: bool) -> redis.Redis | None:
    store: redis.Redis = stack.enter_context(connection.connect(connection.url_of(current)))
    if not alone:
        return store
    try:
        with guarded():
            store.ping()
    except StorageUnavailable:
        if current.redis_url:
            raise
        return None
    return store


def _budget(current: Settings, store: redis.Redis | None, *, can_wait: bool) -> CallBudget:
    if store is None:
        return call_limits.local(current)
    shared = SharedBudget(store, **call_limits.limits(current), first=not can_wait)
    return call_limits.Joint(call_limits.pace(current), shared) if can_wait else shared


def _signed(current: Settings) -> frozenset[int] | str:
    """Return the businesses that have a shared secret, or "all"."""
    if any(secret.business_id is None for secret in current.webhook_secrets):
        return "all"
    return frozenset(secret.business_id for secret in current.webhook_secrets if secret.business_id is not None)
