"""Requests that were set aside: those whose signature did not match, and those that cannot be read."""

from typing import Final

from receiver.console import dead
from receiver.console.pages import Facts, Page
from receiver.console.visit import Visit
from receiver.events import EventStatus


def facts(visit: Visit) -> Facts:
    """A page of quarantined requests. Query: action, business, since, until, text, after (an id)."""
    return dead.listed(visit, EventStatus.QUARANTINED)


PAGE: Final = Page("/quarantine", "Quarantine", "quarantine.html", facts, dead.more)
