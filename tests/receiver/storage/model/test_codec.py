"""Envelopes come back as they went in, whichever release wrote them; everything else is refused in one way."""

import hashlib
from importlib import resources

import lz4.block
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.events import Envelope
from receiver.nexudus import actions, samples
from receiver.storage.model import codec
from tests.support.events import entry


def sample(action: str) -> Envelope:
    """Return an envelope with what Nexudus would send for an action."""
    body = samples.body(action, now=samples.WRITTEN, number=3)[1:-1]
    return entry(body, action=action).envelope


def plain(envelope: Envelope) -> bytes:
    """Return what is packed of an envelope."""
    number, packed = codec.pack(envelope)[1], codec.pack(envelope)[2:]
    return bytes(lz4.block.decompress(packed, dict=codec.dictionary(number)))


def without_dictionary(envelope: Envelope) -> bytes:
    """Return an envelope as releases up to 0.2 packed it."""
    return b"\x01" + bytes(lz4.block.compress(plain(envelope)))


@pytest.mark.parametrize("action", [*actions.NAMES, "SomethingNewCreated"])
def test_an_envelope_comes_back(action: str) -> None:
    """With and without a dictionary, whatever it is about."""
    envelope = sample(action) if action in actions.NAMES else entry(b'{"Id":1}', action=action).envelope

    assert codec.unpack(codec.pack(envelope)) == envelope
    assert codec.unpack(without_dictionary(envelope)) == envelope


@given(body=st.binary(max_size=5_000), action=st.text(min_size=1, max_size=40), reason=st.none() | st.text())
def test_any_envelope_comes_back(body: bytes, action: str, reason: str | None) -> None:
    """A quarantined body may be anything."""
    envelope = entry(body, action=action, quarantine=reason or None).envelope

    assert codec.unpack(codec.pack(envelope)) == envelope


@given(stored=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"\x02\x03\x20\0\0\0" + tail))
def test_what_is_no_envelope_is_refused(stored: bytes) -> None:
    """By a ValueError, whatever it is."""
    with pytest.raises(ValueError, match="."):
        codec.unpack(stored)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"\x07" + lz4.block.compress(b"{}\n"), "a version that this Frontdesk does not know"),
        (b"\x02\xff" + lz4.block.compress(b"{}\n"), "a dictionary that this Frontdesk does not have: 255"),
        (b"\x01\xff\xff\xff\x7f\0", "over 256 MiB"),
        (b"\x01\x10\0\0\0\xff\xff", "damaged"),
        (b"\x01" + lz4.block.compress(b"[]\n"), "fields that every event has"),
        (b"\x01" + lz4.block.compress(b'{"id":"1"}\n'), "fields that every event has"),
    ],
)
def test_the_reason_is_told(stored: bytes, reason: str) -> None:
    """Whoever looks after the store has to know what is wrong with it."""
    with pytest.raises(ValueError, match=reason):
        codec.unpack(stored)


def test_what_a_newer_version_says_besides_is_passed_over() -> None:
    """It is no part of the event as such."""
    envelope = sample("BookingCreate")
    header, _, body = plain(envelope).partition(b"\n")
    newer = orjson.dumps({**orjson.loads(header), "unheard_of": 1}) + b"\n" + body

    assert codec.unpack(b"\x02\0" + lz4.block.compress(newer, dict=codec.dictionary(0))) == envelope


def test_dictionaries_stay_as_they_are() -> None:
    """What was packed with one can be read with no other: a better one is another line."""
    lines = (
        resources.files("receiver.storage.model").joinpath("dictionaries.txt").read_bytes().splitlines(keepends=True)
    )

    digest = hashlib.sha256(b"".join(lines[:29])).hexdigest()
    assert digest == "5bc1c44858231e2f14a8593cfc72927d1093252e8d951411e821fb2fd255dbb6"
    assert len(lines) <= 256


@pytest.mark.parametrize("action", actions.NAMES)
def test_a_dictionary_halves_an_envelope(action: str) -> None:
    """Every action that Nexudus has is in one of them, and gains by it."""
    envelope = sample(action)

    assert len(codec.pack(envelope)) < 0.6 * len(without_dictionary(envelope))


@given(
    st.sampled_from(["BookingCreate", 'Something%New"\\é']),
    st.sampled_from([None, "raw", "dotnet-ascii"]),
    st.one_of(st.none(), st.text(max_size=20)),
    st.binary(max_size=50),
)
def test_a_packer_writes_what_pack_writes(action: str, reading: str | None, entity: str | None, body: bytes) -> None:
    """Byte for byte, whatever is in the values."""
    one = entry(body, action=action).envelope
    envelope = one._replace(
        action_code=actions.code_of(action), routes="0123456789abcdef", verified_by=reading, entity=entity
    )
    packer = codec.Packer(envelope.business_id, action, envelope.action_code, envelope.routes)

    packed = packer.pack(envelope.id, envelope.received_ms, reading, entity, body)

    assert packed == codec.pack(envelope)
