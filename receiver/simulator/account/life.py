"""What each of the 89 actions does to the records of the simulated Nexudus, and which other actions that makes true.

Pure. An event never stands alone: who pays an invoice makes an entry in the ledger, who checks out changes a check-in.
Each happening carries the record as it is then. Where Nexudus says nothing, the harsher reading is taken.
"""

from collections.abc import Callable, Mapping

from receiver.nexudus import actions
from receiver.simulator.account import billing, kinds
from receiver.simulator.account.kinds import KINDS, Fields
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.scene import Happening, Order, Scene, Told


def happen(records: Records, order: Order) -> list[Happening]:
    """Let *order* happen; return what did, in its order. Raises Unknown for a record that is not there."""
    scene = Scene(records, order)
    told = _DEEDS[order.action](scene) if order.action in _DEEDS else _plain(scene)
    return [Happening(action, one.business_id, one.kind, one.record, order.at) for action, one in told]


def _plain(scene: Scene) -> Told:
    """Create, update or delete, as the kind's own three actions; an action of no other kind changes nothing."""
    action = scene.order.action
    kind = KINDS[actions.entity_kind(action)]
    if action == kind.created:
        return [(action, scene.create(kind.name))]
    living = scene.pick(kind.name)
    if action == kind.updated:
        changes: Fields = {kinds.words(kind.name): f"Changed at {scene.now}"}
        scene.change(living, **changes)
    elif action == kind.deleted:
        scene.records.delete(living, scene.order.at)
    return [(action, living)]


def _checked_in(scene: Scene) -> Told:
    checkin = scene.create("Checkin", FromTime=scene.now, ToTime=None, FromTimeLocal=scene.today)
    return [("CheckinCreated", checkin), ("CoworkerCheckin", checkin)]


def _checked_out(scene: Scene) -> Told:
    checkin = scene.pick("Checkin", lambda one: one["ToTime"] is None)
    scene.change(checkin, ToTime=scene.now, ToTimeLocal=scene.today, LastActivity=scene.now)
    return [("CheckinUpdated", checkin), ("CoworkerCheckout", checkin)]


def _checkin_changed(scene: Scene) -> Told:
    checkin = scene.pick("Checkin", lambda one: one["ToTime"] is None)
    return [("CheckinUpdated", scene.change(checkin, LastActivity=scene.now))]


def _no_checkin(scene: Scene) -> Told:
    """It failed: Nexudus keeps no record of it. Which record its hook carries is not known."""
    order = scene.order
    checkin = scene.records.add("Checkin", order.business_id, order.at, {})
    scene.records.vanish(checkin)
    return [(order.action, checkin)]


def _visitor_arrived(scene: Scene) -> Told:
    visitor = scene.pick("Visitor", lambda one: not one["Arrived"])
    scene.change(visitor, Arrived=True, ArrivalDate=scene.now, CheckedInAt=scene.now, ArrivalDateLocal=scene.today)
    return [("VisitorCheckedin", visitor)]


def _visitor_notified(scene: Scene) -> Told:
    visitor = scene.pick("Visitor", lambda one: not one["Notified"])
    return [("VisitorNotification", scene.change(visitor, Notified=True))]


def _subscribed(scene: Scene) -> Told:
    wants = scene.order.action == "NewsLetterSubscriberSubscribed"
    reader = scene.pick("NewsLetterSubscriber", lambda one: one["Active"] is not wants, Active=not wants)
    return [(scene.order.action, scene.change(reader, Active=wants))]


def _left_group(scene: Scene) -> Told:
    reader = scene.pick("NewsLetterSubscriber", lambda one: bool(one["Groups"]))
    return [("NewsLetterSubscriberRemovedFromGroup", scene.change(reader, Groups=[]))]


def _delivered(scene: Scene) -> Told:
    nobody = {"CoworkerId": None, "CoworkerFullName": None, "CoworkerEmail": None, "CoworkerCompanyName": None}
    return [("DeliveryCreated", scene.create("CoworkerDelivery", **nobody))]


def _assigned(scene: Scene) -> Told:
    parcel = scene.pick("CoworkerDelivery", lambda one: one["CoworkerId"] is None, CoworkerId=None)
    customer = scene.records.choose("Coworker", parcel.business_id, scene.order.at).record
    named = {f"Coworker{name}": customer[name] for name in ("Id", "FullName", "Email", "CompanyName")}
    return [("DeliveryAssigned", scene.change(parcel, **named))]


def _doors_told(scene: Scene) -> Told:
    touch = scene.records.knobs.jobs_touch_customers
    customer = scene.change(scene.pick("Coworker"), touch=touch, AccessControlDebounceTime=scene.now)
    return [("AccessControlUpdate", customer)]


_DEEDS: Mapping[str, Callable[[Scene], Told]] = {
    **billing.DEEDS,
    "CheckinCreated": _checked_in,
    "CoworkerCheckin": _checked_in,
    "CoworkerCheckout": _checked_out,
    "CheckinUpdated": _checkin_changed,
    "CoworkerCheckinFailed": _no_checkin,
    "FailedCheckin": _no_checkin,
    "VisitorCheckedin": _visitor_arrived,
    "VisitorNotification": _visitor_notified,
    "NewsLetterSubscriberSubscribed": _subscribed,
    "NewsLetterSubscriberUnSubscribed": _subscribed,
    "NewsLetterSubscriberRemovedFromGroup": _left_group,
    "DeliveryCreated": _delivered,
    "DeliveryAssigned": _assigned,
    "AccessControlUpdate": _doors_told,
}
