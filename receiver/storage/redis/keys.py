"""Every Redis key of ours. `scripts/shared/keys.lua` has names for scripts, `rq_keys.py` those of RQ that we write.

Layout version 3: version 1, the first release's, had no lanes and gates; since version 3 an envelope is packed with a
dictionary (`storage/model/codec.py`). `{id}`: an event's id; `{hour}`: its Unix hour; `{n}`: its deliveries from 1.

    fd:layout              version of this layout (storage/redis/schema_version.py)
    fd:e:{id}              string: the envelope, compressed; written once
    fd:d:{id}              hash: the state of the event and of all its deliveries (below); small values, so a listpack
    fd:a:{id}-{n}          list: one JSON object for each attempt of a delivery that has ended
    fd:once:{id}           hash: {route}/{step} to `?` when a handler has started that step, and to its result as JSON
                           when it was done; deleted with the event
    fd:i:{hour}            list: ids stored under that hour, in the order in which they were stored; the same ids by
    fd:i:{hour}:a:{action} ... action, :b:{business} business, :r:{route} route
    fd:hours               sorted set: the hours that have an index, scored by themselves
    fd:c:{hour}            hash: counters of the events and deliveries of that hour; fd:c:0 has the sums of all hours
                           that are too old to be counted separately
    fd:x:{status}          sorted set of ids, by time: quarantined, unrouted, dead
    fd:f:{window}:{g}:{b}  hash: fingerprint to id, for generation g of a window, spread over 1024 buckets
    fd:made                hash: {business}/{action} that was back-filled to the Unix ms until which hooks' events claim
                           their changes; fd:made:{g}:{hook}: which, for generation g of 31 days: hash, entity and time
                           of a change to the id of its event (shared/changes.lua)
    fd:n:{b}               hash: entity to the id of its newest event, spread over 4096 buckets
    fd:received            hash: {business}/{action} to Unix ms of the last event stored
    fd:queues              set: every queue that ever held a delivery
    fd:wake:{queue}        list: tokens that wake idle workers; a lost token costs a pause, never a delivery
    fd:workers             sorted set: worker to the Unix ms at which its lease ends
    fd:held:{worker}       set: job ids that a worker has claimed and not acknowledged
    fd:routes              string: the last good routes.yaml
    fd:quarantine          hash: bytes that quarantine uses in the store, in total (field `total`) and for each hook
    fd:p:{id}              list: deliveries of an event that still have to be created, in portions (`keep_script.py`)
    fd:unmade              set: the events that have such deliveries
    fd:incomplete          hash: events found with a state but no envelope; and `cursor`, the progress of the search
    fd:nexudus:budget      hash: two token buckets, of all calls to Nexudus and of writes; forgotten after ten minutes
    fd:nexudus:budget:long hash: calls of each minute of the last hour, writes of each quarter of the last day
    fd:nexudus:answer:{q}  hash: what Nexudus answered to a question of a handler, and when it was asked; for a minute.
                           fd:nexudus:flight:{q}: who is asking it now; fd:nexudus:answers: sorted set of the
                           questions, by when their answers end; fd:nexudus:generation: how often all were cleared
    fd:lock:{name}         hash: who holds a lock, with which fencing token; expires when its holder ends
    fd:lock:{name}:fence   counter: the last fencing token of a lock
    fd:registrar:unrouted  hash: hook id to the Unix ms since when it has not been routed
    fd:registrar:flaps     hash: hook id to how often in a row it had to be re-enabled, and when last
    fd:gaps                hash: gap id to the gap, as JSON (storage/shared/gap_ledger.py)
    fd:coverage            hash: {business}/{action} to what the registrar knows of that hook, as JSON
    fd:coverage:looked     hash: at_ms, when it last looked; reached, 1 once the receiver was reached
    fd:ids:{kind}          hash: Id to location of all records of a kind, and `at_ms`, when they were listed
    fd:businesses          hash: business to its name at Nexudus
    fd:registrar:counts    hash: how often the registrar created, updated, re-enabled, ... a hook
    fd:spools              hash: the last report of each spool that holds events, as JSON (`reports.py`)
    fd:alias:{id}          string: the id of the event that was stored first; for an event that was answered `spooled`
                           with its own id and turned out to be a duplicate. Expires with the retention of events
    fd:unsealed, fd:sealed sorted sets: hours whose counters changed since they were last found in order, and hours that
                           are over and were found in order (an hour that is in both is not sealed)
    fd:due                 sorted set: hour to the Unix ms at which one of its events may expire
    fd:turning             hash: a list of ids that retention is processing, to its position there (expire_page.lua)
    fd:stale               set: hours whose narrower lists hold ids of expired events; fd:stale:{hour}: which lists
    fd:waited-for          string, empty: written again after each batch that replicas have to confirm
    fd:retention           string: the times of retention from which fd:due was computed
    fd:expiry, fd:audit    strings: when retention was applied last and how far it is behind; the last result of
                           maintenance; each as JSON
    fd:meter               hash: the counters of all processes, for metrics (observation/metrics_store.py)
    fd:rhythm              hash: business to how many events usually come in each hour of the week
    fd:alerts              hash: the current alerts, since when, and where they were sent (alerts/alert_state.py)
    fd:failures            hash: the groups of failures that somebody found last, by their ids, as JSON; `~`: who found
                           them, when (failures/failure_records.py). fd:failures:acts: what people said about open ones
    fd:routes:versions     hash: route to digests of what routes.yaml says of it, and the version of its handler, as
                           JSON; fd:routes:changes: list: when they changed (failures/route_versions.py)
    fd:mark                string: a random mark that distinguishes this store from a replacement (`data_loss.py`)
    fd:mark:looked         string: Unix ms of the last check of the mark, by which an older copy is recognised
    fd:losses              hash: mark of a lost store to what was known about it, as JSON; and each key set aside
    fd:aside:{key}         a key that was of another type than its own, as it was; for a month (scripts/mending.lua)
    fd:registrar:health    string: the condition of the hooks at the registrar's last check, as JSON
    fd:acts                stream: who did what, for a year; its group `log`: how far they have been logged
    fd:o:{route}:{key}     sorted set: the deliveries in flight of one key of an ordered route (shared/lanes.lua)
    fd:t:{route}:{key}     string: what was said last of an entity that a route with `at` waits for, so that no older
                           event replaces it; until 35 days after its planned time (shared/timed_placement.lua)
    fd:receivers, fd:lanes what receivers say of events of ordered routes in their spools, the lanes that wait for a
    fd:spooled:{spool}     receiver, and those that have events in a spool (shared/spooled_lanes.lua)
    fd:gates, fd:w:{gate}, the gates of routes, and the deliveries that wait at them (shared/gates.lua); gates are
    fd:g:{route}, ...      named {route} and {route}/{key}
    fd:readings            hash: location, or "any", to the reading that its secrets were seen to use
    fd:paused              hash: route to since when it is paused and who paused it, as JSON
    fd:gates:clock         string: the server's clock at the last check of the gates, to notice that it jumped
    fd:spent:{digest}      string: a used sign-in link or ended session of the console, until it would have expired

Fields of `fd:d:{id}`: n deliveries made, p those in flight, z Unix ms when the last one ended, k kind (`u` unrouted,
`q` quarantined), h the hook whose share of quarantine it takes, c how many bytes it takes, y entity, w the routes that
wanted it in the shadow, e 1 when its record was erased. For delivery n, behind its number: r route, q queue, s state
(`q` queued, `w` waiting until t, `x` running, `h` held where no job of it runs, `s` succeeded, `d` dead, `c`
discarded), w what a held or waiting one waits for (`delivery_state`), l its lane, u the key its limits count by, e RQ
timeout of its first job while a lane holds it, g what it may pass (`r` the gate of its route, `k` and a gate's name: it
has a place there), v Unix ms since when it waits for its target, d Unix ms since when the key of a debounced one is not
quiet, j serial of its RQ job, a attempts ended, f those that count against its schedule, o the worker that holds it
(empty: nobody does any more), t Unix ms until which it waits, b Unix ms since when workers cannot run it that do not
know its route or handler, c deaths of the process that ran it, i 1 while it must run alone, k deaths while it did, m
origin when not the event's own. What is absent is zero, or for j one.

The RQ job of an attempt is `{id}-{n}-{serial}`. A serial is used once: a job that is not its delivery's current one is
stale, and does nothing whichever worker runs it.
"""

import hashlib

INDEX = "fd:i:"
LAYOUT = "fd:layout"
LAYOUT_VERSION = 3
"""Raise it, here and in keep.lua, at most once a release, if it writes something that the previous one does not handle.
The previous release must still work with the same store: tests/deploy/test_upgrade.py runs both."""

HOURS = "fd:hours"
RECEIVED = "fd:received"
QUEUES = "fd:queues"
WORKERS = "fd:workers"
ROUTES = "fd:routes"
QUARANTINE = "fd:quarantine"
NEXUDUS_BUDGET = "fd:nexudus:budget"
NEXUDUS_BUDGET_LONG = "fd:nexudus:budget:long"
REGISTRAR_UNROUTED = "fd:registrar:unrouted"
REGISTRAR_FLAPS = "fd:registrar:flaps"
REGISTRAR_COUNTS = "fd:registrar:counts"
GAPS = "fd:gaps"
COVERAGE = "fd:coverage"
COVERAGE_LOOKED = "fd:coverage:looked"
MADE = "fd:made"
BUSINESSES = "fd:businesses"
SPOOLS = "fd:spools"
UNSEALED = "fd:unsealed"
SEALED = "fd:sealed"
DUE = "fd:due"
TURNING = "fd:turning"
STALE = "fd:stale"
WAITED_FOR = "fd:waited-for"
RETENTION = "fd:retention"
EXPIRY = "fd:expiry"
AUDIT = "fd:audit"
UNMADE = "fd:unmade"
INCOMPLETE = "fd:incomplete"
METER = "fd:meter"
RHYTHM = "fd:rhythm"
ALERTS = "fd:alerts"
FAILURES = "fd:failures"
FAILURE_ACTS = "fd:failures:acts"
ROUTE_VERSIONS = "fd:routes:versions"
ROUTE_CHANGES = "fd:routes:changes"
LOSSES = "fd:losses"
MARK = "fd:mark"
LOOKED = "fd:mark:looked"
REGISTRAR_HEALTH = "fd:registrar:health"
ACTS = "fd:acts"
PAUSED = "fd:paused"
READINGS = "fd:readings"
GATES = "fd:gates"


def envelope(event_id: str) -> str:
    """The envelope of an event."""
    return f"fd:e:{event_id}"


def alias(event_id: str) -> str:
    """The id under which an event was kept that waited in a spool while the same event arrived again."""
    return f"fd:alias:{event_id}"


def state(event_id: str) -> str:
    """The state of an event and its deliveries."""
    return f"fd:d:{event_id}"


def once(event_id: str) -> str:
    """The steps that handlers of an event have taken."""
    return f"fd:once:{event_id}"


def attempts(delivery_id: str) -> str:
    """The ended attempts of a delivery."""
    return f"fd:a:{delivery_id}"


def index(hour: int, *, action: str = "", business_id: int | None = None, route: str = "") -> str:
    """The ids of an hour: all of them, or those of one action, business or route."""
    if action:
        return f"{INDEX}{hour}:a:{action}"
    if business_id is not None:
        return f"{INDEX}{hour}:b:{business_id}"
    return f"{INDEX}{hour}:r:{route}" if route else f"{INDEX}{hour}"


def counters(hour: int) -> str:
    """What happened to the events of an hour."""
    return f"fd:c:{hour}"


def stale(hour: int) -> str:
    """The lists of an hour that hold ids of expired events."""
    return f"fd:stale:{hour}"


def standing(status: str) -> str:
    """The ids of all events that are quarantined, unrouted or dead."""
    return f"fd:x:{status}"


def fingerprints(window_ms: int, generation: int, fingerprint: bytes) -> tuple[str, bytes]:
    """Where a fingerprint of that generation of a window is, as keep.lua writes it: the hash and the field."""
    return f"fd:f:{window_ms}:{generation}:{fingerprint[0] * 4 + fingerprint[1] // 64}", fingerprint[1:16]


def newest(entity: str) -> str:
    """The hash with the newest event of an entity, as the scripts write it."""
    return f"fd:n:{int(hashlib.sha1(entity.encode(), usedforsecurity=False).hexdigest()[:3], 16)}"


def ids(kind: str) -> str:
    """The Ids of all records of a kind, as the last pass found them."""
    return f"fd:ids:{kind}"


def lock(name: str) -> tuple[str, str]:
    """A lock, and its fence counter."""
    return f"fd:lock:{name}", f"fd:lock:{name}:fence"


def wake(queue: str) -> str:
    """The tokens that wake workers of a queue."""
    return f"fd:wake:{queue}"


def held(worker: str) -> str:
    """The job ids that a worker holds."""
    return f"fd:held:{worker}"


def gate(route: str) -> str:
    """What is known of the target of a route."""
    return f"fd:g:{route}"


def waiting(gate: str) -> str:
    """The deliveries that wait before a gate."""
    return f"fd:w:{gate}"


def lane(lane: str) -> str:
    """The deliveries in flight of one key of a route, `{route}:{key}`."""
    return f"fd:o:{lane}"


def spent(digest: str) -> str:
    """That a sign-in link or a session of the console is used up."""
    return f"fd:spent:{digest}"
