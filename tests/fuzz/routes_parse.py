"""A routing file becomes a table, or a list of what is wrong: each one line of text, about a line that the file has."""

from datetime import UTC, datetime

from receiver.core.errors import RoutesError
from receiver.nexudus import actions, samples
from receiver.routing import file

_RECORD = samples.record("BookingCreate", now=datetime(2026, 1, 1, tzinfo=UTC), number=1)


def one(data: bytes) -> None:
    """Any text; that of a file that cannot be read as UTF-8 never comes so far."""
    text = data.decode("utf-8", "replace")
    try:
        table = file.parse(text, file="routes.yaml", known_actions=actions.CODES)
    except RoutesError as wrong:
        lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029")
        for problem in wrong.problems:
            assert 0 <= problem.line <= lines + 2, problem
            assert problem.message, problem
            assert "\n" not in str(problem), problem
        return
    matched = table.match(1001, "BookingCreate", _RECORD)
    assert {route.name for route in matched.routes} <= {route.name for route in table.routes}


def seeds() -> list[bytes]:
    """Everything that a routing file can say, and the constructs of YAML that others have tripped over."""
    return [
        b"""businesses: [1001, 1002]
defaults: {timeout: 30s, retry: [10s, 1m]}
queues: [doors, default]
routes:
  - name: announce
    action: [BookingCreate, "CoworkerInvoice*"]
    business: 1001
    where: data.Tentative == false && data.EstimatedCost > 100.0
    handler: forward
    with: {url: "https://crm.example/hooks", secret: env/CRM_SECRET}
    queue: default
    timeout: 30s
    retry: [10s, 1m, 10m]
    order: entity
    limit: 100/m
    concurrency: 4
    enabled: true
""",
        b'routes: [{action: "*", handler: log, where: \'data.Name.matches("^a+$") || has(data.X)\'}]',
        b"x: &a [1, *a]\nroutes:\n  - &b {action: BookingCreate, handler: log}\n  - {<<: *b, name: two}\n",
        b"routes:\n  - action: |\n      BookingCreate\n    on: !!python/object:os.system {}\n    handler: 1:30\n--- \n",
    ]
