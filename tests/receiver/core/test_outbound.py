"""Proxies and certificates that the environment names: what is wrong is one sentence with the variable's name."""

import json
from pathlib import Path

import pytest

from receiver.core import outbound
from receiver.core.errors import NexudusError, SettingsError
from receiver.nexudus.api.call_limits import LocalBudget
from receiver.nexudus.api.client import Call, Client, Patience
from receiver.nexudus.api.oauth import BearerToken
from tests.support import processes

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
UNUSABLE = [
    (
        "ALL_PROXY",
        "socks5://me:hush@127.0.0.1:1",
        "SOCKS proxies need a package that is not installed; install socksio",
    ),
    ("HTTP_PROXY", "http://me:hush@127.0.0.1:port", "is not the URL of a proxy; write http://HOST:PORT"),
    ("https_proxy", "::hush::", "is not the URL of a proxy; write http://HOST:PORT"),
    ("HTTPS_PROXY", "ftp://hush", "this kind of proxy is not supported; write http://HOST:PORT"),
    ("SSL_CERT_FILE", "/missing", "cannot read certificates from '/missing': No such file or directory; correct"),
    ("SSL_CERT_FILE", __file__, "cannot read certificates from .*; correct the path, or unset it"),
]


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _client(url: str = "http://127.0.0.1:9") -> Client:
    patience = Patience(attempts=1, connect_s=5)
    return Client(url, BearerToken("hush"), LocalBudget(100, 100), patience=patience)


@pytest.mark.parametrize(("name", "value", "sentence"), UNUSABLE)
def test_a_client_that_cannot_be_made_says_whose_fault_it_is(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a fault of ours; and a proxy's password is not shown."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"^{name}: {sentence}") as raised:
        _client()

    assert "hush" not in str(raised.value)


def test_no_answer_through_a_proxy_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody thinks of it otherwise; a host that NO_PROXY exempts is reached without it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with _client("http://nexudus.invalid") as client, pytest.raises(NexudusError, match="proxy right that HTTP_PROXY"):
        client.do(Call("GET", "/api"))

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with _client() as client, pytest.raises(NexudusError, match="is FRONTDESK_NEXUDUS_URL right"):
        client.do(Call("GET", "/api"))


def test_check_names_them(tmp_path: Path) -> None:
    """As warnings: what needs no client works all the same."""
    (tmp_path / "routes.yaml").write_text("routes: []\n")
    given = {"FRONTDESK_WEBHOOK_SECRETS": "hush", "ALL_PROXY": "socks5://127.0.0.1:1", "SSL_CERT_FILE": "/missing"}

    ran = processes.run("check", "--json", settings=given, cwd=tmp_path)

    assert [warning.partition(":")[0] for warning in json.loads(ran.out)["warnings"]] == ["ALL_PROXY", "SSL_CERT_FILE"]


def test_what_is_usable_is_left_alone() -> None:
    """With and without a scheme; nothing set; capital and small letters."""
    for value in ("proxy:3128", "http://me:hush@proxy:3128", "https://proxy"):
        assert not list(outbound.problems({"HTTPS_PROXY": value, "http_proxy": value}))
    assert not list(outbound.problems({}))
