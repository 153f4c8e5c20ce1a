"""Records as types: every sample is one, times are aware, and what is not known is kept."""

import importlib
import pkgutil
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from receiver.nexudus import actions, records, samples
from receiver.nexudus.records.record import Record, kind_of
from workers import records as offered
from workers.records import Booking, Coworker, CoworkerInvoice

for module in pkgutil.iter_modules(records.__path__):
    importlib.import_module(f"{records.__name__}.{module.name}")
KINDS: dict[str, type[Record]] = {one.__name__: one for one in Record.__subclasses__() if kind_of(one)}


@pytest.mark.parametrize("action", actions.NAMES)
def test_every_action_has_a_type_that_its_sample_fits(action: str) -> None:
    """And that names every field of it."""
    kind = KINDS[actions.entity_kind(action)]
    record = samples.record(action, now=datetime(2026, 3, 1, tzinfo=UTC), number=3)

    read = kind.model_validate(record)

    assert read.model_extra == {}
    assert read.Id == record["Id"]
    assert getattr(offered, kind.__name__) is kind
    times = [value for value in dict(read).values() if isinstance(value, datetime)]
    local = {name for name in record if name.endswith("Local")}
    assert all(value.tzinfo for name, value in dict(read).items() if isinstance(value, datetime) and name not in local)
    assert times


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2022-05-13T23:00:00Z", datetime(2022, 5, 13, 23, tzinfo=UTC)),
        ("2026-04-06T12:35:11.1Z", datetime(2026, 4, 6, 12, 35, 11, 100_000, tzinfo=UTC)),
        ("2022-05-13T20:55:44.5515198Z", datetime(2022, 5, 13, 20, 55, 44, 551_519, tzinfo=UTC)),
        ("2022-05-13T20:55:44.5515198", datetime(2022, 5, 13, 20, 55, 44, 551_519, tzinfo=UTC)),
        ("2022-05-13T22:55:44+02:00", datetime(2022, 5, 13, 20, 55, 44, tzinfo=UTC)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times_are_aware_with_up_to_seven_digits(written: str | None, read: datetime | None) -> None:
    """As .NET writes them; the seventh digit is dropped."""
    assert Booking.model_validate({"Id": 1, "FromTime": written}).FromTime == read


def test_a_local_time_has_no_zone() -> None:
    """It is what the clock on the wall shows, and Nexudus puts a Z behind it all the same."""
    read = Booking.model_validate({"Id": 1, "FromTimeLocal": "2026-03-01T09:00:00Z"})

    assert read.FromTimeLocal == datetime(2026, 3, 1, 9)  # noqa: DTZ001 - without a zone on purpose


def test_only_the_id_is_needed_and_what_is_not_known_is_kept() -> None:
    """Nexudus leaves fields out of lists, and adds some."""
    read = Coworker.model_validate({"Id": 1, "ShoeSize": 43})

    assert (read.Email, read.model_extra) == (None, {"ShoeSize": 43})
    with pytest.raises(ValidationError, match="Id"):
        Coworker.model_validate({"Email": "a@example.com"})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("HelpDeskMessage", "MinutesToClose", -41.65),
        ("HelpDeskMessage", "FirstResponseTimeInMinutes", 0.5),
        ("Visitor", "CheckedInAt", "Berlin - Mitte"),
        ("FloorPlan", "Capacity", 4.5),
        ("FloorPlanDesk", "FloorPlanCapacity", 4.5),
        ("FloorPlanDesk", "Capacity", 4.5),
        ("FloorPlanDesk", "AccessControlGroupId", "grp-front"),
        ("FloorPlanDesk", "TunnelPrivateGroupId", "vlan-12"),
        ("Team", "TunnelPrivateGroupId", "vlan-12"),
        ("Team", "TunnelPrivateGroupId", 12),
        ("Team", "MaxTeamMemberCount", 4.5),
        ("CoworkerInvoice", "NexKioskTransactionId", "kiosk-8f31"),
        ("CoworkerInvoice", "XeroInvoiceTransfered", True),
        ("CoworkerInvoice", "QuickbooksPaymentTransfered", True),
        ("ChatUserMessage", "ToUsers", [1, 2]),
        ("ChatUserMessage", "Delievered", True),
    ],
)
def test_what_nexudus_sent_is_right(kind: str, name: str, value: object) -> None:
    """Values that were seen, and fields whose type nobody has documented."""
    read = KINDS[kind].model_validate({"Id": 1, name: value})

    assert (getattr(read, name), type(getattr(read, name)), read.unfit) == (value, type(value), frozenset())
    assert not read.model_extra


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_field_that_does_not_fit_is_kept_marked_and_told_by_name(kind: str) -> None:
    """Whichever field of whichever kind; the others are read as ever."""
    odd = {name: {"secret": 1} for name in KINDS[kind].model_fields if name not in ("Id", "CreatedOn")}

    with capture_logs() as told:
        read = KINDS[kind].model_validate(odd | {"Id": "7", "CreatedOn": "2026-03-01T09:00:00Z", "Shoe": 43})

    assert {name: getattr(read, name) for name in odd} == odd
    assert (read.Id, read.CreatedOn, read.model_extra) == (7, datetime(2026, 3, 1, 9, tzinfo=UTC), {"Shoe": 43})
    assert {"UniqueId", "UpdatedOn", "IsNew"} <= read.unfit <= odd.keys() - {"CustomFields"}
    assert (told[0]["event"], told[0]["fields"]) == ("record.unfit", sorted(read.unfit))
    assert "secret" not in str(told)
    assert read.unfit <= read.model_fields_set


@pytest.mark.filterwarnings("error")
def test_what_does_not_fit_is_written_as_it_came_and_nobody_is_warned_of_its_value() -> None:
    """By whoever passes a record on."""
    read = Booking.model_validate({"Id": 1, "FromTime": "never", "OverridePrice": [1]})

    assert orjson.loads(read.model_dump_json(exclude_unset=True)) == {
        "Id": 1,
        "FromTime": "never",
        "OverridePrice": [1],
    }
    assert read.model_dump(exclude_unset=True) == {"Id": 1, "FromTime": "never", "OverridePrice": [1]}


def test_what_a_type_of_ones_own_adds_or_requires_must_fit() -> None:
    """Its author relies on it."""

    class Room(Booking):
        ResourceId: int
        Projector: bool = False

    assert Room.model_validate({"Id": 1, "ResourceId": 2, "Repeats": "x"}).unfit == {"Repeats"}
    for wrong in ({"ResourceId": "x"}, {"Repeats": "x"}, {"ResourceId": 2, "Projector": "x"}):
        with pytest.raises(ValidationError, match="Room"):
            Room.model_validate({"Id": 1} | wrong)


def test_amounts_are_exact() -> None:
    """0.1 is a tenth."""
    read = CoworkerInvoice.model_validate({"Id": 1, "TotalAmount": 0.1, "PaidAmount": 1_200})

    assert (read.TotalAmount, read.PaidAmount) == (Decimal("0.1"), Decimal(1_200))


def test_a_type_of_ones_own_is_of_the_kind_it_is_made_from() -> None:
    """And others of none."""

    class Room(Booking):
        Projector: bool = False

    assert (kind_of(Room), kind_of(Booking), kind_of(Record), kind_of(dict), kind_of(None)) == (
        "Booking",
        "Booking",
        None,
        None,
        None,
    )


def test_the_table_of_the_docstring_is_that_of_the_actions() -> None:
    """Which action carries which record, and how sure that is."""
    told: dict[str, tuple[str, str]] = {}
    kind = sure = ""
    for line in (offered.__doc__ or "").split("before you rely on it.")[1].splitlines():
        if not line.strip():
            continue
        kind = line[4:26].strip() or kind
        sure = line[26:35].strip() or sure
        told |= {name.strip(): (kind, sure) for name in line[35:].split(",") if name.strip()}

    assert told == {name: (actions.entity_kind(name), actions.certainty(name)) for name in actions.NAMES}
