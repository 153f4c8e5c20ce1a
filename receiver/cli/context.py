"""What commands need before they can begin: settings, logs, a connection to the store."""

import os
from functools import cached_property

import redis

from receiver.core import settings
from receiver.core.settings import Settings
from receiver.process import logs
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, schema_version


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
    def archive(self) -> EventReader:
        """What is kept."""
        return EventReader(self.client)
