"""Alerts: one message when a state opens, one when it closes, to real URLs, from one of many, over restarts."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from receiver.failures.failure_ledger import FailureLedger
from receiver.observation import status_snapshot
from receiver.observation.alerts.alert_monitor import AlertMonitor
from receiver.observation.alerts.alerting import CLOSES_AFTER_MS, Alerting
from receiver.observation.alerts.notifier import Message, Notifier
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.observation.store_status import Silence
from receiver.storage.accounting.maintenance import AuditResult
from receiver.storage.redis import keys, rq_keys
from tests.conftest import StartFrontdesk, StartValkey
from tests.receiver.failures.failing import keep_failing
from tests.receiver.observation.mailbox import Mailbox
from tests.support.events import entry, keep_all
from tests.support.processes import run, wait_until

NOW = 1_790_000_000_000
SECOND = 1_000


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Where alerts arrive."""
    with Mailbox() as one:
        yield one


def _snapshot(seconds: float, unaccounted: int = 0) -> StatusSnapshot:
    now = NOW + int(seconds * SECOND)
    return StatusSnapshot(now, audit=AuditResult(now, now, unaccounted, 0, ()))


def _alerts(client: redis.Redis, *mailboxes: Mailbox) -> Alerting:
    return Alerting(client, Notifier([one.url for one in mailboxes]), patience_ms=300_000)


def test_one_message_when_a_state_opens_and_one_when_it_closes(client: redis.Redis, mailbox: Mailbox) -> None:
    """However long it lasts, however often anybody looks; the second one says how long it was."""
    alerts = _alerts(client, mailbox)

    for second in range(0, 100, 5):
        alerts.turn(_snapshot(second, unaccounted=2))
    for second in range(100, 200, 5):
        alerts.turn(_snapshot(second))

    assert mailbox.titles == [
        "Frontdesk: 2 events unaccounted for",
        "Frontdesk: resolved: 2 events unaccounted for",
    ]
    assert [post["type"] for post in mailbox.posts] == ["failure", "success"]
    assert [post["message"] for post in mailbox.posts] == ["`frontdesk audit --full` lists them.", "It lasted 100s."]
    assert client.hkeys(keys.ALERTS) == [b"~dead"]


def test_a_state_that_flickers_stays_open(client: redis.Redis, mailbox: Mailbox) -> None:
    """It closes only when it has been away for a while."""
    alerts = _alerts(client, mailbox)

    for second in range(0, 200, 10):
        alerts.turn(_snapshot(second, unaccounted=second // 10 % 2))

    assert len(mailbox.posts) == 1


def test_a_restart_repeats_nothing(client: redis.Redis, mailbox: Mailbox) -> None:
    """Who begins anew knows what was told, and closes what somebody else has opened."""
    for second in (0, 5, 10):
        _alerts(client, mailbox).turn(_snapshot(second, unaccounted=2))
    for later in (20.0, 20 + CLOSES_AFTER_MS / SECOND, 100.0, 105.0):
        _alerts(client, mailbox).turn(_snapshot(later))

    assert [title.startswith("Frontdesk: resolved") for title in mailbox.titles] == [False, True]


def test_a_state_that_heals_by_itself_is_not_told(client: redis.Redis, mailbox: Mailbox) -> None:
    """A queue without a worker for a few seconds is a deploy."""
    keep_all(client, entry())
    monitor = AlertMonitor(client, Notifier([mailbox.url]), patience_ms=300_000, routes=tuple)

    monitor.turn()
    client.delete(rq_keys.queue("default"))
    monitor.turn()
    monitor.stop()

    assert mailbox.posts == []
    assert client.hkeys(keys.ALERTS) == [b"~dead"]


def test_a_url_that_refuses_is_tried_again_and_costs_the_others_nothing(client: redis.Redis, mailbox: Mailbox) -> None:
    """Each URL is told once, whenever it can be; it is left alone for a while between the tries."""
    with Mailbox() as refusing:
        refusing.status = 500
        alerts = _alerts(client, mailbox, refusing)
        alerts.turn(_snapshot(0, unaccounted=1))
        alerts.turn(_snapshot(5, unaccounted=1))
        refusing.status = 200
        _alerts(client, mailbox, refusing).turn(_snapshot(10, unaccounted=1))
        _alerts(client, mailbox, refusing).turn(_snapshot(15, unaccounted=1))

        assert len(mailbox.posts) == len(refusing.posts) == 1


def test_a_url_that_refuses_rests_longer_each_time(mailbox: Mailbox) -> None:
    """Fifteen seconds, then thirty, then a minute; one success and all is forgotten."""
    mailbox.status = 500
    notifier = Notifier([mailbox.url])
    (digest,) = notifier.digests
    message = Message("a title", "a text", "info")

    assert not notifier.send(digest, message, now=0.0)
    mailbox.status = 200
    assert not notifier.send(digest, message, now=14.0)
    assert notifier.send(digest, message, now=15.0)
    mailbox.status = 500
    assert not notifier.send(digest, message, now=16.0)
    assert not notifier.send(digest, message, now=32.0)
    mailbox.status = 200
    assert not notifier.send(digest, message, now=61.0)
    assert notifier.send(digest, message, now=62.0)


def test_a_state_that_was_told_to_nobody_closes_in_silence(client: redis.Redis, mailbox: Mailbox) -> None:
    """`over` of something unheard of would only puzzle."""
    mailbox.status = 500
    _alerts(client, mailbox).turn(_snapshot(0, unaccounted=1))
    mailbox.status = 200
    for second in (1, 40, 80):
        alerts = _alerts(client, mailbox)
        alerts.turn(_snapshot(second))

    assert mailbox.posts == []


def test_very_many_states_are_told_in_portions(client: redis.Redis, mailbox: Mailbox) -> None:
    """A hundred locations that fall silent at once do not make a mail server refuse the twenty-first message."""
    now = NOW
    businesses = range(1_000, 1_030)
    silent = StatusSnapshot(now, silences=dict.fromkeys(businesses, Silence(now - 9, 9.0)))
    alerts = _alerts(client, mailbox)

    alerts.turn(silent)
    first = len(mailbox.posts)
    alerts.turn(dataclasses.replace(silent, now_ms=now + 5_000))

    assert (first, len(mailbox.posts), len(set(mailbox.titles))) == (20, 30, 30)


def test_one_of_several_sentries_tells(client: redis.Redis, mailbox: Mailbox) -> None:
    """Whoever holds the lock; when it ends, the next."""
    monitors = [AlertMonitor(client, Notifier([mailbox.url]), patience_ms=300_000, routes=tuple) for _ in range(3)]
    client.set(keys.AUDIT, b'{"at_ms":1,"next_ms":1,"unaccounted":3,"repaired":0,"offenders":[]}')

    for _ in range(2):
        for monitor in monitors:
            monitor.turn()
    monitors[0].stop()
    for monitor in monitors[1:]:
        monitor.turn()
        monitor.stop()

    assert sorted(mailbox.titles) == ["Frontdesk: 3 events unaccounted for", "Frontdesk: The audit is not running"]


def test_that_the_store_is_away_is_told_by_the_one_that_told_last(start_valkey: StartValkey, mailbox: Mailbox) -> None:
    """Nobody can ask it who tells; a monitor that never led keeps silent."""
    server = start_valkey()
    notifier = Notifier([mailbox.url])
    first, second = (
        AlertMonitor(server.client(), notifier, patience_ms=300_000, routes=tuple, every_s=0.1, away_s=0.3)
        for _ in range(2)
    )
    first.turn()
    for monitor in (first, second):
        monitor.start()
    server.kill()
    wait_until(lambda: mailbox.titles == ["Frontdesk: the store is unavailable"], "the first message")
    server.start_again()
    wait_until(lambda: len(mailbox.posts) > 1, "the second message")
    for monitor in (first, second):
        monitor.stop()

    assert mailbox.titles == ["Frontdesk: the store is unavailable", "Frontdesk: resolved: the store is unavailable"]


@pytest.mark.parametrize("url", ["nonsense://x", "s3cr3t", "json://", "https://hooks.slack.com/services/s3cr3t"])
def test_check_says_which_url_is_none(url: str) -> None:
    """By its number; a URL holds secrets."""
    ran = run("check", "--json", settings={"FRONTDESK_ALERT_URLS": f"json://127.0.0.1:1/good,{url}"})

    assert ran.status == 1
    assert "FRONTDESK_ALERT_URLS: URL 2" in ran.out
    assert "s3cr3t" not in ran.out + ran.err


def test_a_test_message_says_which_service_took_it(mailbox: Mailbox) -> None:
    """And the exit status whether all did."""
    ran = run("alerts", "--test", settings={"FRONTDESK_ALERT_URLS": mailbox.url})
    mailbox.status = 500
    refused = run("alerts", "--test", "--json", settings={"FRONTDESK_ALERT_URLS": mailbox.url})

    assert (ran.status, ran.out) == (0, "URL 1 (JSON): accepted\n")
    assert mailbox.titles == ["Frontdesk: a test"]
    assert (refused.status, refused.out) == (1, '{"url":1,"service":"JSON","taken":false}\n')
    assert "s3cr3t" not in ran.out + ran.err + refused.out + refused.err


def test_four_thousand_dead_of_one_cause_are_one_message_and_one_when_they_are_gone(
    client: redis.Redis, mailbox: Mailbox
) -> None:
    """Told while they grow, silent when somebody knows, told again when they come back."""
    alerts, ledger = _alerts(client, mailbox), FailureLedger(client)

    def look(seconds: int) -> None:
        ledger.refresh()
        alerts.turn(dataclasses.replace(status_snapshot.look(client), now_ms=NOW + seconds * SECOND))

    look(0)
    keep_failing(client, [f"NotDelivered: it answered 422 to {number}" for number in range(4_000)])
    look(5)
    keep_failing(client, ["NotDelivered: it answered 422 to 7x"])
    for second in range(10, 70, 10):
        look(second)
    (group,) = ledger.summary().groups
    ledger.acknowledge(group.id, "ada", "they are mending it")
    for second in range(70, 140, 10):
        look(second)

    assert mailbox.titles[:2] == [
        "Frontdesk: Route announce fails: NotDelivered 422",
        "Frontdesk: resolved: Route announce fails: NotDelivered 422",
    ]
    posts = [post for post in mailbox.posts if "NotDelivered" in post["title"]]
    assert len(posts) == 2
    assert posts[0]["message"].startswith("4,000 deliveries dead, since ")


def test_what_was_dead_before_the_first_look_is_no_news(client: redis.Redis, mailbox: Mailbox) -> None:
    """An upgrade sends no mail about last week; until the group grows."""
    keep_failing(client, ["ValueError: old"], ended_ms=1_000)
    alerts, ledger = _alerts(client, mailbox), FailureLedger(client)
    for _ in range(2):
        ledger.refresh()
        alerts.turn(status_snapshot.look(client))
    before = [title for title in mailbox.titles if "ValueError" in title]
    keep_failing(client, ["ValueError: old"])
    ledger.refresh()
    alerts.turn(status_snapshot.look(client))

    assert before == []
    assert "Frontdesk: Route announce fails: ValueError" in mailbox.titles


def test_real_workers_tell_of_what_dies_and_never_of_what_was_in_it(
    client: redis.Redis, redis_url: str, mailbox: Mailbox, frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """From a failing handler to a message; `frontdesk alerts` tells the same. Payload and URL stay out of it all."""
    (tmp_path / "routes.yaml").write_text("routes:\n  - {name: tell, action: '*', handler: 'deeds:fail', retry: []}\n")
    (tmp_path / "deeds.py").write_text("def fail(event): raise ValueError(event.data['FullName'])\n")
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": f"{tmp_path}/routes.yaml",
        "FRONTDESK_LOG_FORMAT": "json",
        "FRONTDESK_ALERT_URLS": mailbox.url,
    }
    process = frontdesk("work", settings=settings, cwd=tmp_path)
    wait_until(lambda: client.hexists(keys.ALERTS, "~dead"), "a first look")
    keep_all(client, entry(b'{"Id":1,"FullName":"Jane Payload"}', routes=("tell",)))

    wait_until(lambda: mailbox.posts, "a message")
    listed = run("alerts", settings=settings)
    process.stop()

    assert mailbox.titles == ["Frontdesk: Route tell fails: ValueError"]
    assert "Route tell fails: ValueError (alert sent)" in listed.out
    assert '"event":"alert.opened"' in process.output
    told = str(mailbox.posts) + listed.out + process.output
    assert "Payload" not in told
    assert "s3cr3t" not in process.output + listed.out
