"""Retention under load: the store does not grow without end."""

from receiver.storage.accounting.audit import Audit
from tests.faults import blows, load
from tests.faults.frontdesk import Frontdesk
from tests.faults.ledger import Ledger
from tests.faults.stand import Stand
from tests.support.processes import wait_until

_SETTLES_WITHIN_S = 120.0


class Expiring(Frontdesk):
    """What has ended is kept for two seconds. So the record of what happened is the handlers' notes, and counts."""

    def _store_of_receiver(self) -> dict[str, str]:
        return {**super()._store_of_receiver(), "FRONTDESK_RETENTION": "2s"}

    def _store_of_worker(self) -> dict[str, str]:
        return {**super()._store_of_worker(), "FRONTDESK_RETENTION": "2s"}

    def counts(self) -> dict[str, int]:
        """How many events were accepted, and what became of them, by the counters."""
        with self.store.client() as client:
            return Audit(client).run().events

    def ledger(self) -> Ledger:
        """All that was kept is gone, or will be soon: what was handled is there to see."""
        known = super().ledger()
        return Ledger(
            known.answers,
            known.notes,
            {},
            known.deaths,
            known.killed,
            frozenset(),
            known.leads,
            known.wanted,
            knows=False,
        )

    def unaccounted(self) -> list[str]:
        """Each event that was answered 202 was counted once; in the end all are gone, with all their keys."""
        answered = {answer.event_id for answer in load.read(self.answers) if answer.status == 202}
        wait_until(lambda: self.counts()["expired"] == len(answered), self._what_is_left, timeout_s=_SETTLES_WITHIN_S)
        found = super().unaccounted()
        if self.counts()["accepted"] != len(answered):
            found.append(f"{len(answered)} events were answered 202, and these were counted: {self.counts()}")
        with self.store.client() as client:
            for pattern in ("fd:e:*", "fd:d:*", "fd:a:*"):
                if left := sum(1 for _ in client.scan_iter(pattern, count=1_000)):
                    found.append(f"{left} keys {pattern} are left of events that have expired")
        return found

    def _what_is_left(self) -> str:
        return f"the end of retention: {self.counts()}"


def outlast_retention(stand: Stand) -> None:
    """While events flow on, as many expire as had come before: what is kept is what has come since."""
    assert isinstance(stand, Expiring)
    before = stand.counts()["accepted"]
    wait_until(
        lambda: stand.counts()["expired"] >= before,
        lambda: f"{before} events to expire under load: {stand.counts()}",
        timeout_s=_SETTLES_WITHIN_S,
    )


def outlast_retention_with_dying_parents(stand: Stand) -> None:
    """The same, while who applies it is killed."""
    blows.kill_worker_parent(stand)
    outlast_retention(stand)


BLOWS = (
    blows.Blow("all that came before expires", outlast_retention),
    blows.Blow("the same, worker parent: kill -9", outlast_retention_with_dying_parents, crashes=True),
)
