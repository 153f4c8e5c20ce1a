"""Registrations converge, whatever state Nexudus is in and whatever it does meanwhile (promise 6)."""

import dataclasses
from collections.abc import Iterator

import pytest

from receiver.core.errors import LockLost, NexudusError, RoutesError, UnsafePlan
from receiver.nexudus import hook_urls
from receiver.registrar.change import DUPLICATE, Op
from receiver.registrar.plan import Scope
from tests.receiver.registrar.offices import ALL, FEW, PUBLIC, Office, routes
from tests.support.nexudus import SimulatedNexudus


def _foreign(office: Office) -> int:
    record = {"BusinessId": 1001, "Name": "CRM", "Action": 6, "URL": "https://foreign.example/x", "Active": True}
    number = office.webhooks.create(record | {"Description": "not ours"})
    assert number is not None
    return number


def test_every_action_at_three_businesses_from_nothing(office: Office) -> None:
    """3 x 89, in pages of 25: one right active hook for each pair, and the second plan is empty."""
    office.nexudus.turn(largest_page=25)
    foreign = _foreign(office)

    applied = office.apply(ALL)

    assert (len(applied.done), applied.pending, applied.failed) == (267, (), ())
    office.assert_converged(ALL)
    plan = office.plan(ALL)
    assert (plan.unchanged, plan.foreign, plan.elsewhere) == (267, 1, ())
    record = next(hook for hook in office.nexudus.hooks() if hook["Id"] == foreign)
    assert (record["Description"], record["Active"]) == ("not ours", True)


def test_a_plan_costs_pages_not_hooks(office: Office) -> None:
    """At most one call for each hundred hooks, the token and the checks included."""
    office.apply(ALL)
    office.budget.calls = 0

    office.plan(ALL)

    assert office.budget.calls <= 3, "businesses, enumeration, one page"


def test_drift_of_every_kind_is_mended(office: Office) -> None:
    """Somebody edits, disables, deletes, copies and renumbers our hooks in the panel."""
    office.apply()
    ids = {hook["Action"]: hook["Id"] for hook in office.nexudus.hooks()}
    office.nexudus.edit(ids[6], URL=PUBLIC + "/hooks/1001/BookingCreate/wrong", Description="kept by hand")
    office.nexudus.edit(ids[7], Action=60, Active=False)
    office.nexudus.edit(ids[3], Name="renamed", Active=False, ErrorCount=10, LastError="500")
    office.nexudus.remove(ids[41])
    for active in (True, False):
        copy = {"BusinessId": 1001, "Name": "copy", "Action": 6, "Active": active}
        office.webhooks.create(copy | {"URL": office.ownership.url(1001, "BookingCreate")})
    stray = {"BusinessId": 1002, "Name": "stray", "Action": 90, "URL": PUBLIC + "/hooks/what/ever", "Active": True}
    office.webhooks.create(stray)
    foreign = _foreign(office)

    ops = sorted((change.op, change.action) for change in office.plan().changes)
    applied = office.apply()

    assert ops == [
        (Op.CREATE, "VisitorCheckedin"),
        (Op.DEACTIVATE, "BookingCreate"),
        (Op.DEACTIVATE, "CoworkerPaymentMethodUpdate"),
        (Op.UPDATE, "BookingCreate"),
        (Op.UPDATE, "BookingUpdate"),
        (Op.UPDATE, "CoworkerCreate"),
    ]
    assert applied.is_complete
    office.assert_converged()
    records = {hook["Id"]: hook for hook in office.nexudus.hooks()}
    assert records[ids[6]]["Description"] == "kept by hand"
    assert records[foreign]["Description"] == "not ours"


def test_what_nobody_sent_survives_an_update(office: Office) -> None:
    """PUT clears what is not sent, so the whole record is read and sent back."""
    office.apply()
    hook = office.nexudus.hooks()[0]
    office.nexudus.edit(hook["Id"], SystemId="theirs", CustomFields={"a": 1}, Description="by hand", Active=False)

    office.apply()

    record = next(one for one in office.nexudus.hooks() if one["Id"] == hook["Id"])
    assert (record["SystemId"], record["CustomFields"], record["Description"]) == ("theirs", {"a": 1}, "by hand")
    assert record["Active"] is True


FAULTS = ("error", "html", "throttle", "cut", "lost_answer")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_call_changes_nothing_in_the_end(office: Office, fault: str) -> None:
    """The k-th call goes wrong, for every k of a run that creates, updates, deactivates."""
    for number in range(14):
        office.nexudus.reset()
        office.apply(routes(FEW | {"TeamCreated"}))
        hooks_now = office.nexudus.hooks()
        office.nexudus.edit(hooks_now[0]["Id"], Active=False)
        office.nexudus.remove(hooks_now[1]["Id"])
        office.nexudus.turn(next=[None] * number + [fault], retry_after_s=0)

        applied = office.apply()

        assert applied.is_complete, f"call {number}"
        office.assert_converged()


def test_faults_all_the_time(office: Office) -> None:
    """A fifth of all calls goes wrong in one way or another; several runs at most, as a person would do it."""
    rates = {f"{fault}_rate": 0.05 for fault in FAULTS}
    office.nexudus.turn(**rates, retry_after_s=0)

    for _ in range(5):
        try:
            if office.apply(routes(businesses=(1001, 1002))).is_complete:
                break
        except NexudusError:
            continue

    office.nexudus.turn(**dict.fromkeys(rates, 0))
    office.apply(routes(businesses=(1001, 1002)))
    office.assert_converged(routes(businesses=(1001, 1002)))


def test_a_create_whose_answer_is_lost_is_not_repeated_blindly(office: Office) -> None:
    """The hook was made although nobody said so: it is found on the list, and there is no second one."""
    office.plan()
    office.nexudus.turn(next=[None, None, None, "lost_answer"])

    applied = office.apply()

    assert applied.is_complete
    assert len(office.nexudus.hooks()) == len(FEW)


def test_a_write_that_does_not_stick_is_pending(office: Office) -> None:
    """Nexudus reports success and lies: said so, and not hidden by trying until it works."""
    office.nexudus.turn(lost_write_rate=1)

    applied = office.apply()

    assert not applied.is_complete
    assert {change.action for change in applied.pending} == FEW
    assert applied.done == ()
    office.nexudus.turn(lost_write_rate=0)
    assert office.apply().is_complete
    office.assert_converged()


def test_a_refused_change_stops_only_itself(office: Office) -> None:
    """A validation error of one record is told with its property; the others are made."""
    wanted = office.planner.wanted(routes(businesses=(1001,)))
    plan = office.planner.plan(wanted)
    broken = dataclasses.replace(plan.changes[0], business_id=4711)

    applied = office.carry_out(dataclasses.replace(plan, changes=(broken, *plan.changes)), wanted)

    assert [failure.error.properties for failure in applied.failed] == [{"BusinessId": "is not one of your locations"}]
    office.assert_converged()


def test_a_nexudus_that_is_silent_ends_the_run(office: Office) -> None:
    """After three changes without an answer there is no point in asking for the next two hundred."""
    wanted = office.planner.wanted(routes())
    plan = office.planner.plan(wanted)
    office.nexudus.turn(cut_rate=1)

    with pytest.raises(NexudusError, match="no answer to GET /api/sys/webhooks"):
        office.carry_out(plan, wanted)

    assert len(office.told) == 3
    office.nexudus.turn(cut_rate=0)
    assert office.apply().is_complete


def test_a_nexudus_that_takes_no_writes_ends_the_run(office: Office) -> None:
    """It lists, and answers every write with a fault: after three it is looked at again, and then given up."""
    wanted = office.planner.wanted(routes())
    plan = office.planner.plan(wanted)
    office.nexudus.turn(next=["error"] * 3)

    with pytest.raises(NexudusError, match="Nexudus answered 500 to POST /api/sys/webhooks"):
        office.carry_out(plan, wanted)

    assert office.nexudus.hooks() == []
    assert office.apply().is_complete


@pytest.mark.parametrize("is_404", [False, True])
@pytest.mark.parametrize("within", ["list and read", "read and write"])
def test_hooks_that_are_deleted_meanwhile_are_made_anew(office: Office, is_404: bool, within: str) -> None:
    """Somebody tidies up in the panel: an unknown id is answered 404, or like a fault of Nexudus."""
    office.apply()
    office.nexudus.turn(unknown_is_404=is_404)
    for hook in office.nexudus.hooks():
        office.nexudus.edit(hook["Id"], Active=False)
    wanted = office.planner.wanted(routes())
    plan = office.planner.plan(wanted)

    def tidy() -> None:
        for hook in office.nexudus.hooks():
            office.nexudus.remove(hook["Id"])

    fences = iter([tidy])
    if within == "list and read":
        next(fences)()
    applied = office.carry_out(plan, wanted, fence=lambda: next(fences, lambda: None)())

    assert (applied.is_complete, {change.op for change in applied.done}) == (True, {Op.CREATE})
    office.assert_converged()


def test_a_delete_whose_answer_was_lost_is_done(office: Office) -> None:
    """It is sent again, and the hook is not there: that is what was wanted."""
    office.apply()
    office.nexudus.turn(unknown_is_404=True)
    fewer = routes(FEW - {"BookingCreate"})
    wanted = office.planner.wanted(fewer)
    plan = office.planner.plan(wanted, Scope(prune=True))
    office.nexudus.turn(next=[None, "lost_answer"])

    applied = office.carry_out(plan, wanted, Scope(prune=True))

    assert (applied.is_complete, [change.op for change in applied.done]) == (True, [Op.DELETE])


@pytest.mark.parametrize("op", [Op.CREATE, Op.UPDATE])
def test_what_nexudus_refuses_in_its_own_words_stops_only_itself(office: Office, op: Op) -> None:
    """A few tries, then it counts as refused, with the words; a create is tried again only after a fresh list."""
    wanted = office.planner.wanted(routes())
    if op is Op.UPDATE:
        office.apply()
        for hook in office.nexudus.hooks():
            office.nexudus.edit(hook["Id"], Active=False)
    plan = office.planner.plan(wanted)
    one_round = ["ooops", *[None] * 3, None] if op is Op.CREATE else [None, *["ooops"] * 3]
    office.nexudus.turn(next=one_round + ["ooops"] * (op is Op.CREATE))

    applied = office.carry_out(plan, wanted)

    (failed,) = applied.failed
    assert (failed.change, failed.error.status) == (plan.changes[0], 500)
    assert str(failed.error).endswith("Ooops! Something went wrong.")
    assert len(applied.done) == len(FEW) - 1
    assert office.apply().is_complete


def test_whoever_lost_the_lock_writes_no_more(office: Office) -> None:
    """The fence is asked before each write; when it refuses, the write is not sent."""

    def turns() -> Iterator[None]:
        yield
        raise LockLost("gone")

    fence = turns()

    with pytest.raises(LockLost, match="gone"):
        office.apply(fence=lambda: next(fence))

    assert len(office.nexudus.hooks()) == 1


def test_url_keys_rotate(office: Office) -> None:
    """With a new first key every hook moves to its new URL; the old key's hooks are known as such before."""
    office.apply()
    rotated = Office(office.nexudus, keys=("key-2", "key-1"))

    before = {change.op for change in rotated.plan().changes}
    applied = rotated.apply()

    assert (before, len(applied.done)) == ({Op.UPDATE}, len(FEW))
    rotated.assert_converged()
    assert {hook_urls.key_index(("key-2", "key-1"), hook["URL"]) for hook in office.nexudus.hooks()} == {0}
    rotated.client.close()


def test_another_host_with_our_keys_is_left_alone_until_it_is_moved(office: Office) -> None:
    """A laptop with production's settings hijacks nothing; `--move-from` is said aloud."""
    laptop = Office(office.nexudus, public_url="https://laptop.example")
    laptop.apply()

    beside = office.plan()
    moving = Scope(move_from=("https://LAPTOP.example:443/",))
    applied = office.apply(scope=moving)

    assert ({change.op for change in beside.changes}, len(beside.elsewhere)) == ({Op.CREATE}, len(FEW))
    assert {owned.home for owned in beside.elsewhere} == {"https://laptop.example"}
    assert {change.op for change in applied.done} == {Op.UPDATE}
    office.assert_converged(scope=moving)
    assert len(office.nexudus.hooks()) == len(FEW)
    laptop.client.close()


def test_what_is_no_longer_routed_is_deactivated_or_pruned(office: Office) -> None:
    """Deactivated, and then left alone; deleted only when asked for."""
    office.apply()
    fewer = routes(FEW - {"BookingCreate"})

    applied = office.apply(fewer)

    assert [(change.op, change.action) for change in applied.done] == [(Op.DEACTIVATE, "BookingCreate")]
    office.assert_converged(fewer)
    assert len(office.nexudus.hooks()) == len(FEW)
    assert [change.op for change in office.apply(fewer, Scope(prune=True)).done] == [Op.DELETE]
    assert len(office.nexudus.hooks()) == len(FEW) - 1
    office.assert_converged(fewer, Scope(prune=True))


def test_duplicates_are_reduced_to_the_oldest_right_one(office: Office) -> None:
    """Two processes without a lock made everything twice."""
    office.apply()
    first = {hook["Id"] for hook in office.nexudus.hooks()}
    for hook in office.nexudus.hooks():
        office.webhooks.create({name: hook[name] for name in ("BusinessId", "Name", "Action", "URL", "Active")})

    plan = office.plan()
    office.apply()

    assert {change.why for change in plan.changes} == {DUPLICATE}
    plan.check_safe()
    office.assert_converged()
    assert {hook["Id"] for hooks_ in office.active().values() for hook in hooks_} == first


def test_an_unsafe_plan_says_so_with_numbers(office: Office) -> None:
    """More than 30 % and more than three."""
    office.apply(routes(businesses=(1001, 1002)))

    with pytest.raises(UnsafePlan, match=r"^4 of our 8 registrations .* more than 30 %; .* --force"):
        office.plan().check_safe()


def test_an_unknown_business_is_said_before_anything_is_written(office: Office, nexudus: SimulatedNexudus) -> None:
    """Where, what, and which there are."""
    with pytest.raises(RoutesError, match=r"^routes.yaml: businesses: 4711 is not a location .* 1001 Location 1001"):
        office.apply(routes(businesses=(1001, 4711)))

    assert nexudus.hooks() == []


def test_all_businesses_means_those_that_nexudus_lists(office: Office) -> None:
    """`businesses: all` asks Nexudus."""
    office.apply(routes(businesses="all"))

    office.assert_converged(routes(businesses=(1001, 1002, 1003)))
