"""The JSON Schema knows every key and every action that the reader knows."""

import re

from receiver.nexudus import actions
from receiver.routing.document.schema import schema
from receiver.routing.document.shapes import Defaults, Document, RouteShape, keys_of


def test_the_schema_names_every_key() -> None:
    """Closed, like the reader; with a sentence for each key of a route."""
    made = schema(actions.CODES)
    route = made["$defs"]["RouteShape"]

    assert tuple(made["properties"]) == keys_of(Document)
    assert tuple(route["properties"]) == keys_of(RouteShape)
    assert tuple(made["$defs"]["Defaults"]["properties"]) == keys_of(Defaults)
    assert all(value["description"] for value in route["properties"].values())
    assert route["required"] == ["action", "handler"]
    assert (made["additionalProperties"], route["additionalProperties"]) == (False, False)


def test_the_schema_speaks_as_one_writes() -> None:
    """Defaults as durations, one thing or a list, actions and wildcards."""
    made = schema(actions.CODES)

    assert made["$defs"]["Defaults"]["properties"]["timeout"]["default"] == "30s"
    assert made["$defs"]["Defaults"]["properties"]["retry"]["default"] == ["10s", "1m", "10m", "1h", "6h"]
    assert made["properties"]["businesses"]["default"] == "all"
    names, wildcard = made["$defs"]["Action"]["anyOf"]
    assert names["enum"] == sorted(actions.NAMES)
    assert all(re.search(wildcard["pattern"], text) for text in ("*", "Booking*", "*Create", "B*C*"))
    assert not re.search(wildcard["pattern"], "BookingCreate")
    assert made["$defs"]["RouteShape"]["properties"]["business"]["anyOf"][0] == {"type": "integer", "minimum": 1}
    assert not re.search("null", str(made))
