"""The shape of routes.yaml: every key, what it takes, and one sentence for whatever it does not take.

Closed to unknown keys. The descriptions are those of the JSON Schema that editors use (`frontdesk routes schema`).
"""

import difflib
import re
from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from receiver import durations
from receiver.routing import table
from receiver.routing.expressions import ExpressionRefused
from receiver.routing.filters import Filter

NAME = r"[a-z0-9-]{1,40}"
QUEUE = r"[a-z0-9_-]{1,40}"
DAY_MS = 86_400_000
MAX_RETRIES = 100
MAX_ROUTES = 5_000

NOT_YET = frozenset({"concurrency", "debounce", "delay", "give_up", "limit", "nexudus", "order", "shadow", "tests"})
"""Keys of a route that a later version reads."""

_DURATION = {"anyOf": [{"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)?\s*$"}, {"type": "number"}]}
_LOCATION = {"type": "integer", "minimum": 1}
_HANDLER = re.compile(r"[A-Za-z0-9_.-]{1,100}|[A-Za-z_][\w.]{0,100}:[A-Za-z_][\w.]{0,100}", re.ASCII)
_PATTERN = re.compile(r"[A-Za-z0-9*]{1,64}")


class Unfit(ValueError):
    """A value that a key does not take; pydantic collects ValueErrors of every kind."""


def _kind(value: object) -> str:
    names = {type(None): "nothing", bool: "true or false", int: "a number", float: "a number", str: "text"}
    return names.get(type(value), "a list" if isinstance(value, list | tuple) else "a mapping")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit(f"must be text, not {_kind(value)}" + ("; put it in quotes" if value is not None else ""))
    return value


def _fits(pattern: str, words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = _text(value)
        if not re.fullmatch(pattern, text, re.ASCII):
            raise Unfit(f"{text[:60]!r} does not fit; {words}")
        return text

    return check


def _list(value: object) -> object:
    """One thing is a list of one."""
    if isinstance(value, list | tuple):
        if not value:
            raise Unfit("is an empty list; remove the key, or put something in")
        return value
    return [value]


def _only_list(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise Unfit(f"must be a list, like [a, b], not {_kind(value)}")
    return value


def _mapping(value: object) -> object:
    if not isinstance(value, dict):
        raise Unfit(f"must be a mapping, like {{key: value}}, not {_kind(value)}")
    for key in value:
        if not isinstance(key, str):
            raise Unfit(f"key {key!r} must be a word")
    return value


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"yes": True, "on": True, "no": False, "off": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise Unfit(f"must be true or false, not {_kind(value)}")


def _business(value: object) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise Unfit(f"{value!r} is not the number of a Nexudus location")
    return value


def _businesses(value: object) -> object:
    """A list of locations; none stands for the word all."""
    if value == "all":
        return ()
    if isinstance(value, str):
        raise Unfit(f"{value[:60]!r} is neither a list of locations nor the word all")
    return _list(value)


def _duration(least_ms: int, most_ms: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        milliseconds = durations.parse(value)
        if not least_ms <= milliseconds <= most_ms:
            least, most = durations.show(least_ms), durations.show(most_ms)
            raise Unfit(f"{value!r} is not between {least} and {most}")
        return milliseconds

    return check


def _action(value: object, info: ValidationInfo) -> str:
    pattern = _text(value)
    known: Collection[str] = (info.context or {}).get("known_actions", ())
    if pattern == table.NEVER:
        raise Unfit("None stands for no action at Nexudus; no event has it")
    if not _PATTERN.fullmatch(pattern):
        raise Unfit(f"{pattern[:60]!r} is no action; write a name, or a wildcard with * for any characters")
    if pattern == "*" or any(table.matches((pattern,), name) for name in known):
        return pattern
    names = set(known) - {table.NEVER}
    near = difflib.get_close_matches(pattern.rstrip("*") or pattern, sorted(names), n=1)
    what = "no action of Nexudus matches" if "*" in pattern else "unknown action"
    raise Unfit(f"{what} {pattern!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _where(value: object) -> Filter:
    try:
        return Filter(_text(value))
    except ExpressionRefused as error:
        raise Unfit(f"the filter {error}" if str(error).startswith(("is ", "has ")) else str(error)) from None


def _handler(value: object) -> str:
    text = _text(value)
    if not _HANDLER.fullmatch(text):
        raise Unfit(f"{text[:60]!r} is neither the name of a handler nor module:function")
    return text


Timeout = Annotated[int, BeforeValidator(_duration(1, DAY_MS)), WithJsonSchema(_DURATION)]
RetryDelay = Annotated[int, BeforeValidator(_duration(0, 30 * DAY_MS)), WithJsonSchema(_DURATION)]
Retry = Annotated[tuple[RetryDelay, ...], Field(max_length=MAX_RETRIES), BeforeValidator(_only_list)]
Name = Annotated[
    str,
    BeforeValidator(_fits(NAME, "a name is 1 to 40 characters of a-z, 0-9 and -")),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"}),
]
Queue = Annotated[
    str,
    BeforeValidator(_fits(QUEUE, "a queue is 1 to 40 characters of a-z, 0-9, _ and -")),
    WithJsonSchema({"type": "string", "pattern": f"^{QUEUE}$"}),
]
Business = Annotated[int, BeforeValidator(_business), WithJsonSchema(_LOCATION)]
Action = Annotated[str, BeforeValidator(_action)]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Defaults(_Shape):
    """What holds for every route that does not say otherwise."""

    timeout: Timeout = Field(30_000, description="How long one attempt may take: 1ms to 24h.")
    retry: Retry = Field(
        (10_000, 60_000, 600_000, 3_600_000, 21_600_000),
        description="The delay before each further attempt; [] for none.",
    )
    queue: Queue = Field("default", description="The queue that deliveries wait in.")


class RouteShape(_Shape):
    """One route."""

    name: Name | None = Field(None, description="Unique; in logs, metrics and commands. Default: the handler's name.")
    action: Annotated[tuple[Action, ...], BeforeValidator(_list)] = Field(
        description='Names of Nexudus actions, or wildcards ("CoworkerInvoice*"), or "*" for all.'
    )
    business: Annotated[tuple[Business, ...], BeforeValidator(_list)] | None = Field(
        None, description="Only events of this Nexudus location, or of these. Default: of all."
    )
    where: Annotated[Filter, BeforeValidator(_where), WithJsonSchema({"type": "string"})] | None = Field(
        None, description="A CEL expression over data, action and business_id; only events for which it is true."
    )
    handler: Annotated[str, BeforeValidator(_handler)] = Field(
        description="An installed handler's name, or module:function."
    )
    options: Annotated[dict[str, Any], BeforeValidator(_mapping)] = Field(
        default_factory=dict, alias="with", description="The handler's options; env/NAME and file/PATH for secrets."
    )
    queue: Queue | None = Field(None, description="The queue that deliveries wait in.")
    timeout: Timeout | None = Field(None, description="How long one attempt may take: 1ms to 24h.")
    retry: Retry | None = Field(None, description="The delay before each further attempt; [] for none.")
    enabled: Annotated[bool, BeforeValidator(_switch)] = Field(True, description="false: the route takes no events.")
    replay: Annotated[str, BeforeValidator(_fits("always|confirm", "write always or confirm"))] = Field(
        "always", description="confirm: a replay leaves the route out unless it is named with --route."
    )


class Document(_Shape):
    """routes.yaml: which Nexudus events go to which handlers."""

    businesses: Annotated[
        tuple[Business, ...],
        BeforeValidator(_businesses),
        WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": _LOCATION, "minItems": 1}]}),
    ] = Field(
        (), description="Nexudus locations to register webhooks at; all, the default: those that the account can see."
    )
    defaults: Annotated[Defaults, BeforeValidator(_mapping)] = Field(default_factory=Defaults)
    queues: Annotated[tuple[Queue, ...], BeforeValidator(_only_list)] = Field(
        (), description="Queues in order of priority; those that only routes name come behind."
    )
    routes: Annotated[
        tuple[Annotated[RouteShape, BeforeValidator(_mapping)], ...],
        Field(max_length=MAX_ROUTES),
        BeforeValidator(_only_list),
    ]
