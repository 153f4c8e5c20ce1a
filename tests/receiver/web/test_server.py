"""The listening socket says in one sentence why it cannot listen."""

import socket

import pytest

from receiver.core.errors import SettingsError
from receiver.web import server
from tests.receiver.web.running import Start


def test_a_port_in_use_is_one_sentence() -> None:
    """Where, what, remedy."""
    with server.listen("127.0.0.1", 0)[0] as first:
        port = first.getsockname()[1]

        with pytest.raises(
            SettingsError, match=rf"^cannot listen on 127\.0\.0\.1 port {port}: something else .*FRONTDESK_PORT"
        ):
            server.listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("192.0.2.1", "^cannot listen on 192.0.2.1 port 0: this machine has no such address; set FRONTDESK_HOST$"),
        ("no host", "^FRONTDESK_HOST: cannot listen on 'no host': "),
        ("x" * 300, "^FRONTDESK_HOST: cannot listen on 'xxx"),
    ],
)
def test_an_address_that_is_not_ours_is_one_sentence(host: str, sentence: str) -> None:
    """Not a traceback."""
    with pytest.raises(SettingsError, match=sentence):
        server.listen(host, 0)


def test_the_double_colon_is_every_address() -> None:
    """`::` takes IPv4 too, whatever the machine's default."""
    try:
        (listener,) = server.listen("::", 0)
    except SettingsError:
        pytest.skip("this machine has no IPv6")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5):
        pass


@pytest.mark.parametrize(("soft", "hard", "lowered"), [(100, 8_192, None), (100, 200, 100), (200, 200, 100)])
def test_as_many_connections_as_there_may_be_open_files(
    start: Start, soft: int, hard: int, lowered: int | None
) -> None:
    """The soft limit is raised; where the hard one is too low, connections are fewer and a line tells the remedy."""
    running = start(
        limits={"prompt_s": 0}, prefix=["sh", "-c", f'ulimit -S -n {soft}; ulimit -H -n {hard}; exec "$@"', "sh"]
    )
    held = [running.connect() for _ in range(250)]

    assert running.request("GET", "/healthz").status == 200

    for connection in held:
        connection.close()
    running.process.terminate()
    assert running.process.wait(30) == 0
    told = [line for line in running.logged() if line["event"] == "connections.lowered"]
    assert [line["connections"] for line in told] == ([] if lowered is None else [lowered])
    assert all("ulimit -n" in line["remedy"] for line in told)


def test_a_name_is_listened_at_on_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `localhost` is 127.0.0.1 and ::1: at one port; an address that this machine has not is left out."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("192.0.2.1", "127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    listeners = server.listen("twofold", 0)

    assert [one.getsockname()[0] for one in listeners] == ["127.0.0.1", "127.0.0.2"]
    assert len({one.getsockname()[1] for one in listeners}) == 1
    for one in listeners:
        one.close()
