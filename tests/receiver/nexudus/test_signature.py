"""Signatures: both readings, any hex case, several secrets, and never an exception, whatever comes."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.nexudus import signature

JOSE = '[{"Id":1,"FullName":"José"}]'.encode()
COLD = '[{"Id":1,"Subject":"🥶 cold"}]'.encode()
PLAIN = b'[{"Id":1,"FullName":"Jose"}]'

JOSE_DOTNET = "DC8305B7F31DF76D7C344A63D93C4D23C9257A952FD3938472B2DEAFE99EE84E"
JOSE_RAW = "A56CC4031AE61CF68B7BC678D7D2A8819852BE54F57EB7C49DEDF9CE67B5C60A"
COLD_DOTNET = "93C52053780B564F758EEC5121CECE3FF2C896CC9747A806C08D56CE866A2C5E"
COLD_RAW = "2785B138DFF4288D637FBBEFE819350B11CA49CED260168434A08EEE10E40FE4"
COLD_ONE_MARK = "A2DB0E4C4301C92CA23BF980F9667072AC41BAFFF7B732B2A9372801265B9CFF"
PLAIN_BOTH = "16400D2818F8BE4C0A059EA1FD2FBC6E337418D513F5963D3429B6FA2F9ADA02"


@pytest.mark.parametrize(
    ("body", "header", "reading"),
    [
        pytest.param(PLAIN, PLAIN_BOTH, "raw", id="ascii-is-equal-in-both"),
        pytest.param(JOSE, JOSE_DOTNET, "dotnet-ascii", id="accent-dotnet"),
        pytest.param(JOSE, JOSE_RAW, "raw", id="accent-raw"),
        pytest.param(COLD, COLD_DOTNET, "dotnet-ascii", id="emoji-dotnet-two-marks"),
        pytest.param(COLD, COLD_RAW, "raw", id="emoji-raw"),
        pytest.param(COLD, COLD_ONE_MARK, None, id="emoji-one-mark-is-python-not-dotnet"),
        pytest.param(JOSE, f" {JOSE_DOTNET.lower()} ", "dotnet-ascii", id="lower-case-and-spaces"),
        pytest.param(JOSE, JOSE_DOTNET[:32] + JOSE_DOTNET[32:].lower(), "dotnet-ascii", id="mixed-case"),
        pytest.param(JOSE, JOSE_DOTNET[:-1] + "F", None, id="last-digit"),
        pytest.param(JOSE, JOSE_DOTNET[:-1], None, id="short"),
        pytest.param(JOSE, "sha256=" + JOSE_DOTNET, None, id="prefix"),
        pytest.param(JOSE, COLD_DOTNET, None, id="of-another-body"),
        pytest.param(JOSE, None, None, id="missing"),
        pytest.param(JOSE, "", None, id="empty"),
        pytest.param(JOSE, "é" * 64, None, id="no-hex"),
        pytest.param(JOSE, "ﬀ" * 32, None, id="ligatures-that-upper-case-to-hex"),
    ],
)
def test_verify_knows_both_readings(body: bytes, header: str | None, reading: str | None) -> None:
    """The test vectors of the documented .NET code and of the plain HMAC."""
    assert signature.verify(body, header, ["other", "s3cr3t"]) == reading


@pytest.mark.parametrize(("body", "header"), [(PLAIN, PLAIN_BOTH), (JOSE, JOSE_DOTNET), (COLD, COLD_DOTNET)])
def test_sign_is_the_documented_way(body: bytes, header: str) -> None:
    """Upper-case hex of the .NET reading."""
    assert signature.sign(body, "s3cr3t") == header


def test_no_secret_opens_nothing() -> None:
    """No secrets, or an empty one by mistake: nothing verifies."""
    empty = hmac.new(b"", PLAIN, hashlib.sha256).hexdigest()

    assert signature.verify(PLAIN, PLAIN_BOTH, []) is None
    assert signature.verify(PLAIN, empty, [""]) is None


def test_a_body_that_is_no_utf8_has_only_the_raw_reading() -> None:
    """.NET could not have made a text of it."""
    body = b"[{\xff}]"

    assert signature.verify(body, hmac.new(b"s", body, hashlib.sha256).hexdigest(), ["s"]) == "raw"
    assert signature.verify(body, hmac.new(b"s", b"[{?}]", hashlib.sha256).hexdigest(), ["s"]) is None


def test_a_secret_with_an_accent_is_read_as_dotnet_reads_it() -> None:
    """`ASCIIEncoding.GetBytes` is applied to the secret too; the plain reading takes its UTF-8."""
    assert signature.verify(PLAIN, hmac.new(b"p?ss", PLAIN, hashlib.sha256).hexdigest(), ["päss"]) == "dotnet-ascii"
    assert signature.verify(PLAIN, hmac.new("päss".encode(), PLAIN, hashlib.sha256).hexdigest(), ["päss"]) == "raw"


@given(st.text())
def test_the_dotnet_reading_is_one_mark_for_each_utf16_unit(text: str) -> None:
    """Checked against a slow reading of the definition."""
    body = text.encode("utf-8", "replace")
    units = body.decode("utf-8").encode("utf-16-le")
    codes = [int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2)]
    marked = bytes(code if code < 0x80 else ord("?") for code in codes)

    assert signature.sign(body, "s") == hmac.new(b"s", marked, hashlib.sha256).hexdigest().upper()


@given(st.binary(), st.none() | st.text(), st.lists(st.text(), max_size=3))
def test_junk_verifies_as_nothing(body: bytes, header: str | None, secrets: list[str]) -> None:
    """Total over hostile input: any bytes, any header, any secret."""
    assert signature.verify(body, header, secrets) is None


@given(st.binary(), st.text(min_size=1))
def test_what_is_signed_verifies(body: bytes, secret: str) -> None:
    """Any body, any secret."""
    assert signature.verify(body, signature.sign(body, secret), [secret]) is not None
