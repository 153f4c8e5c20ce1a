"""`frontdesk release`, as an operator calls it."""

import json
from pathlib import Path

import pytest
import redis

from receiver.nexudus import signature
from tests.support.events import entry, keep_all
from tests.support.processes import Ran, run


def frontdesk(redis_url: str, folder: Path, *arguments: str, secrets: str = "s3cr3t") -> Ran:
    """Run one command on this server, with one route and these shared secrets."""
    routes = folder / "routes.yaml"
    routes.write_text("routes: [{action: '*', handler: log}]", encoding="utf-8")
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(routes),
        "FRONTDESK_WEBHOOK_SECRETS": secrets,
    }
    return run(*arguments, settings=settings)


def test_release_counts_then_releases_and_records_the_act(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """A dry run changes nothing; what stays is named; forced, it goes too."""
    forged, junk = entry(b'[{"Id":1}]', quarantine="?"), entry(b"junk", quarantine="?", action="BookingUpdate")
    keep_all(client, forged, junk)

    dry = json.loads(frontdesk(redis_url, tmp_path, "release", "--dry-run", "--force", "--json").out)
    stays = json.loads(frontdesk(redis_url, tmp_path, "release", "--yes", "--json").out)
    forced = frontdesk(redis_url, tmp_path, "release", forged.envelope.id, "--force", "--yes")
    named = frontdesk(redis_url, tmp_path, "release", junk.envelope.id, forged.envelope.id, "--yes")
    other = json.loads(frontdesk(redis_url, tmp_path, "release", "--action", "BookingCreate", "--yes", "--json").out)
    acts = [json.loads(line) for line in frontdesk(redis_url, tmp_path, "acts", "--json").out.splitlines()]

    assert (dry["checked"], dry["released"], dry["dry_run"]) == (2, 1, True)
    assert [one["id"] for one in dry["kept"]] == [junk.envelope.id]
    assert "not JSON" in dry["kept"][0]["reason"]
    assert (stays["released"], {one["id"]: one["reason"] for one in stays["kept"]}) == (
        0,
        dict.fromkeys((forged.envelope.id, junk.envelope.id), f"{signature.HEADER} is missing"),
    )
    assert (forced.status, forced.out) == (0, "1 of 1 quarantined requests released.\n")
    assert (named.status, named.out) == (1, "0 of 2 quarantined requests released.\n")
    assert f"frontdesk: {junk.envelope.id} stays: " in named.err
    assert f"frontdesk: {forged.envelope.id} stays: it is not quarantined" in named.err
    assert other["checked"] == 0
    assert [act["what"] for act in acts] == ["release"] * 4
    assert acts[2]["detail"] == {"requests": 1, "force": True}
    shown = json.loads(frontdesk(redis_url, tmp_path, "show", forged.envelope.id, "--json").out)
    assert (shown["status"], shown["data"]) == ("in_flight", {"Id": 1})


@pytest.mark.parametrize("secrets", ["", "1002=another"])
def test_a_shell_without_the_secret_releases_no_forgery(
    redis_url: str, client: redis.Redis, tmp_path: Path, secrets: str
) -> None:
    """It says which setting is missing, and fails; what was set aside for another reason goes. `try` runs neither."""
    forged = entry(b'{"Id":1}', quarantine=f"{signature.HEADER} does not match")
    other = entry(b'{"Id":2}', quarantine="the body cannot be read")
    keep_all(client, forged, other)

    tried = frontdesk(redis_url, tmp_path, "try", "log", forged.envelope.id, secrets=secrets)
    dry = frontdesk(redis_url, tmp_path, "release", "--dry-run", secrets=secrets)
    ended = frontdesk(redis_url, tmp_path, "release", "--yes", secrets=secrets)
    show = frontdesk(redis_url, tmp_path, "show", forged.envelope.id, "--json", secrets=secrets)
    acts = [json.loads(line) for line in frontdesk(redis_url, tmp_path, "acts", "--json").out.splitlines()]

    assert (tried.status, dry.status, ended.status) == (1, 1, 1)
    assert f"no record for a handler: {signature.HEADER} does not match" in tried.err
    assert ended.out == "1 of 2 quarantined requests released.\n"
    for told in (dry.err, ended.err):
        assert f"{forged.envelope.id} stays: {signature.HEADER} cannot be checked here" in told
        assert "FRONTDESK_WEBHOOK_SECRETS" in told
    assert json.loads(show.out)["status"] == "quarantined"
    assert [act["what"] for act in acts if act["what"] != "unmask"] == ["release"]
