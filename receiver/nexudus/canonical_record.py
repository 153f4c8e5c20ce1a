"""The canonical form of a record: its values without the volatile ones, in the order of their names, as one text.

The fingerprint is made from it, and so is the proof that no key occurs twice in a body. Records of one kind have the
same names, so whatever depends on the names alone is computed once for each set of names.
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
"""Top-level fields that Nexudus computes when it sends a record. The list is short on purpose: a field too many makes
two different events equal and loses one, a field too few only delivers an event twice."""

_Values = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class CanonicalRecord(NamedTuple):
    """*names*: a digest of the names. *values*: the values as JSON, in the order of the names. *quotes*: the least
    number of quotation marks, around keys and in values, that any JSON text of the record has."""

    names: bytes
    values: bytes
    quotes: int


class _Shape(NamedTuple):
    """What depends only on the names in a record."""

    digest: bytes
    lasting: _Values
    volatile: _Values | None
    keys: int


def of(record: Mapping[str, Any]) -> CanonicalRecord:
    """Return the canonical form of a record. Raises orjson.JSONEncodeError if it is nested deeper than 250 levels."""
    shape = _shape(tuple(record))
    values = orjson.dumps(shape.lasting(record))
    quotes = 2 * shape.keys + values.count(b'"')
    if shape.volatile is not None:
        quotes += orjson.dumps(shape.volatile(record)).count(b'"')
    return CanonicalRecord(shape.digest, values, quotes)


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
