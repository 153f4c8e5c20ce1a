"""Tables of a database: their engines, their columns as they are there, and the two ways to write a row."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from workers.handlers import sql_values
from workers.handlers.sql_errors import DatabaseDown, NotWritten, first_line, said

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

_WAIT_S: Final = 10
_MOST_TABLES: Final = 500
_CONNECT: Final[Mapping[str, Mapping[str, Any]]] = {
    "postgresql": {"connect_timeout": _WAIT_S, "options": "-c statement_timeout=30000 -c lock_timeout=10000"},
    "sqlite": {"timeout": _WAIT_S},
    "mysql": {"connect_timeout": _WAIT_S, "read_timeout": 30, "write_timeout": 30},
    "mariadb": {"connect_timeout": _WAIT_S, "read_timeout": 30, "write_timeout": 30},
    "mssql": {"timeout": _WAIT_S},
}


def has_password(url: str) -> bool:
    """Return whether a URL holds a password. Raises ValueError, which does not quote it, for one that is none."""
    return bool(_parsed(url).password)


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ValueError("is no URL of a database; write it like postgresql+psycopg://user@host/name") from None


class SqlTable:
    """A table as it is in its database. Threads may share it."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._found: sa.Table | None = None
        self._lock = threading.Lock()

    def append(self, row: Mapping[str, Any]) -> None:
        """Insert *row*, unless there is one of its `event_key`. Raises NotWritten and DatabaseDown."""
        with said():
            self._insert(row, "event_key")

    def upsert(self, row: Mapping[str, Any]) -> None:
        """Insert *row*, or update the one of its `entity` unless that is of a newer event. Raises as `append`."""
        with said():
            # Between the first two, another worker may insert a row of the same record: then it is there to be updated.
            if not self._update(row) and not self._insert(row, "entity"):
                self._update(row)

    def missing(self, key: str, row: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the table for rows like *row*; None: nothing."""
        try:
            with said(), self._writing(key) as (_, table):
                _fitted(table, row)
        except (NotWritten, DatabaseDown) as error:
            return str(error)
        return None

    def create(self, key: str, row: Mapping[str, Any]) -> bool:
        """Make the table for rows like *row*; return whether it was not there. Raises NotWritten and DatabaseDown."""
        with said(), self._engine.begin() as connection:
            if sa.inspect(connection).has_table(*self._place()):
                return False
            schema, name = self._split()
            columns = [
                sa.Column(each, sql_values.kind_for(each, value), primary_key=each == key)
                for each, value in row.items()
            ]
            sa.Table(name, sa.MetaData(), *columns, schema=schema).create(connection)
            return True

    def _split(self) -> tuple[str | None, str]:
        schema, _, name = self._name.rpartition(".")
        return schema or None, name

    def _place(self) -> tuple[str, str | None]:
        schema, name = self._split()
        return name, schema

    @contextmanager
    def _writing(self, key: str) -> Iterator[tuple[sa.Connection, sa.Table]]:
        """Begin a transaction with the table as it is; when that fails, the table is looked at anew the next time."""
        try:
            with self._engine.begin() as connection:
                table = self._table(connection)
                _refuse_without(table, key)
                yield connection, table
        except (exc.SQLAlchemyError, NotWritten):
            self._found = None
            raise

    def _insert(self, row: Mapping[str, Any], key: str) -> bool:
        """Insert *row*; return whether there was none of its *key*."""
        try:
            with self._writing(key) as (connection, table):
                connection.execute(sa.insert(table).values(_fitted(table, row)))
        except exc.IntegrityError:
            with self._writing(key) as (connection, table):
                there = sa.select(sa.literal(1)).where(table.c[key] == row[key])
                if connection.execute(there).first() is None:
                    raise
            return False
        return True

    def _update(self, row: Mapping[str, Any]) -> bool:
        """Update the row of the same record; return whether there is one that is not of a newer event."""
        with self._writing("entity") as (connection, table):
            values = _fitted(table, row)
            older = (table.c.entity == values["entity"]) & (table.c.event_id <= values["event_id"])
            return connection.execute(sa.update(table).where(older).values(values)).rowcount > 0

    def _table(self, connection: sa.Connection) -> sa.Table:
        with self._lock:
            if self._found is None:
                schema, name = self._split()
                try:
                    self._found = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
                except exc.NoSuchTableError:
                    raise NotWritten(
                        f"there is no table {self._name}; make it by hand or by frontdesk check --create-tables"
                    ) from None
            return self._found


def _refuse_without(table: sa.Table, key: str) -> None:
    """Raise NotWritten when nothing in the table keeps a second row of one *key* out."""
    wanted = {key} if key == "event_key" else {key, "event_id"}
    if lacking := sorted(wanted - set(table.c.keys())):
        raise NotWritten(f"the table {table.name} has no column {lacking[0]}")
    unique = [[column.name for column in table.primary_key.columns]]
    unique += [[column.name for column in index.columns] for index in table.indexes if index.unique]
    unique += [
        [column.name for column in each.columns] for each in table.constraints if isinstance(each, sa.UniqueConstraint)
    ]
    if [key] not in unique:
        raise NotWritten(f"the column {key} of the table {table.name} is not unique; make it the primary key")


def _fitted(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of *row* as the columns of *table* take them."""
    values = {}
    for name, value in row.items():
        column = table.c.get(name)
        if column is None:
            raise NotWritten(f"the table {table.name} has no column {name}")
        try:
            values[name] = sql_values.fitted(column.type, value)
        except (TypeError, ValueError, ArithmeticError):
            raise NotWritten(f"the value for the column {name} is no {column.type!s:.40}") from None
    return values


class _Engines:
    """The engines and tables of this process; SQLAlchemy pools the connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[str, sa.Engine] = {}
        self._tables: OrderedDict[tuple[str, str], SqlTable] = OrderedDict()

    def table(self, url: str, name: str) -> SqlTable:
        with self._lock:
            if (url, name) not in self._tables:
                if len(self._tables) >= _MOST_TABLES:
                    self._tables.popitem(last=False)
                self._tables[url, name] = SqlTable(self._engine(url), name)
            return self._tables[url, name]

    def _engine(self, url: str) -> sa.Engine:
        if url not in self._engines:
            parsed = _parsed(url)
            connect = dict(_CONNECT.get(parsed.get_backend_name(), {}))
            try:
                engine = sa.create_engine(
                    parsed, connect_args=connect, pool_pre_ping=True, pool_timeout=_WAIT_S, hide_parameters=True
                )
            except ImportError as error:
                raise NotWritten(f"the driver of the database is not installed: {error.name}") from None
            except exc.SQLAlchemyError as error:
                raise NotWritten(f"the database is not one: {first_line(error)}") from None
            if parsed.get_backend_name() == "sqlite":
                _begin_to_write(engine)
            self._engines[url] = engine
        return self._engines[url]


def _begin_to_write(engine: sa.Engine) -> None:
    """Have SQLite wait for other writers when a transaction begins; later it would only say that it is locked."""

    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


table: Callable[[str, str], SqlTable] = _Engines().table
"""Return a table by the URL of its database and its name."""
