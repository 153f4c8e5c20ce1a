"""What the watch holds back, and until when. Time is an argument."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NoReturn

from receiver.nexudus import actions
from receiver.nexudus.api.registration import Registration
from receiver.registrar import plan
from receiver.registrar.change import ChangeKey, Op
from receiver.registrar.guardrails import Guardrails, Held, Remembered, hold_back
from receiver.registrar.ownership import Ownership, name_of
from receiver.registrar.plan import Plan, WantedHooks
from receiver.storage.shared.registrar_state import Flap

OURS = Ownership("https://hooks.example", ("key",))
DAY = 86_400_000
MINUTE = 60_000
RULES = Guardrails()


def _existing(names: list[str], *, active: bool) -> list[Registration]:
    return [
        Registration(number, 1001, actions.CODES[name], name_of(name), OURS.url(1001, name), active)
        for number, name in enumerate(names, 1)
    ]


def _restrained(
    made: Plan,
    *,
    now_ms: int = 100 * DAY,
    since: Mapping[int, int] | None = None,
    flaps: Mapping[int, Flap] | None = None,
    doubts: Mapping[ChangeKey, Flap] | None = None,
    unreachable: Callable[[], str | None] = lambda: None,
    behind: Callable[[], str | None] = lambda: None,
) -> tuple[Plan, tuple[Held, ...]]:
    return hold_back(
        made,
        guardrails=RULES,
        now_ms=now_ms,
        remembered=Remembered(since or {}, flaps or {}, doubts or {}),
        unreachable=unreachable,
        behind=behind,
    )


def _never_asked() -> NoReturn:
    raise AssertionError("the receiver was probed for nothing")


def test_what_is_no_longer_routed_stays_for_a_week() -> None:
    """Its events are kept meanwhile, unrouted, and can be replayed."""
    made = plan.make(WantedHooks((1001,), frozenset({"BookingCreate"})), _existing(["TeamCreated"], active=True), OURS)

    early, held = _restrained(made, since={1: 93 * DAY + 1}, unreachable=_never_asked)
    due, _ = _restrained(made, since={1: 93 * DAY}, unreachable=_never_asked)

    assert [change.op for change in early.changes] == [Op.CREATE]
    assert [one.why for one in held] == ["no longer routed, but the grace period is not over"]
    assert [change.op for change in due.changes] == [Op.CREATE, Op.DEACTIVATE]


def test_a_disabled_hook_waits_for_the_proof() -> None:
    """No proof, no hook; with it, at once the first time."""
    made = plan.make(WantedHooks((1001,), frozenset({"TeamCreated"})), _existing(["TeamCreated"], active=False), OURS)

    refused, held = _restrained(made, unreachable=lambda: "the receiver cannot be reached")
    allowed, _ = _restrained(made)

    assert (refused.changes, [one.why for one in held]) == ((), ["the receiver cannot be reached"])
    assert [change.enables for change in allowed.changes] == [True]


def test_a_hook_that_works_by_an_older_key_stays_until_the_receivers_hold_the_new_one() -> None:
    """One that is broken is mended at once: it has nothing to lose."""
    wanted = WantedHooks((1001,), frozenset({"TeamCreated", "TeamUpdated"}))
    existing = _existing(["TeamCreated", "TeamUpdated"], active=True)
    broken = dataclasses.replace(existing[1], url="https://hooks.example/hooks/broken")
    made = plan.make(wanted, [existing[0], broken], Ownership("https://hooks.example", ("new", "key")))

    early, held = _restrained(made, behind=lambda: "a receiver does not sign with it yet")
    due, _ = _restrained(made)
    _restrained(plan.make(wanted, [broken], OURS), behind=_never_asked)

    assert [change.action for change in early.changes] == ["TeamUpdated"]
    assert [(one.change.action, one.why) for one in held] == [("TeamCreated", "a receiver does not sign with it yet")]
    assert [change.action for change in due.changes] == ["TeamCreated", "TeamUpdated"]


def test_a_hook_that_flaps_waits_longer_each_time() -> None:
    """10 minutes, 20, 40, up to a day; after two healthy days it starts afresh."""
    pauses = [RULES.pause_ms(Flap(count, 0)) for count in range(10)]
    flap = Flap(3, 100 * DAY)
    made = plan.make(WantedHooks((1001,), frozenset({"TeamCreated"})), _existing(["TeamCreated"], active=False), OURS)

    early, _ = _restrained(made, now_ms=100 * DAY + 40 * MINUTE - 1, flaps={1: flap}, unreachable=_never_asked)
    due, _ = _restrained(made, now_ms=100 * DAY + 40 * MINUTE, flaps={1: flap})

    assert pauses == [
        0,
        10 * MINUTE,
        20 * MINUTE,
        40 * MINUTE,
        80 * MINUTE,
        160 * MINUTE,
        320 * MINUTE,
        640 * MINUTE,
        1_280 * MINUTE,
        DAY,
    ]
    assert (len(early.changes), len(due.changes)) == (0, 1)
    assert RULES.next_flap(flap, 101 * DAY) == Flap(4, 101 * DAY)
    assert RULES.next_flap(flap, 102 * DAY) == Flap(1, 102 * DAY)


def test_the_watch_never_takes_many_away() -> None:
    """What would need --force is held back; the rest is done."""
    names = list(actions.NAMES)[:10]
    made = plan.make(WantedHooks((1001,), frozenset({*names[5:], "TeamCreated"})), _existing(names, active=True), OURS)

    allowed, held = _restrained(made, since=dict.fromkeys(range(1, 11), 0))

    assert [change.op for change in allowed.changes] == [Op.CREATE]
    assert len(held) == 5
    assert all("repeat with --force" in one.why for one in held)


def test_what_nexudus_only_says_is_not_asked_for_every_minute() -> None:
    """A hook that is made and never listed would otherwise be made again and again."""
    made = plan.make(WantedHooks((1001,), frozenset({"TeamCreated"})), [], OURS)
    doubts = {made.changes[0].key: Flap(1, 100 * DAY)}

    early, held = _restrained(made, now_ms=100 * DAY + 10 * MINUTE - 1, doubts=doubts)
    due, _ = _restrained(made, now_ms=100 * DAY + 10 * MINUTE, doubts=doubts)

    assert (len(early.changes), len(due.changes)) == (0, 1)
    assert held[0].why.startswith("Nexudus accepted this change")
