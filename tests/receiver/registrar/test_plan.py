"""The plan as a value: whose a hook is, what has to change, and when that is too much. No I/O."""

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.errors import UnsafePlan
from receiver.nexudus import actions, hook_urls
from receiver.nexudus.api.registration import Registration
from receiver.registrar import plan
from receiver.registrar.change import HookChange, Op
from receiver.registrar.ownership import Owner, Ownership, name_of
from receiver.registrar.plan import Scope, WantedHooks

PUBLIC = "https://hooks.example/front"
OURS = Ownership(PUBLIC, ("new", "old"))
WANTED = WantedHooks((1001, 1002), frozenset({"BookingCreate", "BookingUpdate", "None"}))


def _hook(number: int = 1, *, business: int = 1001, action: str = "BookingCreate", **fields: object) -> Registration:
    right = Registration(
        id=number,
        business_id=business,
        action_code=actions.CODES[action],
        name=name_of(action),
        url=OURS.url(business, action),
        active=True,
    )
    return dataclasses.replace(right, **fields)  # type: ignore[arg-type]


OLD = hook_urls.path("old", 1001, "BookingCreate")
NEW = hook_urls.path("new", 1001, "BookingCreate")


@pytest.mark.parametrize(
    ("url", "owner", "key_index"),
    [
        (PUBLIC + NEW, Owner.OURS, 0),
        (PUBLIC + OLD, Owner.OURS, 1),
        ("HTTPS://Hooks.Example:443/front/" + NEW[1:], Owner.OURS, 0),
        (PUBLIC + "/hooks/1001/BookingCreate/forged", Owner.OURS, None),
        (PUBLIC + "/hooks/", Owner.OURS, None),
        (PUBLIC + "/old" + NEW, Owner.OURS, 0),
        ("https://laptop.example" + NEW, Owner.ELSEWHERE, 0),
        ("https://laptop.example" + NEW + "/?by=hand#x", Owner.ELSEWHERE, 0),
        (PUBLIC + NEW + "?by=hand", Owner.OURS, 0),
        ("https://crm.example/in?from=https://laptop.example" + NEW, Owner.FOREIGN, None),
        ("https://hooks.example" + NEW, Owner.ELSEWHERE, 0),
        ("http://hooks.example/front" + OLD, Owner.ELSEWHERE, 1),
        ("https://hooks.example:8443/front" + OLD, Owner.ELSEWHERE, 1),
        ("https://hooks.example.evil/front/hooks/1001/BookingCreate/forged", Owner.FOREIGN, None),
        ("https://evil/?" + PUBLIC + "/hooks/x", Owner.FOREIGN, None),
        ("https://hooks.example@evil/front/hooks/1/BookingCreate/x", Owner.FOREIGN, None),
        ("https://hooks.example/frontal/hooks/1/BookingCreate/x", Owner.FOREIGN, None),
        ("https://crm.example/nexudus", Owner.FOREIGN, None),
        ("https://[broken" + "/hooks/1/BookingCreate/x", Owner.FOREIGN, None),
        ("https://x:99999/hooks/1/BookingCreate/x", Owner.FOREIGN, None),
        ("", Owner.FOREIGN, None),
    ],
)
def test_whose_a_hook_is(url: str, owner: Owner, key_index: int | None) -> None:
    """Told from the URL alone: below our public URL, or with a token of ours, or foreign."""
    owned = OURS.of(_hook(url=url))

    assert (owned.owner, owned.key_index) == (owner, key_index)


@pytest.mark.parametrize(
    ("url", "name", "owner"),
    [
        (PUBLIC + "/hoooks/1001/BookingCreate/x", "Frontdesk BookingCreate", Owner.OURS),
        (PUBLIC + "/" + NEW.rpartition("/")[2], "Frontdesk BookingCreate", Owner.OURS),
        (PUBLIC + "/hoooks/1001/BookingCreate/x", "renamed", Owner.OURS),
        ("https://laptop.example/x", "Frontdesk BookingCreate", Owner.FOREIGN),
        ("https://hooks.example/frontal/x", "Frontdesk BookingCreate", Owner.FOREIGN),
    ],
)
def test_a_hook_whose_path_was_broken_is_still_ours(url: str, name: str, owner: Owner) -> None:
    """Else it would stay active beside the new one; what is beside our public URL, on the same host, is not ours."""
    assert OURS.of(_hook(url=url, name=name)).owner == owner


@given(st.text())
def test_any_url_has_an_owner(url: str) -> None:
    """Total over whatever others register."""
    assert OURS.of(_hook(url=url)).owner in Owner


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        pytest.param([_hook()], [], id="right"),
        pytest.param([_hook(name="renamed")], [(Op.UPDATE, 1, "name")], id="name"),
        pytest.param([_hook(active=False)], [(Op.UPDATE, 1, "inactive")], id="inactive"),
        pytest.param([_hook(action_code=60)], [(Op.UPDATE, 1, "action")], id="action"),
        pytest.param([_hook(action_code=4_711)], [(Op.UPDATE, 1, "action")], id="unknown-action"),
        pytest.param([_hook(url=PUBLIC + OLD)], [(Op.UPDATE, 1, "url")], id="old-key"),
        pytest.param([_hook(url=PUBLIC + NEW + "?by=hand")], [(Op.UPDATE, 1, "url")], id="query"),
        pytest.param(
            [_hook(url=PUBLIC + OLD, name="", active=False)], [(Op.UPDATE, 1, "url, name, inactive")], id="several"
        ),
        pytest.param([], [(Op.CREATE, None, "missing")], id="missing"),
        pytest.param([_hook(url="https://crm.example")], [(Op.CREATE, None, "missing")], id="foreign"),
        pytest.param([_hook(url="https://laptop" + NEW)], [(Op.CREATE, None, "missing")], id="elsewhere"),
        pytest.param([_hook(1), _hook(2)], [(Op.DEACTIVATE, 2, "duplicate")], id="duplicate-oldest-stays"),
        pytest.param([_hook(1, active=False), _hook(2)], [], id="inactive-duplicate"),
        pytest.param([_hook(1, name="x"), _hook(2)], [(Op.DEACTIVATE, 1, "duplicate")], id="duplicate-right-one-stays"),
        pytest.param(
            [_hook(business=1003)],
            [(Op.CREATE, None, "missing"), (Op.DEACTIVATE, 1, "no longer routed")],
            id="business",
        ),
    ],
)
def test_what_changes(existing: list[Registration], expected: list[tuple[Op, int | None, str]]) -> None:
    """One pair is wanted; each kind of drift."""
    wanted = WantedHooks((1001,), frozenset({"BookingCreate"}))

    made = plan.make(wanted, existing, OURS)

    assert [(change.op, change.hook_id, change.why) for change in made.changes] == expected


def test_none_is_never_registered() -> None:
    """A wildcard over all actions includes eWebhookAction 1."""
    assert {change.action for change in plan.make(WANTED, [], OURS).changes} == {"BookingCreate", "BookingUpdate"}


def test_prune_deletes_what_it_would_leave_inactive() -> None:
    """Duplicates and unrouted ones, inactive ones too."""
    existing = [_hook(1), _hook(2, active=False), _hook(3, action="TeamCreated", active=False)]
    wanted = WantedHooks((1001,), frozenset({"BookingCreate"}))

    made = plan.make(wanted, existing, OURS, scope=Scope(prune=True))

    assert [(change.op, change.hook_id) for change in made.changes] == [(Op.DELETE, 2), (Op.DELETE, 3)]


@pytest.mark.parametrize(
    ("ours", "removed", "safe"),
    [(4, 3, True), (3, 3, True), (13, 4, False), (14, 4, True), (20, 6, True), (20, 7, False)],
)
def test_more_than_a_third_and_three_is_unsafe(ours: int, removed: int, safe: bool) -> None:
    """Counted with the ones that stay."""
    names = list(actions.NAMES)[:ours]
    existing = [_hook(number, action=name) for number, name in enumerate(names, 1)]
    made = plan.make(WantedHooks((1001,), frozenset(names[removed:])), existing, OURS)

    if safe:
        made.check_safe()
    else:
        with pytest.raises(UnsafePlan, match=f"^{removed} of our {ours} registrations"):
            made.check_safe()


def test_the_json_of_a_plan_is_as_documented() -> None:
    """Exactly these keys, and a create has nothing before it."""
    made = plan.make(WantedHooks((1001,), frozenset({"BookingCreate"})), [_hook(url="https://laptop" + NEW)], OURS)

    value = made.as_json({1001: "London"})

    assert {"changes", "unchanged", "foreign", "elsewhere"} <= value.keys()
    assert (value["unchanged"], value["foreign"], value["elsewhere"]) == (0, 0, 1)
    assert value["changes"] == [
        {
            "op": "create",
            "business_id": 1001,
            "business": "London",
            "action": "BookingCreate",
            "hook_id": None,
            "from": None,
            "to": {"name": "Frontdesk BookingCreate", "url": PUBLIC + NEW, "action": "BookingCreate", "active": True},
        }
    ]


def _carried_out(changes: Iterable[HookChange], existing: list[Registration]) -> list[Registration]:
    after = {registration.id: registration for registration in existing}
    fresh = 1_000
    for change in changes:
        if change.hook_id is not None and change.after is None:
            del after[change.hook_id]
        elif change.after is not None:
            number = change.hook_id or fresh
            fresh += 1
            business = after[number].business_id if number in after else change.business_id
            after[number] = Registration(
                id=number,
                business_id=business,
                action_code=actions.code_of(change.after.action) or int(change.after.action),
                name=change.after.name,
                url=change.after.url,
                active=change.after.active,
            )
    return list(after.values())


URLS = st.sampled_from(
    [
        *(
            base + hook_urls.path(key, business, action)
            for base in (PUBLIC, "https://laptop.example")
            for key in ("new", "old", "alien")
            for business in (1001, 1002)
            for action in ("BookingCreate", "BookingUpdate", "TeamCreated")
        ),
        PUBLIC + "/hooks/odd",
        "https://crm.example/",
    ]
)
EXISTING = st.lists(
    st.builds(
        Registration,
        id=st.integers(1, 500),
        business_id=st.sampled_from([1001, 1002, 1003]),
        action_code=st.sampled_from([6, 7, 57, 4_711]),
        name=st.sampled_from(["Frontdesk BookingCreate", "Frontdesk BookingUpdate", "other"]),
        url=URLS,
        active=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda registration: registration.id,
)


@given(EXISTING, st.booleans(), st.sampled_from([(), ("https://laptop.example",)]))
def test_from_any_state_one_plan_converges(existing: list[Registration], prune: bool, move: tuple[str, ...]) -> None:
    """After it: exactly one right active hook for each pair, nobody else's touched, and an empty second plan."""
    scope = Scope(prune, move)
    untouchable = [one for one in existing if OURS.of(one, move_from=move).owner is not Owner.OURS]

    after = _carried_out(plan.make(WANTED, existing, OURS, scope=scope).changes, existing)

    assert plan.make(WANTED, after, OURS, scope=scope).changes == ()
    assert all(one in after for one in untouchable)
    active = [one for one in after if one.active and OURS.of(one, move_from=move).owner is Owner.OURS]
    assert sorted((one.business_id, one.url) for one in active) == sorted(
        (business, OURS.url(business, action)) for business, action in WANTED.pairs()
    )
