"""A CEL expression in the place of a template: for values that are calculated rather than written."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from receiver.routing.cel.expressions import ExpressionRefused
from receiver.routing.filters import Filter
from workers.templates.names import NAMES
from workers.templates.template_errors import TemplateFailed


class Expression:
    """One expression, over the same names as a filter. Raises ValueError, one sentence, for what is none.

    It is checked and filled like a template: *reads* are the fields that it names, *guarded* those that it looks for.
    """

    __slots__ = ("_filter", "guarded", "reads", "source")

    is_literal = False

    def __init__(self, source: str, records: Collection[str] = ()) -> None:
        self.source = source
        try:
            self._filter = Filter(source, yields="value", records=records)
        except ExpressionRefused as error:
            raise ValueError(f"is no expression: {error}") from None
        self.reads = tuple((name, field, 1) for name, field in self._filter.named_fields())
        looks = "has(" in source or " in data" in source
        self.guarded = frozenset((name, field) for name, field, _ in self.reads if looks)

    def fill(self, names: Mapping[str, Any], *, escape: Callable[[str], str] | None = None) -> Any:
        """Return the value for these *names* of an event; times as text. Raises TemplateFailed."""
        del escape
        records = {name: one for name, one in names.items() if name not in NAMES}
        value, failure = self._filter.evaluate(names["business_id"], names["action"], names["data"], records)
        if failure is not None:
            raise TemplateFailed(f"the expression fails: {failure} ({self.source})")
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return value.total_seconds() if isinstance(value, timedelta) else value
