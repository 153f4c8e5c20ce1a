"""What commands need before they can begin: settings, logs, the routing table, a connection to the store."""

import os
from functools import cached_property

import redis

from receiver.core import settings
from receiver.core.errors import FrontdeskError, UsageError
from receiver.core.sanitize import plain
from receiver.core.settings import Settings
from receiver.core.suggest import hint
from receiver.process import logs
from receiver.routing.loading import read_table
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, schema_version
from receiver.storage.shared.business_names import BusinessNames


class Context:
    """The settings of this process, and the store they name, connected when first used."""

    def __init__(self) -> None:
        self.settings: Settings = settings.from_environ(os.environ)
        logs.configure(self.settings.log_level, self.settings.log_format)

    @cached_property
    def redis_url(self) -> str:
        """The store's URL: the setting, else the embedded server of the data directory, else the local default."""
        return connection.url_of(self.settings)

    @cached_property
    def client(self) -> redis.Redis:
        """A connection for a command that a person waits for."""
        return connection.connect(self.redis_url)

    @cached_property
    def writable(self) -> redis.Redis:
        """The same for a command that changes events or deliveries. Raises LayoutUnknown, StorageUnavailable."""
        schema_version.settle(self.client)
        return self.client

    @cached_property
    def table(self) -> RoutingTable:
        """The routing table, as the file is now. Raises RoutesError."""
        return read_table(self.settings.routes)

    @cached_property
    def names(self) -> dict[int, str]:
        """The names of the locations, as far as routes.yaml and the store tell."""
        return BusinessNames(self.client, self._told).all()

    def _told(self) -> dict[int, str]:
        try:
            return self.table.business_names
        except FrontdeskError:
            return {}

    def route(self, command: str, name: str) -> Route:
        """Return the route that *command* names. Raises RoutesError, and UsageError for an unknown one."""
        found = self.table.route(name)
        if found is None:
            known = [one.name for one in self.table.routes]
            raise UsageError(f"{command}: {self.table.file} has no route {plain(name)[:60]!r}{hint(name, known)}")
        return found

    @cached_property
    def archive(self) -> EventReader:
        """What is kept."""
        return EventReader(self.client)
