"""What the headers of a browser and of proxies say to whoever signs in."""

import pytest
from starlette.requests import Request

from receiver.console.pages.signin import is_by_tls, is_foreign


def _request(**headers: str) -> Request:
    named = {"host": "desk.example"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "scheme": "http", "path": "/", "query_string": b"", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://desk.example"}, False),
        ({"origin": "http://desk.example", "host": "Desk.example:80"}, False),
        ({"origin": "http://desk.example:8001", "host": "desk.example:8001"}, False),
        ({"origin": "https://console.example", "x_forwarded_host": "console.example"}, False),
        ({"origin": "http://desk.example", "sec_fetch_site": "same-origin"}, False),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "http://desk.example:8002", "host": "desk.example:8001"}, True),
        ({"origin": "null"}, True),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"origin": "http://desk.example", "sec_fetch_site": "same-site"}, True),
    ],
    ids=str,
)
def test_another_site_is_known_by_its_origin_where_the_browser_says_no_more(
    headers: dict[str, str], foreign: bool
) -> None:
    """By plain HTTP, browsers send no Sec-Fetch-Site."""
    assert is_foreign(_request(**headers)) is foreign


@pytest.mark.parametrize(
    ("told", "by_tls"),
    [("https", True), ("https,https", True), ("HTTPS", True), ("https, http", True), ("http", False)],
)
def test_tls_is_known_however_proxies_write_it(told: str, by_tls: bool) -> None:
    """The first of a list is what the browser spoke."""
    assert is_by_tls(_request(x_forwarded_proto=told)) is by_tls
