"""Asks Nexudus what is there (locations, actions, hooks), checks routes.yaml by it, and has the plan made (`plan`)."""

from collections.abc import Collection, Mapping

import structlog

from receiver.core.errors import CredentialsRefused, FileProblem, NexudusError, RoutesError
from receiver.nexudus import actions
from receiver.nexudus.api.registration import Registration
from receiver.nexudus.api.webhooks import Webhooks
from receiver.registrar import plan
from receiver.registrar.ownership import Ownership
from receiver.registrar.plan import Plan, Scope, WantedHooks
from receiver.routing.table import RoutingTable


class Planner:
    """Plans against what *webhooks* lists. *secrets* are the businesses with a shared secret, "all" for every one."""

    def __init__(self, webhooks: Webhooks, ownership: Ownership, secrets: Collection[int] | str) -> None:
        self._webhooks = webhooks
        self._ownership = ownership
        self._secrets = secrets
        self._log = structlog.get_logger()
        self.names: Mapping[int, str] = {}
        """The locations as Nexudus last named them."""

    def wanted(self, table: RoutingTable) -> WantedHooks:
        """Return what *table* asks for, its businesses and actions checked with Nexudus.

        Raises NexudusError, and RoutesError for a business that Nexudus does not know.
        """
        names = table.actions(actions.CODES) - {"None"}
        unknown = sorted(names - actions.CODES.keys())
        if unknown:
            raise RoutesError((FileProblem(table.file, 0, f"{unknown[0]!r} is not an action that can be registered"),))
        wanted = WantedHooks(self._businesses(table), names)
        self._check_actions(wanted.actions)
        return wanted

    def plan(
        self, wanted: WantedHooks, scope: Scope | None = None, existing: tuple[Registration, ...] | None = None
    ) -> Plan:
        """Return the plan against *existing*, by default a fresh list. Raises NexudusError."""
        found = self._webhooks.list() if existing is None else existing
        unsigned = () if self._secrets == "all" else [b for b in wanted.businesses if b not in self._secrets]
        return plan.make(wanted, found, self._ownership, scope=scope, unsigned=unsigned)

    def _businesses(self, table: RoutingTable) -> tuple[int, ...]:
        try:
            known = self._webhooks.businesses()
        except NexudusError as error:
            # The webhook roles do not include Business-List; a list of ids in routes.yaml does without the check.
            if table.businesses == "all" or isinstance(error, CredentialsRefused) or error.status == 0:
                raise
            self._log.debug("registrar.businesses_unchecked", reason=str(error))
            return tuple(table.businesses)
        self.names = known
        if not known:
            raise NexudusError("Nexudus lists no location; does the API user have access to any?")
        if table.businesses == "all":
            return tuple(known)
        unknown = [business_id for business_id in table.businesses if business_id not in known]
        if unknown:
            shown = ", ".join(f"{number} {name}".strip() for number, name in list(known.items())[:20])
            what = f"businesses: {unknown[0]} is not a location that the API user sees; it sees {shown or 'none'}"
            raise RoutesError((FileProblem(table.file, 0, what),))
        return tuple(table.businesses)

    def _check_actions(self, wanted: Collection[str]) -> None:
        """Compare our table of actions with Nexudus's of today, when it tells."""
        table = self._webhooks.actions()
        if table is None:
            return
        for action in sorted(wanted):
            theirs = table.get(action)
            if theirs is not None and theirs != actions.code_of(action):
                raise NexudusError(
                    f"Nexudus numbers the action {action} {theirs}, Frontdesk {actions.code_of(action)};"
                    " update Frontdesk before it registers anything"
                )
        added = sorted(table.keys() - actions.CODES.keys())
        if added:
            self._log.warning("registrar.actions_added", actions=added[:20])
