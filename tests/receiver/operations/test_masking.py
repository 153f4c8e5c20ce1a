"""What is masked of a record and of an error, and what stays to be read."""

import pytest

from receiver.operations.masking import masked, masked_error, masked_reason


def test_values_of_every_type_are_masked_but_ids_times_flags_and_enumerations_of_known_fields() -> None:
    """Numbers too; and what somebody named in CustomFields, whatever it looks like."""
    record = {
        "Id": 7,
        "CoworkerId": 12,
        "CreatedOn": "2026-11-29T08:00:00.1234567Z",
        "Tentative": False,
        "CoworkerCoworkerType": 2,
        "FullName": "Ada",
        "Pin": 4711,
        "MobilePhone": 34600111222,
        "AccessPincode": 1,
        "EstimatedCost": 12.5,
        "DateOfBirth": "1815-12-10T00:00:00Z",
        "Gender": 2,
        "SomethingId": 5,
        "IsVip": True,
        "CustomFields": {"ada@example.com": {"Id": 3}, "Active": True},
        "BookingVisitors": [{"Id": 3, "Email": "b@example.com", "Ada Lovelace": None}],
        "ada@example.com": 1,
        "RenewalDate": "next week",
        "CoworkerType": 34600111222,
    }

    assert masked(record) == {
        "Id": 7,
        "CoworkerId": 12,
        "CreatedOn": "2026-11-29T08:00:00.1234567Z",
        "Tentative": False,
        "CoworkerCoworkerType": 2,
        "FullName": "<3 characters>",
        "Pin": "<number>",
        "MobilePhone": "<number>",
        "AccessPincode": "<number>",
        "EstimatedCost": "<number>",
        "DateOfBirth": "<20 characters>",
        "Gender": "<number>",
        "SomethingId": "<number>",
        "IsVip": "<true or false>",
        "CustomFields": {"<key 1>": {"<key 1>": "<number>"}, "<key 2>": "<true or false>"},
        "BookingVisitors": [{"Id": 3, "Email": "<13 characters>", "<key 3>": None}],
        "<key 17>": "<number>",
        "RenewalDate": "<9 characters>",
        "CoworkerType": "<number>",
    }


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("ValueError: no desk for ada@example.com", "ValueError: <27 characters>"),
        ("KeyError", "KeyError"),
        ("crm.Refused: Ada", "crm.Refused: <3 characters>"),
        ("Ada Lovelace is unknown", "<23 characters>"),
        (None, None),
    ],
)
def test_of_an_error_the_class_stays(error: str | None, shown: str | None) -> None:
    """A handler may put anything into its message."""
    assert masked_error(error) == shown


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("the body cannot be read: not JSON: trailing comma: line 1 column 9 (char 8)", None),
        ("the body is compressed ('ada@example.com'); Nexudus sends plain JSON",
         "the body is compressed (<15 characters>); Nexudus sends plain JSON"),
        ("""the body is compressed ("ada's 'own'@example.com"); Nexudus sends plain JSON""",
         "the body is compressed (<23 characters>); Nexudus sends plain JSON"),
        ("X-Nexudus-Hook-Signature matches only in the reading 'raw', and only 'dotnet-ascii' holds: it says so", None),
        ("the body is compressed ('ada@exam", "the body is compressed (<7 characters>"),
    ],
)  # fmt: skip
def test_of_a_reason_what_it_quotes_is_masked(reason: str, shown: str | None) -> None:
    """A header is whatever anybody sent; our own words stay."""
    assert masked_reason(reason) == (shown or reason)
