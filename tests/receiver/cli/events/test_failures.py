"""`failures`, as people and programs call it, and `replay --group`."""

import json
from pathlib import Path
from typing import Any

import redis

from receiver.storage.redis import keys
from tests.receiver.failures.failing import fail_all, keep_failing
from tests.support.processes import Ran, run

KEYS = {"route", "error", "count", "first", "last", "status", "sample"}
ROUTES = "routes: [{name: announce, action: '*', handler: log}, {name: charge, action: '*', handler: log}]"


def frontdesk(redis_url: str, tmp_path: Path, *words: str) -> Ran:
    """Run a command with routes."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return run(*words, settings={"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml")})


def listed(redis_url: str, tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    """What `failures --json` prints."""
    ran = frontdesk(redis_url, tmp_path, "failures", "--json", *words)
    assert (ran.status, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def test_failures_are_listed_in_groups(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """One object a line, narrowed by route and time; the keys are those that programs rely on."""
    ids = keep_failing(client, [f"NotDelivered: https://{number}.example answered 422" for number in range(5)])
    keep_failing(client, ["KeyError: 'x'"], route="charge", ended_ms=1_000_000)

    both = listed(redis_url, tmp_path)
    announced = listed(redis_url, tmp_path, "--route", "announce")
    lately = listed(redis_url, tmp_path, "--since", "1h")

    assert [one["route"] for one in both] == ["announce", "charge"]
    assert announced == lately == both[:1]
    (group,) = lately
    assert group.keys() > KEYS
    assert (group["count"], group["dead"], group["retrying"], group["status"]) == (5, 5, 0, "open")
    assert group["error"] == "NotDelivered: … answered 422"
    assert group["sample"] in ids
    assert group["excerpt"].endswith("example answered 422")
    assert group["first"].endswith("Z")


def test_a_person_reads_a_table_that_does_nothing_to_the_terminal(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """With the error of a sample, what changed before, and who said what."""
    keep_failing(client, ["ValueError: \x1b[31m\u202eowned\x07 by [red]markup[/red]"])
    client.xadd(keys.ACTS, {"who": "ada\x1b[2J", "what": "resume", "detail": b'{"route":"announce"}'}, id="5-1")
    group = listed(redis_url, tmp_path)[0]["id"]

    said = frontdesk(redis_url, tmp_path, "failures", "--acknowledge", group, "--reason", "known \x1b[1m")
    ran = frontdesk(redis_url, tmp_path, "failures")

    assert (said.status, said.err) == (0, "")
    assert (ran.status, ran.err) == (0, "")
    assert "\x1b" not in ran.out + said.out
    assert "\u202e" not in ran.out
    assert "acknowledged by" in ran.out
    assert group in ran.out


def test_nothing_that_fails_is_said_in_words(redis_url: str, tmp_path: Path) -> None:
    """And in JSON by nothing."""
    assert frontdesk(redis_url, tmp_path, "failures").out == "Nothing fails.\n"
    assert listed(redis_url, tmp_path) == []


def test_what_somebody_says_is_an_act_with_its_reason(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Acknowledged, then snoozed."""
    keep_failing(client, ["ValueError: 1"])
    group = listed(redis_url, tmp_path)[0]["id"]

    for words in (("--acknowledge", group), ("--snooze", group, "--for", "2h")):
        assert frontdesk(redis_url, tmp_path, "failures", *words, "--reason", "it is known").status == 0
        (now,) = listed(redis_url, tmp_path)
        assert (now["status"], now["reason"]) == (f"{words[0][2:].removesuffix('e')}ed", "it is known")
    acts = [json.loads(line) for line in frontdesk(redis_url, tmp_path, "acts", "--json").out.splitlines()]

    assert [act["what"] for act in acts] == ["failures.snooze", "failures.acknowledge"]
    assert acts[0]["detail"] == {"group": group, "route": "announce", "reason": "it is known"}


def test_wrong_calls_are_refused_in_a_sentence(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Where, what, remedy."""
    keep_failing(client, ["ValueError: 1"])
    group = listed(redis_url, tmp_path)[0]["id"]
    for words, sentence in (
        (("--acknowledge", group), "give a reason"),
        (("--acknowledge", "nobody", "--reason", "x"), "no group of failures has the id 'nobody'"),
        (("--acknowledge", group, "--snooze", group, "--reason", "x"), "not both"),
        (("--snooze", group, "--for", "90d", "--reason", "x"), "at most 30 days"),
        (("--snooze", group, "--for", "soon", "--reason", "x"), "--for"),
    ):
        ran = frontdesk(redis_url, tmp_path, "failures", *words)
        assert (ran.status, ran.out) == (1, "")
        assert sentence in ran.err
    beside = frontdesk(redis_url, tmp_path, "replay", "--group", group, "--since", "1h", "--yes")
    assert "takes no event and no filter" in beside.err


def test_a_group_is_replayed_one_first_and_then_the_rest(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Counted, recorded, and of each event only what failed; then it is closed, and comes back open."""
    keep_failing(client, ["ValueError: 1"] * 4)
    keep_failing(client, ["KeyError: 'x'"])
    group = next(one["id"] for one in listed(redis_url, tmp_path) if one["count"] == 4)

    dry = frontdesk(redis_url, tmp_path, "replay", "--group", group, "--dry-run")
    one = frontdesk(redis_url, tmp_path, "replay", "--group", group, "--limit", "1", "--yes")
    rest = frontdesk(redis_url, tmp_path, "replay", "--group", group, "--rate", "1000", "--yes", "--json")
    closed = next(one for one in listed(redis_url, tmp_path) if one["id"] == group)
    fail_all(client, ["ValueError: 2"] * 4)
    again = next(one for one in listed(redis_url, tmp_path) if one["id"] == group)

    assert dry.out == "4 events would be replayed: 4 deliveries.\n"
    assert one.out == "1 events replayed: 1 deliveries.\n"
    assert json.loads(rest.out)["deliveries"] == 3
    assert (closed["status"], closed["count"], closed["closed"] is None) == ("closed", 0, False)
    assert (again["status"], again["count"], again["closed"]) == ("open", 4, None)
    acts = [json.loads(line) for line in frontdesk(redis_url, tmp_path, "acts", "--json").out.splitlines()]
    assert [act["detail"] for act in acts if act["what"] == "replay"] == [
        {"events": 3, "group": group},
        {"events": 1, "group": group},
    ]
