"""What a program is told when something is wrong: RFC 9457, with where it is and what helps."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from pydantic import BaseModel, Field
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

_WHERE: Final = re.compile(r"([\w.\[\]<> -]{1,80}): (.+)", re.DOTALL)

_PLACES: Final[Mapping[int, str]] = {
    401: "authorization",
    403: "authorization",
    404: "path",
    405: "method",
    413: "body",
    415: "content-type",
    429: "authorization",
    502: "nexudus",
    503: "store",
}

_REMEDIES: Final[Mapping[int, str]] = {
    400: "correct the request; /api/v1/openapi.json says what is taken",
    401: "send a valid token as Authorization: Bearer TOKEN",
    403: "ask for an admin token",
    404: "list what there is, and use an id of that list",
    405: "use a method that /api/v1/openapi.json names",
    409: "look at it again, and repeat the request if it still holds",
    413: "send less",
    415: "send application/json",
    429: "wait for Retry-After seconds",
    500: "look at the console's log, and report it",
    502: "repeat the request; if it fails again, look at Nexudus and the API user",
    503: "repeat the request when the store is back",
}


class Problem(BaseModel):
    """What went wrong: *where* in the request or behind it, in one sentence (*detail*), and what helps (*remedy*)."""

    type: str = Field(default="about:blank")
    title: str
    status: int
    detail: str
    where: str
    remedy: str


def problem(status: int, sentence: str) -> Problem:
    """Return a problem. *sentence* is one of ours: where: what; remedy."""
    found = _WHERE.fullmatch(sentence)
    what, parted, remedy = sentence.rpartition("; ")
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=sentence,
        where=found[1] if found else _PLACES.get(status, "request"),
        remedy=remedy if parted and what else _REMEDIES.get(status, _REMEDIES[400]),
    )


def answered(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response."""
    body = orjson.dumps(problem(status, sentence).model_dump())
    return Response(body, status, media_type=MEDIA_TYPE, headers=dict(headers or {}))
