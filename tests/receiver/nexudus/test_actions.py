"""The table of actions is that of Nexudus; names from tomorrow pass through."""

import pytest

from receiver.nexudus import actions


def test_the_table_has_every_number_once() -> None:
    """90 values, 1 to 90; `None` is one of them and nothing happens as it."""
    assert sorted(actions.CODES.values()) == list(range(1, 91))
    assert len(actions.NAMES) == 89
    assert "None" not in actions.NAMES


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("None", 1),
        ("BookingCreate", 6),
        ("HelDeskMessageCreated", 45),
        ("AccessControlUpdate", 61),
        ("CoworkerPaymentMethodUpdate", 90),
        ("HelpDeskMessageCreated", None),
        ("RobotCreate", None),
    ],
)
def test_a_name_has_its_number_or_none(name: str, code: int | None) -> None:
    """Nexudus's own typo is the name; the spelling that it should have is unknown."""
    assert actions.code_of(name) == code


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("BookingCreate", "Booking"),
        ("AccessControlUpdate", "Coworker"),
        ("HelDeskMessageCreated", "HelpDeskMessage"),
        ("CoworkerInvoiceLedgerEntryDelete", "CoworkerLedgerEntry"),
        ("CalendarEventAttendeeCreate", "EventAttendee"),
        ("CalendarEventDelete", "CalendarEvent"),
        ("CommunityBoardNewReply", "CommunityMessage"),
        ("RobotCreate", "Robot"),
        ("RobotArmUpdated", "RobotArm"),
        ("RobotDeleted", "Robot"),
        ("RobotDances", "RobotDances"),
        ("Create", "Create"),
        ("None", "None"),
    ],
)
def test_an_action_is_about_a_kind_of_record(action: str, kind: str) -> None:
    """Known ones by the table, unknown ones by their name without its verb."""
    assert actions.entity_kind(action) == kind
