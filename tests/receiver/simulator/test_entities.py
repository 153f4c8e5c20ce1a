"""Records of the simulated Nexudus: every number is one, and what is written is found again."""

from datetime import UTC, datetime

import pytest

from receiver.nexudus import samples
from receiver.simulator.entities import Entities
from receiver.simulator.tenant import Invalid, Unknown

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_number_is_always_the_same_record() -> None:
    """And a customer whom a sample names is that customer."""
    entities = Entities(NOW)
    booking = samples.record("BookingCreate", now=NOW, number=3)

    customer = entities.get("spaces/coworkers", booking["CoworkerId"])

    assert customer == entities.get("spaces/coworkers", booking["CoworkerId"])
    assert (customer["Id"], customer["FullName"]) == (booking["CoworkerId"], booking["CoworkerFullName"])


def test_what_is_written_is_found_again() -> None:
    """Created, replaced (what is not sent is cleared), deleted; or only pretended to be."""
    entities = Entities(NOW)
    made = entities.create("spaces/coworkers", {"FullName": "Ada", "Id": 1})
    number = made["Id"]

    assert entities.get("spaces/coworkers", number)["FullName"] == "Ada"
    entities.update("spaces/coworkers", {"Id": number, "FullName": "Grace"})
    replaced = entities.get("spaces/coworkers", number)
    assert (replaced["FullName"], replaced["Email"]) == ("Grace", None)
    entities.delete("spaces/coworkers", number, lose=True)
    assert [row["Id"] for row in entities.search("spaces/coworkers", {"coworker_fullname": "grace"})] == [number]
    entities.delete("spaces/coworkers", number)
    assert entities.search("spaces/coworkers", {"Coworker_FullName": "grace"}) == []
    with pytest.raises(Unknown):
        entities.get("spaces/coworkers", number)


def test_what_there_is_not_is_unknown() -> None:
    """Other paths, numbers that none can have; and a record without its number is invalid."""
    entities = Entities(NOW)

    for path, number in (("spaces/nonsense", 1), ("spaces/coworkers", 0), ("", 1)):
        with pytest.raises(Unknown):
            entities.get(path, number)
    with pytest.raises(Unknown):
        entities.search("spaces/nonsense", {})
    with pytest.raises(Invalid, match="Id: is a required field"):
        entities.update("spaces/coworkers", {"FullName": "Ada"})


def test_rows_of_a_search_are_partial_and_unknown_filters_ignored() -> None:
    """As at the real one."""
    entities = Entities(NOW)

    everyone = entities.search("spaces/coworkers", {})

    assert len(everyone) == 7
    assert all("Notes" not in row for row in everyone)
    assert entities.search("spaces/coworkers", {"Coworker_ShoeSize": "43", "UpdatedSince": "x"}) == everyone
