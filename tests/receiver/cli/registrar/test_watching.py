"""watch as a command: real processes against a simulated Nexudus, a real Redis, a real receiver."""

import os
import signal
from pathlib import Path

import orjson

from receiver.storage.redis import keys
from tests.conftest import StartFrontdesk
from tests.receiver.cli.registrar.registrations import (
    PAIRS,
    ROUTES,
    assert_converged,
    ours,
    start_receiver,
)
from tests.support.nexudus import SimulatedNexudus
from tests.support.processes import Valkey, free_port, run, wait_until


def test_registrations_carry_deliveries(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """From apply to kept events: Nexudus fires what is registered, the receiver takes it, hooks says when."""
    start_receiver(settings, frontdesk)
    run("apply", "--yes", settings=settings)

    assert nexudus.fire(1001, "BookingCreate", 3) == 3
    assert nexudus.fire(1002, "CoworkerInvoiceRefund") == 1
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 4, "four deliveries")

    rows = [orjson.loads(line) for line in run("hooks", "--json", settings=settings).out.splitlines()]
    assert {(row["business_id"], row["action"]) for row in rows if row["last_received_at"]} == {
        (1001, "BookingCreate"),
        (1002, "CoworkerInvoiceRefund"),
    }
    events = [orjson.loads(line) for line in run("events", "--json", settings=settings).out.splitlines()]
    assert sorted(event["action"] for event in events) == ["BookingCreate"] * 3 + ["CoworkerInvoiceRefund"]


def test_the_watch_finds_what_nexudus_disabled_and_brings_it_back(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Ten strikes disable a hook; it stays so while the receiver is away, and is back when the probe is answered."""
    receiver = start_receiver(settings, frontdesk)
    watch = frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(lambda: len(ours(nexudus)) == PAIRS, "all hooks")
    receiver.kill()
    nexudus.fire(1001, "BookingCreate")
    held = watch.wait_for(r'"action":"BookingCreate".*the receiver cannot be reached at .*registration.held')
    assert [hook["Action"] for hook in ours(nexudus) if not hook["Active"]] == [6], held[0]

    start_receiver(settings, frontdesk)
    watch.wait_for(r"registration.reenabled")

    assert nexudus.fire(1001, "BookingCreate") == 1
    wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "a delivery")
    assert "/hooks/1001/BookingCreate" not in watch.output, "tokens and URLs are not for logs"
    watch.signal(signal.SIGHUP)  # a closed terminal ends it in order too
    assert watch.wait() == 0
    assert_converged(nexudus, settings)


def test_each_act_of_the_watch_is_one_line(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Named for what was done, with the business, the action and the hook; never a URL, whose token is a secret."""
    start_receiver(settings, frontdesk)
    watch = frontdesk("watch", "--every", "200ms", settings=settings)
    wait_until(lambda: len(ours(nexudus)) == PAIRS, "all hooks")
    first = ours(nexudus)[0]
    nexudus.edit(first["Id"], Active=False, ErrorCount=10, LastError="500")
    watch.wait_for("registration.reenabled")
    assert watch.stop() == 0

    lines = [orjson.loads(line) for line in watch.output.splitlines()]
    created = [line for line in lines if line["event"] == "registration.created"]
    (reenabled,) = [line for line in lines if line["event"] == "registration.reenabled"]
    assert len({(line["business_id"], line["action"]) for line in created}) == len(created) == PAIRS
    assert (reenabled["business_id"], reenabled["hook_id"]) == (first["BusinessId"], first["Id"])
    assert {line["level"] for line in [*created, reenabled]} == {"info"}


def test_one_watch_leads_and_another_takes_over(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk
) -> None:
    """Of two replicas one stands by; when the leader ends, the other goes on, and sees an edit of the routes."""
    first = frontdesk("watch", "--every", "1h", settings=settings)
    first.wait_for("watch.leading")
    second = frontdesk("watch", "--every", "1h", settings=settings)
    second.wait_for("watch.standing_by")
    assert first.stop() == 0

    second.wait_for("registrar.reconciled")
    Path(settings["FRONTDESK_ROUTES"]).write_text("routes: [{action: NoSuchThing, handler: log}]")
    second.wait_for("routes.refused")
    Path(settings["FRONTDESK_ROUTES"]).write_text(ROUTES + "  - {name: teams, action: TeamCreated, handler: log}\n")

    wait_until(lambda: len(ours(nexudus)) == PAIRS + 2, "hooks for the new route")
    assert second.stop() == 0


def test_probes_see_both_the_leader_and_who_stands_by(
    settings: dict[str, str], frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """Each touches its file again and again."""
    files = [tmp_path / name / "watch.alive" for name in ("one", "other")]
    for file in files:
        frontdesk("watch", "--every", "200ms", settings={**settings, "FRONTDESK_DATA_DIR": str(file.parent)})
        wait_until(file.exists, f"{file}")

    for file in files:
        os.utime(file, (0, 0))
    wait_until(lambda: all(file.stat().st_mtime > 0 for file in files), "both to be touched again")


def test_what_is_no_longer_routed_stays_for_seven_days(
    nexudus: SimulatedNexudus, settings: dict[str, str], frontdesk: StartFrontdesk, valkey: Valkey
) -> None:
    """By the stamp that the first watch to see it left in Redis; its events meanwhile are kept and can be replayed."""
    port = settings["FRONTDESK_PORT"] = str(free_port())
    settings["FRONTDESK_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    assert run("watch", "--once", settings=settings).status == 0
    routes = Path(settings["FRONTDESK_ROUTES"])
    routes.write_text(ROUTES.replace('"Booking*"', "[BookingCreate, BookingUpdate]"))
    start_receiver(settings, frontdesk)
    active = {}
    for days, minutes in ((0, 0), (6, 1_439), (7, 0)):
        with valkey.client() as client:
            for hook in client.hkeys(keys.REGISTRAR_UNROUTED):
                stamp = int(client.time()[0]) * 1_000 - days * 86_400_000 - minutes * 60_000
                client.hset(keys.REGISTRAR_UNROUTED, hook, stamp)
        ran = run("watch", "--once", settings=settings)
        assert ran.status == 0, ran.err
        active[days] = sum(hook["Active"] for hook in ours(nexudus))
        if days == 6:
            assert nexudus.fire(1001, "BookingDelete") == 1
            wait_until(lambda: nexudus.state()["deliveries"]["delivered"] == 1, "a delivery")

    assert active == {0: PAIRS, 6: PAIRS, 7: PAIRS - 2}
    assert [hook["Action"] for hook in ours(nexudus) if not hook["Active"]] == [8, 8]
    (kept,) = [orjson.loads(line) for line in run("events", "--json", settings=settings).out.splitlines()]
    assert (kept["action"], kept["status"]) == ("BookingDelete", "unrouted")
    routes.write_text(ROUTES)
    replayed = orjson.loads(run("replay", "--status", "unrouted", "--yes", "--json", settings=settings).out)
    assert (replayed["events"], replayed["deliveries"]) == (1, 1)


def test_hooks_that_gather_errors_are_told_of(settings: dict[str, str], nexudus: SimulatedNexudus) -> None:
    """In the log of the watch, before Nexudus disables them; a URL in Nexudus's words does not show its token."""
    run("watch", "--once", settings=settings)
    (hook, *_) = ours(nexudus)
    nexudus.edit(hook["Id"], ErrorCount=4, LastError=f"POST {hook['URL']}: 502")

    ran = run("watch", "--once", settings=settings)

    told = [orjson.loads(line) for line in (ran.out + ran.err).splitlines() if "registration.failing" in line]
    assert [(one["hook_id"], one["error_count"], one["level"]) for one in told] == [(hook["Id"], 4, "warning")]
    assert told[0]["last_error"] == "POST https://hooks.example/hooks/... 502"
    assert hook["URL"].rpartition("/")[2] not in ran.out + ran.err


def test_a_watch_that_is_refused_waits(settings: dict[str, str], frontdesk: StartFrontdesk) -> None:
    """Its account may be mended while it runs; it does not end, and says nothing that is secret."""
    watch = frontdesk("watch", "--every", "1h", settings=settings | {"FRONTDESK_NEXUDUS_PASSWORD": "hush-hush"})

    watch.wait_for(r"Nexudus refused the credentials \(401\).*watch.refused")

    assert watch.is_running
    assert "hush-hush" not in watch.output
    assert watch.stop() == 0


def test_watch_once_is_for_cron(nexudus: SimulatedNexudus, settings: dict[str, str]) -> None:
    """One look, exit status 0 when all is well."""
    ran = run("watch", "--once", settings=settings)

    assert ran.status == 0, ran.err
    assert_converged(nexudus, settings)
