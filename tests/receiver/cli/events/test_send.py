"""`frontdesk send` posts signed events through a real door and tells what became of them."""

import base64
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from tests.receiver.web.doorkeeper import KEYS
from tests.receiver.web.running import Running, Start, start
from tests.support.processes import Ran, run

__all__ = ["start"]


@pytest.fixture
def running(start: Start) -> Running:
    """A receiver that asks for signatures: one secret for any location, one for 1002 only."""
    return start(secrets=[[None, "s3cr3t"], [1002, "of-1002"]])


def _send(running: Running, *arguments: str, secrets: str = "s3cr3t", stdin: bytes = b"") -> Ran:
    settings = {
        "FRONTDESK_URL_KEYS": KEYS[0],
        "FRONTDESK_PORT": str(running.port),
        "FRONTDESK_HOST": "0.0.0.0",
        "FRONTDESK_WEBHOOK_SECRETS": secrets,
    }
    return run("send", *arguments, settings=settings, stdin=stdin)


def _bodies(running: Running) -> list[bytes]:
    return [base64.b64decode(kept["body"]) for kept in running.kept()]


def test_one_sample_is_sent_signed(running: Running) -> None:
    """The receiver verifies it; the command prints its id."""
    ended = _send(running, "HelDeskMessageCreated")

    (kept,) = running.kept()
    assert ended.status == 0
    assert ended.out == f"accepted: {kept['id']}\n"
    assert (kept["action_code"], kept["verified_by"]) == (45, "raw")


def test_many_samples_have_ids_of_their_own(running: Running) -> None:
    """None is a duplicate; the summary says how many and how fast."""
    ended = _send(running, "BookingCreate", "--count", "200", "--json")

    told = orjson.loads(ended.out)
    assert (ended.status, told["sent"], told["events"], told["refused"]) == (0, 200, {"accepted": 200}, {})
    assert [event["status"] for event in told["first"]] == ["accepted"] * 200
    assert sorted(told["milliseconds"]) == ["max", "p50", "p99"]
    assert len({orjson.loads(body)["Id"] for body in _bodies(running)}) == 200


def test_a_rate_is_kept(running: Running) -> None:
    """Twenty at a hundred a second take at least 190 ms."""
    told = orjson.loads(_send(running, "BookingCreate", "--count", "20", "--rate", "100", "--json").out)

    assert told["seconds"] >= 0.19


def test_a_file_is_sent_as_it_is(running: Running, tmp_path: Path) -> None:
    """Byte for byte, whatever it holds; an action of tomorrow too."""
    file = tmp_path / "body.json"
    file.write_bytes(b'[ {"Id":7,  "Price":0.09000} ]\n')

    assert _send(running, "RobotDances", str(file)).status == 0
    assert _send(running, "BookingCreate", "-", stdin=b"{broken").out.startswith("quarantined: ")
    assert _bodies(running) == [b'{"Id":7,  "Price":0.09000}', b"{broken"]


def test_a_file_sent_often_gets_ids(running: Running, tmp_path: Path) -> None:
    """Otherwise all but the first would be duplicates."""
    file = tmp_path / "body.json"
    file.write_bytes(b'[{"Id":7,"Name":"x"}]')

    ended = _send(running, "BookingCreate", str(file), "--count", "3")

    assert (ended.status, "3 accepted" in ended.out) == (0, True)
    assert [orjson.loads(body)["Name"] for body in _bodies(running)] == ["x"] * 3


def test_a_location_signs_with_its_own_secret(running: Running) -> None:
    """As its hooks at Nexudus do."""
    _send(running, "BookingCreate", "--business", "1002", secrets="wrong,1002=of-1002")

    (kept,) = running.kept()
    assert (kept["business_id"], kept["quarantine"]) == (1002, None)


def test_a_refusal_is_an_error(start: Start) -> None:
    """Exit status 1, and how many for which reason."""
    running = start(secrets=[[None, "s3cr3t"]], on_bad_signature="reject")

    ended = _send(running, "BookingCreate", "--count", "3", secrets="wrong")

    assert ended.status == 1
    assert ended.err == "frontdesk: 3 of 3 refused: 401 Unauthorized\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["BookingCraete"], "'BookingCraete' is not one of Nexudus's actions; did you mean BookingCreate?"),
        (["None"], "'None' is not one of Nexudus's actions"),
        (["a/b", "-"], "'a/b' cannot be an action"),
        (["BookingCreate", "/nowhere"], "/nowhere: cannot be read: No such file or directory"),
        (["BookingCreate", "-", "--count", "2"], "-: with --count it must hold one record: an empty body"),
        (["BookingCreate", "--cuont=2"], "--cuont=2 is not an option of send"),
        (["BookingCreate", "--count", "0"], "--count 0: must be between 1 and"),
        (["BookingCreate", "--rate", "0"], "--rate 0: must be above 0"),
        (["BookingCreate", "--rate", "nan"], "--rate nan: must be above 0"),
        (["BookingCreate", "--business", "-1"], "--business -1: a location is a positive whole number"),
        (["BookingCreate", "--url", "ftp://x"], "--url ftp://x: must begin with http:// or https://"),
        (["BookingCreate", "--url", "http://127.0.0.1:9"], "http://127.0.0.1:9: no receiver answers; start"),
    ],
)
def test_a_wrong_call_is_one_sentence(running: Running, arguments: Sequence[str], sentence: str) -> None:
    """Where, what, remedy; nothing is sent."""
    ended = _send(running, *arguments)

    assert ended.status == 1
    assert ended.err.startswith(f"frontdesk: {sentence}")
    assert ended.err.count("\n") == 1
    assert running.kept() == []
