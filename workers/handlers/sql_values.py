"""Values of a record as columns of a database take them, and the columns that values need. Pure."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

_KEY_LENGTH = 120
_MOMENT = 19


def kind_for(name: str, value: Any) -> sa.types.TypeEngine[Any]:
    """Return the type of a new column for values like *value*."""
    if name in ("event_key", "entity", "event_id", "action"):
        return sa.String(_KEY_LENGTH)
    if isinstance(value, bool):
        return sa.Boolean()
    if isinstance(value, int):
        return sa.BigInteger()
    if isinstance(value, float):
        return sa.Numeric(18, 4)
    if isinstance(value, dict | list):
        return sa.JSON()
    if isinstance(value, str) and len(value) >= _MOMENT and _moment(value):
        return sa.DateTime(timezone=True)
    return sa.Text()


def fitted(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    """Return *value* as a column of this *kind* takes it. Raises TypeError, ValueError or ArithmeticError."""
    if value is None:
        return None
    if isinstance(kind, sa.JSON):
        return value
    if isinstance(kind, sa.DateTime):
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware if kind.timezone else aware.astimezone(UTC).replace(tzinfo=None)
    if isinstance(kind, sa.Date):
        return date.fromisoformat(value[:10])
    if isinstance(kind, sa.Boolean):
        if not isinstance(value, bool):
            raise TypeError
        return value
    if isinstance(kind, sa.Numeric):  # Float is one, too
        number = Decimal(str(value))
        return number if kind.asdecimal else float(number)
    if isinstance(kind, sa.Integer):
        return int(value) if not isinstance(value, float) or value.is_integer() else int("-")
    return _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, dict | list | bool) else str(value)


def _moment(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
