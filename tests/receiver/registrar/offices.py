"""A registrar put together for tests: the real parts against the simulator, without waiting."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from receiver.core.errors import NexudusError
from receiver.nexudus import actions
from receiver.nexudus.api.webhooks import Webhooks
from receiver.registrar.apply import Applied, Applier
from receiver.registrar.change import HookChange
from receiver.registrar.hooks_at_nexudus import Planner
from receiver.registrar.ownership import Ownership
from receiver.registrar.plan import Plan, Scope, WantedHooks
from receiver.routing import file
from receiver.routing.table import RoutingTable
from tests.support.nexudus import CountingBudget, SimulatedNexudus

PUBLIC = "https://hooks.example/front"
BUSINESSES = (1001, 1002, 1003)
FEW = frozenset({"BookingCreate", "BookingUpdate", "CoworkerCreate", "VisitorCheckedin"})


def routes(names: Iterable[str] = FEW, businesses: tuple[int, ...] | Literal["all"] = (1001,)) -> RoutingTable:
    """Return the table of one route for *names*."""
    where = "all" if businesses == "all" else list(businesses)
    text = f"businesses: {where}\nroutes: [{{action: [{', '.join(sorted(names))}], handler: log}}]\n"
    return file.parse(text, file="routes.yaml", known_actions=actions.CODES)


USUAL = routes()
ALL = routes(actions.NAMES, BUSINESSES)


@dataclass
class Office:
    """Plans and applies at *nexudus* with *keys*."""

    nexudus: SimulatedNexudus
    keys: tuple[str, ...] = ("key-1",)
    public_url: str = PUBLIC
    told: list[tuple[HookChange, NexudusError | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the client."""
        self.budget = CountingBudget()
        self.client = self.nexudus.client(self.budget)
        self.webhooks = Webhooks(self.client)
        self.ownership = Ownership(self.public_url, self.keys)
        self.planner = Planner(self.webhooks, self.ownership, "all")

    def plan(self, table: RoutingTable = USUAL, scope: Scope | None = None) -> Plan:
        """Return the plan of now."""
        return self.planner.plan(self.planner.wanted(table), scope)

    def apply(
        self,
        table: RoutingTable = USUAL,
        scope: Scope | None = None,
        *,
        fence: Callable[[], None] = lambda: None,
    ) -> Applied:
        """Apply the plan of now."""
        wanted = self.planner.wanted(table)
        return self.carry_out(self.planner.plan(wanted, scope), wanted, scope, fence=fence)

    def carry_out(
        self, plan: Plan, wanted: WantedHooks, scope: Scope | None = None, *, fence: Callable[[], None] = lambda: None
    ) -> Applied:
        """Apply *plan*."""
        applier = Applier(self.webhooks, fence=fence, on_result=lambda change, error: self.told.append((change, error)))
        return applier.apply(plan, lambda: self.planner.plan(wanted, scope))

    def active(self) -> dict[tuple[int, int], list[dict[str, Any]]]:
        """Return the active hooks of ours by (business, action number)."""
        found: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for hook in self.nexudus.hooks():
            if hook["Active"] and "foreign" not in hook["URL"] and "laptop" not in hook["URL"]:
                found.setdefault((hook["BusinessId"], hook["Action"]), []).append(hook)
        return found

    def assert_converged(self, table: RoutingTable = USUAL, scope: Scope | None = None) -> None:
        """Exactly one right active hook for each pair, nothing else of ours active, and nothing left to do."""
        assert table.businesses != "all"
        right = {
            (business_id, actions.CODES[name]): self.ownership.url(business_id, name)
            for business_id in table.businesses
            for name in table.actions(actions.CODES)
        }
        active = self.active()
        assert {pair: [hook["URL"] for hook in hooks] for pair, hooks in active.items()} == {
            pair: [url] for pair, url in right.items()
        }
        assert self.plan(table, scope).changes == ()
