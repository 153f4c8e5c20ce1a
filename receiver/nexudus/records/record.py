"""What all records have in common: the tail of every DTO, and how Nexudus writes times.

Only `Id` is needed. Everything else may be missing or null, because lists leave fields out and Nexudus changes; what is
not named here is kept under its own name. The names are Nexudus's, so its documents are the documents of these types.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


def _absent(value: object) -> object:
    return None if value == "" else value


def _aware(moment: datetime | None) -> datetime | None:
    """Nexudus writes UTC with a `Z`; where it forgets that, it is UTC all the same."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_the_wall(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=None)


Time = Annotated[datetime | None, BeforeValidator(_absent), AfterValidator(_aware)]
"""A moment, with its zone. Nexudus writes up to seven digits below the second; the seventh is dropped."""

LocalTime = Annotated[datetime | None, BeforeValidator(_absent), AfterValidator(_of_the_wall)]
"""What the clock on the location's wall showed: without a zone, whatever zone Nexudus writes behind it."""


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


def kind_of(wanted: object) -> str | None:
    """Return the kind of record that a type is for, "Booking", also of a type derived from it; None for other types."""
    for base in wanted.__mro__ if isinstance(wanted, type) else ():
        if base is not Record and base.__module__.startswith(f"{__package__}."):
            return base.__name__
    return None
