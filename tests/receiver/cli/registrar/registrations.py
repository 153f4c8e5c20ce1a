"""What the tests of the registrar's commands share: what is routed, and what it means that all is well."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from receiver.nexudus import actions, hook_urls
from tests.conftest import StartFrontdesk
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import PATIENT, Process, free_port, run

ROUTES = """
businesses: [1001, 1002]
routes:
  - {name: bookings, action: "Booking*", handler: log}
  - {name: invoices, action: "CoworkerInvoice*", handler: log}
"""
ROUTED = [name for name in actions.NAMES if name.startswith(("Booking", "CoworkerInvoice"))]
PAIRS = 2 * len(ROUTED)
FOREIGN = {"BusinessId": 1001, "Name": "CRM", "Action": 90, "URL": "https://crm.example/in", "Description": "theirs"}


def planned(settings: Mapping[str, str], *options: str, status: int) -> dict[str, Any]:
    """Return what `plan --json` says, which must end with *status*."""
    ran = run("plan", "--json", *options, settings=settings)
    assert ran.status == status, ran.err
    plan: dict[str, Any] = orjson.loads(ran.out)
    return plan


def ours(nexudus: SimulatedNexudus) -> list[dict[str, Any]]:
    """Return the records of our hooks, inactive ones too."""
    return [hook for hook in nexudus.hooks() if hook["URL"] != FOREIGN["URL"]]


def assert_converged(
    nexudus: SimulatedNexudus,
    settings: Mapping[str, str],
    names: Iterable[str] = ROUTED,
    businesses: Iterable[int] = (1001, 1002),
) -> None:
    """Exactly one right active hook for each pair, somebody else's as it was, and an empty second plan."""
    public, key = settings["FRONTDESK_PUBLIC_URL"], settings["FRONTDESK_URL_KEYS"].partition(",")[0]
    right = [
        (place, actions.CODES[name], hook_urls.url(public, key, place, name)) for place in businesses for name in names
    ]
    active = [(hook["BusinessId"], hook["Action"], hook["URL"]) for hook in ours(nexudus) if hook["Active"]]
    assert sorted(active) == sorted(right)
    (theirs,) = [hook for hook in nexudus.hooks() if hook["URL"] == FOREIGN["URL"]]
    assert FOREIGN.items() <= theirs.items()
    assert (theirs["Active"], theirs["UpdatedOn"]) == (True, theirs["CreatedOn"])
    assert planned(settings, status=0)["changes"] == []


def start_receiver(settings: dict[str, str], frontdesk: StartFrontdesk) -> Process:
    """Start a real receiver at the public URL, which becomes one of this machine."""
    settings.setdefault("FRONTDESK_PORT", str(free_port()))
    settings["FRONTDESK_PUBLIC_URL"] = f"http://127.0.0.1:{settings['FRONTDESK_PORT']}"
    receiver = frontdesk("serve", settings=settings | PATIENT)
    receiver.wait_for_http(f"{settings['FRONTDESK_PUBLIC_URL']}/readyz")
    return receiver
