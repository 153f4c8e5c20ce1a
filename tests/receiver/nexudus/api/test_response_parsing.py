"""What an answer means: a value, or one error with status, message and property errors."""

import pytest

from receiver.core.errors import NexudusError
from receiver.nexudus.api import response_parsing
from receiver.nexudus.api.response_parsing import Answer

VALIDATION = (
    b'{"Message":"Name: is a required field","Value":null,"WasSuccessful":false,'
    b'"Errors":[{"AttemptedValue":null,"Message":"is a required field","PropertyName":"Name"}]}'
)


def _answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        pytest.param(
            _answer(400, VALIDATION), 400, "answered 400 to PUT /x: Name: is a required field$", id="validation"
        ),
        pytest.param(
            _answer(200, VALIDATION), 200, "but did not do it: Name: is a required field$", id="unsuccessful-200"
        ),
        pytest.param(_answer(500, b"<html>"), 500, "answered 500 .* a page of HTML instead of JSON", id="html"),
        pytest.param(_answer(200, b"<html>"), 200, "but not with JSON; is FRONTDESK_NEXUDUS_URL right", id="html-200"),
        pytest.param(_answer(401, b"{}"), 401, "needs API access and the role WebHook-Edit$", id="role"),
        pytest.param(_answer(403, b""), 403, "the role WebHook-Edit$", id="forbidden"),
        pytest.param(_answer(409, b""), 409, "answered 409 to PUT /x: without a reason$", id="conflict"),
        pytest.param(_answer(409, b"", retry_after="1"), 409, "asks us to slow down", id="throttled"),
        pytest.param(_answer(302, b""), 302, "a redirect, which is never followed", id="redirect"),
        pytest.param(_answer(500, b'{"Message":"a\\n\\u0007b"}'), 500, "to PUT /x: a b$", id="one-line"),
        pytest.param(_answer(500, b"\xff\xfe"), 500, "without a reason", id="junk"),
        pytest.param(_answer(400, b'{"Errors":[1,{"PropertyName":null}]}'), 400, "None: None", id="odd-errors"),
    ],
)
def test_an_error_says_status_and_reason(answer: Answer, status: int, sentence: str) -> None:
    """One sentence; never a traceback, whatever the body holds."""
    with pytest.raises(NexudusError, match=sentence) as caught:
        response_parsing.read(answer, call="PUT /x", role="WebHook-Edit")

    assert caught.value.status == status


def test_property_errors_are_carried() -> None:
    """For programs."""
    with pytest.raises(NexudusError, match="Name") as caught:
        response_parsing.read(_answer(400, VALIDATION), call="PUT /x")

    assert caught.value.properties == {"Name": "is a required field"}


@pytest.mark.parametrize(
    ("answer", "throttled", "passing"),
    [
        (_answer(409, retry_after="1"), True, False),
        (_answer(409), False, False),
        (_answer(409, retry_after="soon"), True, False),
        (_answer(429), True, False),
        (_answer(503), False, True),
        (_answer(503, retry_after="7"), True, True),
        (_answer(500), False, True),
        (_answer(408), False, True),
        (_answer(404), False, False),
    ],
)
def test_throttling_is_told_from_conflict_and_fault(answer: Answer, throttled: bool, passing: bool) -> None:
    """409 with Retry-After is throttling; without, it is a conflict that no repetition mends."""
    assert (answer.is_throttled, answer.is_passing) == (throttled, passing)


def test_retry_after_is_bounded() -> None:
    """Nobody makes us sleep for a year."""
    assert _answer(429, retry_after="999999999").retry_after == 120


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (_answer(429, b"API calls quota exceeded! Wait 7.5 seconds."), 7.5),
        (_answer(429, b'{"Message":"wait 3s"}'), 3),
        (_answer(429, b"Wait 7.5 seconds", retry_after="2"), 2),
        (_answer(429, b"Wait 999999999 seconds"), 120),
        (_answer(429, b"Wait a bit"), None),
        (_answer(429, b" " * 5_000 + b"Wait 7 seconds"), None),
        (_answer(400, b"Wait 7 seconds"), None),
    ],
)
def test_429_says_in_its_body_how_long_to_wait(answer: Answer, seconds: float | None) -> None:
    """Where it has no header; bounded, and looked for at the beginning alone."""
    assert answer.retry_after == seconds


@pytest.mark.parametrize(
    ("answer", "gone", "ooops"),
    [
        (_answer(404, b'{"Message":"Not found"}'), True, False),
        (_answer(404), True, False),
        (_answer(500, b" <html>"), True, False),
        (_answer(502, b"<html>"), False, False),
        (_answer(500, b'{"Message":"An error has occurred."}'), False, False),
        (_answer(500, b'{"Message":"Ooops! Something went wrong"}'), False, True),
        (_answer(400, b'{"Message":"Ooops!"}'), False, False),
    ],
)
def test_what_is_gone_and_what_may_be_final_is_told_from_a_fault(answer: Answer, gone: bool, ooops: bool) -> None:
    """Accounts differ in how they answer for a record that is not there."""
    with pytest.raises(NexudusError) as caught:
        response_parsing.read(answer, call="GET /x/1")

    assert (caught.value.gone, caught.value.ooops) == (gone, ooops)


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("Sat, 21 Nov 2026 08:00:03 GMT", 3),
        ("Sat, 21 Nov 2026 07:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 120),
    ],
)
def test_retry_after_may_be_a_date(until: str, seconds: float) -> None:
    """RFC 9110 allows both; counted by the clock of whoever answers."""
    answer = _answer(409, retry_after=until, date="Sat, 21 Nov 2026 08:00:00 GMT")

    assert (answer.is_throttled, answer.retry_after) == (True, seconds)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (_answer(400, VALIDATION), True),
        (_answer(409), True),
        (_answer(200, VALIDATION), True),
        (_answer(409, retry_after="1"), False),
        (_answer(429), False),
        (_answer(500), False),
    ],
)
def test_being_asked_to_slow_down_is_no_refusal(answer: Answer, refusal: bool) -> None:
    """Who looks again later may well succeed."""
    with pytest.raises(NexudusError, match="Nexudus answered") as caught:
        response_parsing.read(answer, call="PUT /x")

    assert caught.value.is_refusal is refusal


def test_a_good_answer_is_its_value() -> None:
    """Lists too; nothing for an empty one, such as a 204 to DELETE."""
    assert response_parsing.read(_answer(200, b"[1]"), call="GET /x") == [1]
    assert response_parsing.read(_answer(204), call="DELETE /x") is None
