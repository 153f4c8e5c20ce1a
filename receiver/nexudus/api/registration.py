"""A registration: one WebHook record at Nexudus, with the fields that we use and the whole record as it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from receiver.core.errors import NexudusError
from receiver.nexudus import actions

_LONGEST_NAME = 1_000
_LONGEST_URL = 8_000


@dataclass(frozen=True, slots=True)
class Registration:
    """One WebHook record (https://developers.nexudus.com/rest-api/sys/get-webhooks-by-id).

    *action_code* is the eWebhookAction number. *error_count* is the number of consecutive failures;
    *last_trigger* is the time of the last success, as Nexudus wrote it. *record* is the record as it came: whole from
    "get one", without `Description` from a list.
    """

    id: int
    business_id: int
    action_code: int
    name: str
    url: str
    active: bool
    error_count: int = 0
    last_error: str | None = None
    last_trigger: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def _text(value: object) -> object:
    return "" if value is None else str(value)


def _said(value: object) -> object:
    return None if value is None else str(value)


def _number(value: object) -> object:
    return 0 if value is None else value


def _code(value: object) -> object:
    """Return the number of an enumeration. Nexudus sends numbers; names are accepted as well."""
    if isinstance(value, str) and not value.isdigit():
        return actions.code_of(value) or 0
    return _number(value)


class _Row(BaseModel):
    """The fields that a record must have for us to use it; all others are kept in `record`.

    The check is as lax as possible: one odd record that belongs to somebody else must not stop the registrar.
    """

    model_config = ConfigDict(extra="ignore")

    id: int = Field(alias="Id", ge=0)
    business_id: Annotated[int, BeforeValidator(_number)] = Field(0, alias="BusinessId")
    action_code: Annotated[int, BeforeValidator(_code)] = Field(0, alias="Action")
    name: Annotated[str, BeforeValidator(_text)] = Field("", alias="Name")
    url: Annotated[str, BeforeValidator(_text)] = Field("", alias="URL")
    active: Annotated[bool, BeforeValidator(bool)] = Field(False, alias="Active")
    error_count: Annotated[int, BeforeValidator(_number)] = Field(0, alias="ErrorCount")
    last_error: Annotated[str | None, BeforeValidator(_said)] = Field(None, alias="LastError")
    last_trigger: Annotated[str | None, BeforeValidator(_said)] = Field(None, alias="LastTrigger")


def parse(value: object) -> Registration:
    """Return the registration in one record of the API. Raises NexudusError if it is not a webhook record."""
    try:
        row = _Row.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else "record"
        raise NexudusError(f"Nexudus sent a webhook record that we cannot read: {where}: {first['msg']}") from None
    assert isinstance(value, dict)  # noqa: S101 -- pydantic accepted it as one; for the type checker
    return Registration(
        id=row.id,
        business_id=row.business_id,
        action_code=row.action_code,
        name=row.name[:_LONGEST_NAME],
        url=row.url[:_LONGEST_URL],
        active=row.active,
        error_count=max(0, row.error_count),
        last_error=row.last_error,
        last_trigger=row.last_trigger,
        record=value,
    )
