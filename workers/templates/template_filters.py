"""The filters of templates: those of Jinja that cannot explode, and our own for times, money and JSON."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
from jinja2 import Undefined
from jinja2 import filters as theirs
from jinja2.runtime import Context
from jinja2.utils import pass_context

from workers.templates import limits
from workers.templates.template_errors import TemplateFailed

_THEIRS = (
    "abs", "capitalize", "dictsort", "first", "float", "int", "items", "last", "length", "list", "lower", "map", "max",
    "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string", "title", "trim", "truncate",
    "unique", "upper",
)  # fmt: skip
_OF_TEXT = frozenset({"capitalize", "lower", "string", "title", "trim", "truncate", "upper"})
_FORMAT = re.compile(r"(?:[^%]|%-?[aAbBcdHIjmMpSUWwxXyYzZ%]){1,100}")
_WHOLE = frozenset({"CLP", "JPY", "KRW", "VND", "ISK", "HUF", "IDR", "COP"})
"""Currencies whose amounts are written without decimals."""


def shown(value: Any) -> str:
    """Return *value* as it stands in text: null as nothing, true and false in small letters, lists as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Iterator):
        value = list(value)
    return to_json(value) if isinstance(value, Mapping | list | tuple) else str(value)


def to_json(value: Any) -> str:
    """Return *value* as JSON."""
    if isinstance(value, Undefined):
        str(value)  # raises: it says what is not there
    try:
        return limits.bounded(orjson.dumps(value).decode())  # type: ignore[no-any-return]
    except TypeError:
        raise TemplateFailed(f"json: a {type(value).__name__} cannot be written as JSON") from None


def default(value: Any, instead: Any = "") -> Any:
    """Return *instead* for what is not there, null, or an empty text."""
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def join(values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    """Join the values of a list."""
    if attribute is not None:
        values = [one.get(attribute) if isinstance(one, Mapping) else None for one in values]
    parts = [shown(value) for value in values]
    if sum(map(len, parts)) + len(parts) * len(between) > limits.LONGEST_TEXT:
        raise TemplateFailed(f"join: makes a text longer than {limits.LONGEST_TEXT}")
    return between.join(parts)


def replace(value: Any, old: str, new: str) -> str:
    """Replace each *old* in a text."""
    text = shown(value)
    if len(text) + (text.count(old)) * len(new) > limits.LONGEST_TEXT:
        raise TemplateFailed(f"replace: makes a text longer than {limits.LONGEST_TEXT}")
    return text.replace(old, new)


def rounded(value: Any, digits: int = 0) -> Any:
    """Round a number to *digits* behind the point, 0 to 10; with none it is whole."""
    if not isinstance(value, int | float) or not 0 <= digits <= 10:
        raise TemplateFailed("round: takes a number, and 0 to 10 digits")
    return round(value, digits) if digits else round(value)


def total(values: Iterable[Any], attribute: str | None = None) -> Any:
    """Add up numbers."""
    found = [one.get(attribute) if attribute and isinstance(one, Mapping) else one for one in values]
    if not all(isinstance(one, int | float) for one in found):
        raise TemplateFailed("sum: takes numbers only")
    return sum(found)


@pass_context
def local(context: Context, value: Any, format: str = "%Y-%m-%d %H:%M", zone: str | None = None) -> Any:  # noqa: A002
    """Return a time in the time zone of its location, or in *zone*."""
    if value is None:
        return None
    name = zone or context["business"]["time_zone"]
    if not name:
        raise TemplateFailed(
            f"local: the time zone of location {context['business_id']} is not known; give it under `locations` in "
            'routes.yaml, or write local(zone="Europe/Paris")'
        )
    try:
        where = ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise TemplateFailed(f"local: there is no time zone {name[:60]!r}") from None
    moment = _moment(value, "local")
    return _formatted((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(where), format, "local")


def on_date(value: Any, format: str = "%Y-%m-%d") -> Any:  # noqa: A002 - the word of its users
    """Return the date of a time as it is written, without a change of its time zone."""
    return None if value is None else _formatted(_moment(value, "date"), format, "date")


@pass_context
def money(context: Context, value: Any, currency: str | None = None) -> Any:
    """Return an amount with two decimals and its currency: that of the location, or *currency*."""
    if value is None:
        return None
    try:
        amount = Decimal("NaN" if isinstance(value, bool) else str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > 10**15:
        raise TemplateFailed("money: is not an amount")
    code = str(currency or context["business"]["currency"] or "")[:10]
    return f"{amount:,.{0 if code in _WHOLE else 2}f} {code}".rstrip()


def _moment(value: Any, whose: str) -> datetime:
    written = value if isinstance(value, str) and 10 <= len(value) <= 40 else "-"
    try:
        if len(written) == 10:
            return datetime.combine(date.fromisoformat(written), datetime.min.time())
        return datetime.fromisoformat(written)
    except ValueError:
        raise TemplateFailed(f"{whose}: is not a time as Nexudus writes it") from None


def _formatted(moment: datetime, form: str, whose: str) -> str:
    if not isinstance(form, str) or not _FORMAT.fullmatch(form):
        raise TemplateFailed(f'{whose}: the format is not one; write it like "%d %B %Y, %H:%M"')
    try:
        return moment.strftime(form)
    except (ValueError, OverflowError):
        raise TemplateFailed(f"{whose}: the time cannot be written like this") from None


def _bounded(filter_: Callable[..., Any], *, of_text: bool = False) -> Callable[..., Any]:
    """Check what a filter returns, and that there is time left for it. One *of_text* leaves null what it is."""

    @wraps(filter_)  # with the attributes by which Jinja knows what it asks for
    def call(*arguments: Any, **named: Any) -> Any:
        limits.hurry()
        if of_text and None in arguments[:1]:
            return None
        return limits.bounded(filter_(*arguments, **named))

    return call


_OURS: Mapping[str, Callable[..., Any]] = {
    "d": default,
    "date": on_date,
    "default": default,
    "join": join,
    "json": to_json,
    "local": local,
    "money": money,
    "replace": replace,
    "round": rounded,
    "sum": total,
    "urlencode": lambda value: quote(shown(value), safe=""),
}

_ALL = {**{name: theirs.FILTERS[name] for name in _THEIRS}, **_OURS}

FILTERS: Mapping[str, Callable[..., Any]] = {
    name: _bounded(one, of_text=name in _OF_TEXT) for name, one in _ALL.items()
}
