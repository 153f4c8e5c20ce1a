"""Bodies are split into records byte for byte, or refused with a reason; nothing crashes."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.nexudus import payload

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
RECORDS = st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=5)


@pytest.mark.parametrize(
    ("body", "raws"),
    [
        pytest.param(b"[]", (), id="none"),
        pytest.param(b'[{"a":0.09000}]', (b'{"a":0.09000}',), id="one"),
        pytest.param(b'\r\n[ {"a" : 1e2}\t]\n', (b'{"a" : 1e2}',), id="one-with-white-space"),
        pytest.param(b'{"a":[1,{"b":2}]}', (b'{"a":[1,{"b":2}]}',), id="bare-object"),
        pytest.param(b'\xef\xbb\xbf[{"a":1}]', (b'{"a":1}',), id="byte-order-mark"),
        pytest.param(
            '[{"a":"é, {🥶}"} ,\n{"b":-1.50E+2,"c":[{}]},{}]'.encode(),
            ('{"a":"é, {🥶}"}'.encode(), b'{"b":-1.50E+2,"c":[{}]}', b"{}"),
            id="several",
        ),
        pytest.param(
            b'[{"a":1},{"a":' + b"1" * 300 + b"}]", (b'{"a":1}', b'{"a":' + b"1" * 300 + b"}"), id="long-numbers"
        ),
        pytest.param(
            b'[{"a":{"a":[{"a":"\\":\\" :"}]}, "b" :1}]', (b'{"a":{"a":[{"a":"\\":\\" :"}]}, "b" :1}',), id="keys"
        ),
    ],
)
def test_records_keep_their_bytes(body: bytes, raws: tuple[bytes, ...]) -> None:
    """Array of one, of several, of none, bare object."""
    records = payload.split(body)

    assert tuple(record.raw for record in records) == raws
    assert [record.data for record in records] == [orjson.loads(raw) for raw in raws]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"Id":1,"Id":2}]',
        b'{"Id":1,"Id" :2}',
        b'{"Id":1,"Id"\r\n:2}',
        b'{"Id":1,"a":"\\":","Id":2}',
        b'[{"Id":1},{"a":[{"b":1,"b":1}]}]',
        b'{"Id":1,"\\u0049d":2}',
        b'{"Id":1,"a":"\\u0022\\u0022","Id":2}',
        b'{"MinutesToStart":1,"MinutesToStart":2}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(body: bytes) -> None:
    """A filter would see one value, and whoever reads the forwarded bytes may see the other."""
    with pytest.raises(ValueError, match="^an object has the same key twice$"):
        payload.split(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "^an empty body$"),
        (b" \n", "^an empty body$"),
        (b"hello", "^not JSON: "),
        (b'[{"a":1}', "^not JSON: "),
        (b'[{"a":NaN}]', "^not JSON: "),
        (b'[{"a":Infinity}]', "^not JSON: "),
        (b'[{"a":1e999}]', "^not JSON: number is infinity"),
        (b'[{"a":' + b"9" * 5_000 + b"}]", "^not JSON: number is infinity"),
        (b'[{"a":"\xff"}]', "^not JSON: "),
        (b'[{"a":"\xed\xa0\x80"}]', "^not JSON: "),
        (b'[{"a":"\\ud800"}]', "^not JSON: "),
        (b'[{"a":1}]x', "^not JSON: "),
        (b'[{"a":1},]', "^not JSON: "),
        (b"\x1f\x8b\x08\x00", "^not JSON: "),
        (b"3", "^neither an array nor an object$"),
        (b'"text"', "^neither an array nor an object$"),
        (b"null", "^neither an array nor an object$"),
        (b"[1]", "^an array that holds something other than objects$"),
        (b"[[{}]]", "^an array that holds something other than objects$"),
        (b"[{},null]", "^an array that holds something other than objects$"),
        (b"[" * 10_000 + b"]" * 10_000, "^nested deeper than 64 levels$"),
        (b"[" * 500_000, "^nested deeper than 64 levels$"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "^nested deeper than 64 levels$"),
        (b'[{"a":' + b"[" * 63 + b"]" * 63 + b"}]", "^nested deeper than 64 levels$"),
        (b"[" + b"{}," * 1_000 + b"{}]", "^more than 1000 records in one body$"),
    ],
)
def test_what_cannot_be_read_has_a_reason(body: bytes, reason: str) -> None:
    """One clear sentence for the quarantine."""
    with pytest.raises(ValueError, match=reason):
        payload.split(body)


def test_a_reason_tells_nothing_of_the_body() -> None:
    """Reasons are shown and logged; payloads are not."""
    with pytest.raises(ValueError) as caught:
        payload.split(b'[{"Email":"zoe@example.com",}]')

    assert "zoe" not in str(caught.value)


def test_nesting_up_to_the_limit_is_taken() -> None:
    """64 levels, the array and the record counted; many small ones beside each other do not add up."""
    assert len(payload.split(b'[{"a":' + b"[" * 62 + b"]" * 62 + b"}]")) == 1
    assert len(payload.split(b'[{"a":[' + b"{}," * 5_000 + b"{}]}]")) == 1


@given(RECORDS, st.sampled_from([None, orjson.OPT_INDENT_2]))
def test_any_records_come_back(records: list[dict[str, object]], option: int | None) -> None:
    """What a writer of JSON wrote is split at the right places."""
    body = orjson.dumps(records, option=option)

    split = payload.split(body)

    assert [record.data for record in split] == orjson.loads(body)
    assert [orjson.loads(record.raw) for record in split] == orjson.loads(body)


@given(st.binary() | st.text(alphabet='[]{}",:\\ 1eE-.ntf').map(str.encode))
def test_junk_is_split_or_refused(body: bytes) -> None:
    """Total over hostile input: records, or ValueError."""
    try:
        records = payload.split(body)
    except ValueError:
        return
    assert all(isinstance(record.data, dict) for record in records)
