"""What goes wrong with a database, in one sentence. The first module that needs SQLAlchemy."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.api import TargetDown

try:
    from sqlalchemy import exc
except ImportError:
    raise ImportError("install frontdesk[sql], and the driver of your database") from None


class NotWritten(Exception):
    """The row is not in the table; the text says why."""


class DatabaseDown(TargetDown):
    """The database cannot be reached."""


@contextmanager
def said() -> Iterator[None]:
    """Say what a database says in one sentence, without the row."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError) as error:
        if error.connection_invalidated or _is_away(error):
            raise DatabaseDown(f"the database is not reached: {first_line(error)}") from None
        raise NotWritten(f"the database refuses: {first_line(error)}") from None
    except exc.TimeoutError:
        raise DatabaseDown("the database has no free connection for us") from None
    except exc.SQLAlchemyError as error:
        raise NotWritten(f"the database refuses the row: {first_line(error)}") from None
    except ImportError as error:
        raise NotWritten(f"the driver of the database is not installed: {error.name}") from None


def _is_away(error: exc.DBAPIError) -> bool:
    """A connection that could not be made: no statement was run yet."""
    return error.statement is None


def first_line(error: exc.SQLAlchemyError) -> str:
    """Return what a database said, one line of it; the others quote the row."""
    said = getattr(error, "orig", None) or error
    return (str(said).strip().splitlines() or [type(said).__name__])[0][:300]
