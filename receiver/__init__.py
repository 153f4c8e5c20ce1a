"""Frontdesk's receiver: takes Nexudus events in, keeps them, routes them, and looks after their registrations."""

__version__ = "0.2.0"

HANDLER_GROUP = "frontdesk.handlers"
"""The entry-point group under which plugins offer handlers; the one name that both packages share."""
