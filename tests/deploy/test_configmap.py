"""routes.yaml in a ConfigMap: a real receiver and a real worker follow it when the kubelet exchanges the folder."""

import json
from pathlib import Path

from tests.conftest import StartFrontdesk
from tests.support.processes import PATIENT, free_port, run, wait_until

BEFORE = "routes: [{action: CoworkerCreate, handler: log}]\n"
AFTER = "routes: [{action: CoworkerCreate, handler: log}, {name: new, action: BookingCreate, handler: log}]\n"
WRONG = "routes: [{action: NoSuchAction, handler: log}]\n"


class ConfigMap:
    """A mounted one: routes.yaml links to ..data/routes.yaml, and ..data to a folder of its own, as kubelets do it."""

    def __init__(self, mount: Path, text: str) -> None:
        self.mount = mount
        self._day = 0
        mount.mkdir()
        self.update(text)
        (mount / "routes.yaml").symlink_to("..data/routes.yaml")

    def update(self, text: str) -> None:
        """Write the new folder, turn ..data to it at once, and remove the old one."""
        before = self.mount / f"..2026_11_21_{self._day:02}"
        self._day += 1
        today = self.mount / f"..2026_11_21_{self._day:02}"
        today.mkdir()
        (today / "routes.yaml").write_text(text)
        (self.mount / "..data_tmp").symlink_to(today.name)
        (self.mount / "..data_tmp").replace(self.mount / "..data")
        if before.exists():
            (before / "routes.yaml").unlink()
            before.rmdir()


def test_an_update_is_taken_up_without_a_restart(redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """Several in a row, a wrong one among them, which changes nothing; then events go by the new table."""
    mounted = ConfigMap(tmp_path / "mount", BEFORE)
    port = str(free_port())
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_PORT": port,
        "FRONTDESK_URL_KEYS": "a key",
        "FRONTDESK_ROUTES": str(mounted.mount / "routes.yaml"),
        "FRONTDESK_LOG_FORMAT": "json",
        **PATIENT,
    }
    receiver, work = frontdesk("serve", settings=settings), frontdesk("work", settings=settings)
    receiver.wait_for_http(f"http://127.0.0.1:{port}/readyz")
    work.wait_for("worker.started")
    assert "accepted" in run("send", "BookingCreate", settings=settings).out

    mounted.update(WRONG)
    receiver.wait_for("routes.refused")
    mounted.update(AFTER)
    for process in (receiver, work):
        process.wait_for('"routes":2,"event":"routes.reloaded"')
    assert "accepted" in run("send", "BookingCreate", settings=settings).out

    def statuses() -> list[str]:
        listed = run("events", "--action", "BookingCreate", "--json", settings=settings).out
        return [json.loads(line)["status"] for line in listed.splitlines()]

    wait_until(lambda: statuses() == ["succeeded", "unrouted"], lambda: f"the new route: {statuses()}")
