"""The base of all records: the fields that every DTO ends with, and how Nexudus writes times.

Only `Id` is required. Everything else may be missing or null, because lists leave fields out and Nexudus changes. A
field that is not declared here is kept under its own name. The names are Nexudus's, so its documentation explains them.
That gives no type for most fields: a value that does not fit our type is kept as it came, see `Record.unfit`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import structlog
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)


def _absent(value: object) -> object:
    return None if value == "" else value


def _aware(moment: datetime | None) -> datetime | None:
    """Return a time with its zone. Nexudus writes UTC with a `Z`; where the `Z` is missing, the time is UTC as well."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_the_wall(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=None)


Time = Annotated[datetime | None, BeforeValidator(_absent), AfterValidator(_aware)]
"""A time with its zone. Nexudus writes up to seven digits below the second; the seventh is dropped."""

LocalTime = Annotated[datetime | None, BeforeValidator(_absent), AfterValidator(_of_the_wall)]
"""A local time at the location, without a zone, whatever zone Nexudus writes after it."""


class Record(BaseModel):
    """A record of Nexudus. *PATH* is where the REST API has records of its kind, without `/api/`."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)

    PATH: ClassVar[str] = ""

    Id: int
    UniqueId: str | None = None
    CreatedOn: Time = None
    UpdatedOn: Time = None
    UpdatedBy: str | None = None
    IsNew: bool | None = None
    SystemId: str | None = None
    ToStringText: str | None = None
    LocalizationDetails: Any = None
    CustomFields: Any = None

    _unfit: frozenset[str] = PrivateAttr(frozenset())

    @property
    def unfit(self) -> frozenset[str]:
        """The names of the fields whose value does not have the declared type; such values are kept as they came."""
        return self._unfit

    def model_dump(self, **how: Any) -> dict[str, Any]:
        """As pydantic's, which would warn of what does not fit, with its value."""
        return super().model_dump(**{"warnings": not self._unfit} | how)

    def model_dump_json(self, **how: Any) -> str:
        """As pydantic's, which would warn of what does not fit, with its value."""
        return super().model_dump_json(**{"warnings": not self._unfit} | how)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_unfit(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read the fields that fit, and keep the others as they came. Fields that a derived type adds must fit."""
        try:
            return read(value)
        except ValidationError as error:
            unfit = frozenset(str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"])
            if not isinstance(value, Mapping) or not unfit or not all(_may_be_unfit(cls, name) for name in unfit):
                raise
        record = read({name: one for name, one in value.items() if name not in unfit})
        kept = {name: value[name] for name in unfit}
        record.__dict__.update(kept)
        record.model_fields_set.update(kept)
        record._unfit = unfit  # noqa: SLF001 -- its own
        structlog.get_logger().warning("record.unfit", kind=kind_of(cls), fields=sorted(unfit))
        return record


def _may_be_unfit(wanted: type[Record], name: str) -> bool:
    """Return whether *name* is a field of Nexudus's that *wanted* does not require."""
    declared = next((base for base in reversed(wanted.__mro__) if name in getattr(base, "model_fields", ())), object)
    is_ours = declared.__module__.startswith(f"{__package__}.")
    return is_ours and not wanted.model_fields[name].is_required()


def kind_of(wanted: object) -> str | None:
    """Return the kind of record, "Booking", that a type or its base declares; None for types that are no records."""
    for base in wanted.__mro__ if isinstance(wanted, type) else ():
        if base is not Record and base.__module__.startswith(f"{__package__}."):
            return base.__name__
    return None
