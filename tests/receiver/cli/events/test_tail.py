"""`tail` follows events through whatever happens to the store."""

import json
from itertools import count

from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk, StartValkey
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until


def test_a_store_that_restarts_is_waited_for(start_valkey: StartValkey, frontdesk: StartFrontdesk) -> None:
    """What comes afterwards is told, what came before is not told again, and the wait is told once."""
    server = start_valkey("--appendonly", "yes", "--appendfsync", "always")
    number = count()
    tail = frontdesk("tail", "--json", settings={"FRONTDESK_REDIS_URL": server.url})
    with connection.connect(server.url) as client:

        def is_following() -> bool:
            keep_all(client, entry(b"%d" % next(number)))
            return '"id"' in tail.output

        wait_until(is_following, "the first line")
    server.kill()
    tail.wait_for("waiting for it")

    server.start_again()
    last = entry(b"last")
    with connection.connect(server.url) as client:
        wait_until(client.ping, "the store")
        keep_all(client, last)
    tail.wait_for(last.envelope.id)

    lines = tail.output.splitlines()
    told = [json.loads(line)["id"] for line in lines if line.startswith("{")]
    assert len(told) == len(set(told))
    assert sum("waiting for it" in line for line in lines) == 1
