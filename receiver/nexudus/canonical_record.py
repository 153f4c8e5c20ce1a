"""What of a record lasts: its values without the volatile ones, in the order of their names, as one text.

Two things are made of it: the fingerprint, and the proof that no key is in a body twice. Records of one kind have the
same names, so what follows from the names alone is worked out once for each set of them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

VOLATILE = (
    "AvailableCredit",
    "EstimagedCost",  # Nexudus's own spelling
    "EstimatedCost",
    "EstimatedCostWithProducts",
    "EstimatedExtraService",
    "EstimatedProductCost",
    "MinutesToStart",
)
"""Fields that are worked out at the moment of sending. At the top level only; a short list, because a field too many
here loses an event, and one too few only delivers an event twice."""

_Values = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class Lasting(NamedTuple):
    """*names*: a digest of the names; *values*: as JSON, in their order; *quotes*: those that the record has at least,
    around its keys and in its values, written as anyone may write it."""

    names: bytes
    values: bytes
    quotes: int


class _Shape(NamedTuple):
    """What follows from the names of a record."""

    digest: bytes
    lasting: _Values
    volatile: _Values | None
    keys: int


def of(record: Mapping[str, Any]) -> Lasting:
    """Return what lasts of a record. Raises orjson.JSONEncodeError for one nested deeper than 250 levels."""
    shape = _shape(tuple(record))
    values = orjson.dumps(shape.lasting(record))
    quotes = 2 * shape.keys + values.count(b'"')
    if shape.volatile is not None:
        quotes += orjson.dumps(shape.volatile(record)).count(b'"')
    return Lasting(shape.digest, values, quotes)


@lru_cache(maxsize=128)  # names are hostile too, and each set of them may be as large as a body
def _shape(names: tuple[str, ...]) -> _Shape:
    volatile = [name for name in names if name in VOLATILE]
    lasting = sorted(name for name in names if name not in VOLATILE)
    digest = sha256(orjson.dumps(lasting)).digest()
    return _Shape(digest, _values(lasting), _values(volatile) if volatile else None, len(names))


def _values(names: Sequence[str]) -> _Values:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda record: tuple(record[name] for name in names)  # itemgetter makes no tuple of one
