"""`frontdesk simulate --outage`: a newcomer switches the webhooks of a running simulator off."""

from receiver.nexudus.api.webhooks import Webhooks
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import free_port, run

HOOK = {"BusinessId": 1001, "Name": "n", "Action": 6, "URL": "https://a.example/", "Active": True}


def test_an_outage_begins_in_the_simulator_that_runs(nexudus: SimulatedNexudus) -> None:
    """Found by its port, or by the setting that leads to it."""
    with nexudus.client() as client:
        Webhooks(client).create(HOOK)
    port = nexudus.url.rpartition(":")[2]

    by_port = run("simulate", "--port", port, "--outage", "1m")
    assert (by_port.status, by_port.err) == (0, "")
    assert by_port.out == f"The webhooks at {nexudus.url} are off for 60 s; events go on without them.\n"
    assert [hook["Active"] for hook in nexudus.hooks()] == [False]
    assert 0 < nexudus.state()["outage"]["seconds"] <= 60

    by_setting = run("simulate", "--outage", "2h", settings={"FRONTDESK_NEXUDUS_URL": nexudus.url})
    assert by_setting.status == 0
    assert nexudus.state()["outage"]["seconds"] > 7_000


def test_what_cannot_be_is_one_sentence(nexudus: SimulatedNexudus) -> None:
    """No simulator, no duration, one that is too long."""
    port = nexudus.url.rpartition(":")[2]

    nobody = run("simulate", "--port", str(free_port()), "--outage", "1m")
    no_unit = run("simulate", "--port", port, "--outage", "x")
    too_long = run("simulate", "--port", port, "--outage", "2d")

    for ran in (nobody, no_unit, too_long):
        assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "start frontdesk simulate or up --demo" in nobody.err
    assert "--outage" in no_unit.err
    assert "does not begin an outage" in too_long.err
    assert nexudus.state()["outage"] == {"seconds": 0}
