"""notify sends messages through Apprise to real servers, and says why one was not taken."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from receiver.core.errors import HandlerError
from receiver.core.events import Business, Event, Outcome
from tests.support.handled import an_event
from tests.support.mail import MailServer, a_mail_server
from tests.workers.handlers.targets import Target, a_target
from workers.once import InMemorySteps, remember_in
from workers.plugins import loader
from workers.run.execution import AttemptResult, run

MESSAGE = "{{ data.CoworkerFullName }} pays {{ data.EstimatedCost | money }}"


@pytest.fixture(autouse=True)
def fresh_steps() -> Iterator[None]:
    """What was done in one test is not done in the next."""
    remember_in(InMemorySteps())
    yield
    remember_in(None)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with a_mail_server() as started:
        yield started


@pytest.fixture
def chat() -> Iterator[Target]:
    with a_target() as started:
        yield started


def event(**changes: Any) -> Event:
    return replace(an_event(**changes), business=Business("Eiffel", "Europe/Paris", "EUR"))


def notified(environ: dict[str, str], one: Event | None = None, **options: Any) -> AttemptResult:
    """Run the handler as a worker does."""
    given = {"to": [f"env/{name}" for name in environ], "message": MESSAGE} | options
    return run(loader.load("notify", given, environ=environ, folder=Path()), one or event())


def test_a_message_arrives_as_mail(mail: MailServer) -> None:
    """Title and text, filled from the event."""
    ended = notified({"DESK": mail.url()}, title="Booked at\n{{ business.name }}")

    assert ended == AttemptResult(Outcome.SUCCEEDED)
    (message,) = mail.messages
    assert (message["subject"], message["to"]) == ("Booked at Eiffel", "desk@example.com")
    body = message.get_body(("plain", "html"))
    assert body is not None
    assert "Zoë Ångström 🥶 pays 12.50 EUR" in body.get_content()


def test_a_message_arrives_in_a_chat(chat: Target) -> None:
    """Any service that Apprise speaks to; here a JSON webhook."""
    notified({"CHAT": f"json://127.0.0.1:{chat.port}/hook"}, title="New")

    (request,) = chat.received
    posted = json.loads(request.body)
    assert (posted["title"], posted["message"]) == ("New", "Zoë Ångström 🥶 pays 12.50 EUR")


def test_values_of_the_record_are_escaped_for_the_format(chat: Target) -> None:
    """What is written in routes.yaml formats the message; a member's name does not."""
    url = {"CHAT": f"json://127.0.0.1:{chat.port}/hook"}
    hostile = event(data={"Id": 1, "Name": "<b>*x*</b> [y](http://z)"})

    notified(url, hostile, message="<i>{{ data.Name }}</i>", format="html")
    notified(url, replace(hostile, key="k2", id="2"), message="**{{ data.Name }}**", format="markdown")

    html, markdown = (json.loads(request.body)["message"] for request in chat.received)
    assert html == "<i>&lt;b&gt;*x*&lt;/b&gt; [y](http://z)</i>"
    assert markdown == r"**\<b\>\*x\*\</b\> \[y\](http://z)**"


def test_an_empty_message_ends_the_delivery(chat: Target) -> None:
    """So a template can say that there is nothing to tell."""
    ended = notified(
        {"CHAT": f"json://127.0.0.1:{chat.port}"}, message="{% if data.EstimatedCost > 100 %}large{% endif %}\n"
    )

    assert (ended.outcome, ended.error) == (Outcome.DISCARDED, "Discard: the message is empty for this event")
    assert chat.received == []


def test_a_target_that_refuses_fails_the_attempt_with_its_reason(mail: MailServer, chat: Target) -> None:
    """The others get it; the next attempt sends it to the one that has not taken it, and to nobody else."""
    chat.status, chat.body = 400, b"no such channel"
    environ = {"DESK": mail.url(), "CHAT": f"json://127.0.0.1:{chat.port}/s3cr3t-hook"}

    first = notified(environ)
    chat.status = 200
    second = notified(environ, event(attempt=2))

    assert first.outcome is Outcome.FAILED
    assert first.error is not None
    assert first.error.startswith("NotSent: JSON has not taken the message: ")
    assert "400" in first.error
    assert "s3cr3t-hook" not in first.error
    assert second == AttemptResult(Outcome.SUCCEEDED)
    assert (len(mail.messages), len(chat.received)) == (1, 2)


def test_a_replay_sends_it_again(mail: MailServer) -> None:
    """Its attempts count from 1, under the same key."""
    for attempt in (1, 1, 1):
        assert notified({"DESK": mail.url()}, event(attempt=attempt)).outcome is Outcome.SUCCEEDED

    assert len(mail.messages) == 3


def test_a_mail_server_that_is_away_or_refuses_is_told(mail: MailServer) -> None:
    """As a failed attempt, which is retried by the route's schedule."""
    mail.refuses = True

    for url in (mail.url(), "mailto://127.0.0.1:9?from=a@example.com&to=b@example.com&mode=insecure"):
        ended = notified({"DESK": url})
        assert (ended.outcome, ended.final) == (Outcome.FAILED, False)
        assert "has not taken the message" in (ended.error or "")


def test_a_template_that_fails_ends_the_delivery_at_once(chat: Target) -> None:
    """Another attempt would find the same record."""
    ended = notified({"CHAT": f"json://127.0.0.1:{chat.port}"}, message="{{ data.Nothing }}")

    assert (ended.outcome, ended.final) == (Outcome.FAILED, True)
    assert ended.error == "TemplateFailed: the template fails: there is no field 'Nothing'"
    assert chat.received == []


def test_a_message_goes_to_the_person_it_is_about(mail: MailServer) -> None:
    """In the place of the URL's own recipient; a record that names several people, or nobody, sends to none."""

    def to(whom: Any) -> AttemptResult:
        one = event(data={"Id": 1, "Email": whom, "CoworkerFullName": "Zoë", "EstimatedCost": 1}, id=f"e{whom}")
        return notified({"DESK": mail.url()}, one, recipient="{{ data.Email }}")

    assert to("zoe.hara+x@example.com").outcome is Outcome.SUCCEEDED
    assert to(None).error == "Discard: there is no recipient for this event"
    for hostile in (
        "a@example.com,b@example.com",
        "a@example.com&to=b@example.com",
        "a@example.com\nBcc: b@c.example",
        "x",
        "zoë@example.com",
    ):
        ended = to(hostile)
        assert (ended.outcome, ended.final) == (Outcome.FAILED, True)

    (message,) = mail.messages
    assert message["to"] == "zoe.hara+x@example.com"


def test_nothing_of_a_message_reaches_a_log(chat: Target, caplog: pytest.LogCaptureFixture) -> None:
    """Apprise would log what it sends, and where to."""
    caplog.set_level(logging.DEBUG)
    chat.status = 500

    notified({"CHAT": f"json://127.0.0.1:{chat.port}/s3cr3t-hook"})

    assert "Zoë" not in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"to": "slack://token/channel"}, "target 1 must be env/NAME or file/PATH, because its URL holds a secret"),
        ({"to": "env/WRONG"}, "target 1 is no URL that Apprise understands"),
        ({"to": []}, "must be a target, or a list of up to 20"),
        ({"to": "env/CHAT", "message": "{{ data."}, "option 'message': is no template, line 1"),
        ({"to": "env/CHAT", "format": "rtf"}, "option 'format'"),
        ({"to": "env/CHAT", "mesage": "x"}, "unknown option 'mesage'; did you mean 'message'?"),
    ],
)
def test_wrong_options_are_refused_when_routes_are_loaded(options: dict[str, Any], sentence: str) -> None:
    """Without quoting the URL."""
    environ = {"CHAT": "json://127.0.0.1", "WRONG": "nothing://s3cr3t"}

    with pytest.raises(HandlerError) as refused:
        loader.load("notify", {"message": "x"} | options, environ=environ, folder=Path())

    assert sentence in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_what_would_be_sent_can_be_seen(chat: Target) -> None:
    """`frontdesk try --dry-run` prints it."""
    environ = {"CHAT": f"json://127.0.0.1:{chat.port}"}
    handler = loader.load("notify", {"to": "env/CHAT", "message": MESSAGE}, environ=environ, folder=Path())

    assert handler.preview is not None
    assert handler.preview(event()) == {
        "to": ["JSON"], "title": "", "message": "Zoë Ångström 🥶 pays 12.50 EUR", "format": "text",
    }  # fmt: skip
    assert chat.received == []
