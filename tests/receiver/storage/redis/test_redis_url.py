"""A server's URL is read strictly, and its password is never said back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from receiver.core.errors import SettingsError
from receiver.storage.redis import redis_url
from receiver.storage.redis.redis_url import RedisUrl


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", RedisUrl(hosts=(("localhost", 6379),))),
        ("redis://10.0.0.1:6380/3", RedisUrl(hosts=(("10.0.0.1", 6380),), db=3)),
        ("redis://h?db=2", RedisUrl(hosts=(("h", 6379),), db=2)),
        ("redis://[::1]:6380/0", RedisUrl(hosts=(("::1", 6380),))),
        ("redis://:pw@h", RedisUrl(hosts=(("h", 6379),), password="pw")),
        ("redis://u:p%40%2Fw@h:1/0", RedisUrl(hosts=(("h", 1),), username="u", password="p@/w")),
        ("rediss://h", RedisUrl(hosts=(("h", 6379),), tls=())),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_check_hostname=no",
            RedisUrl(hosts=(("h", 6379),), tls=(("ssl_ca_certs", "/ca.pem"), ("ssl_check_hostname", False))),
        ),
        (
            "rediss://h?ssl_cert_reqs=none",
            RedisUrl(hosts=(("h", 6379),), tls=(("ssl_cert_reqs", "none"), ("ssl_check_hostname", False))),
        ),
        ("unix:///run/v%20k.sock?db=1", RedisUrl(path="/run/v k.sock", db=1)),
        ("unix://u:p@/run/a@b", RedisUrl(path="/run/a@b", username="u", password="p")),
        ("unix:///run/v?password=p", RedisUrl(path="/run/v", password="p")),
        ("redis+sentinel://a", RedisUrl(hosts=(("a", 26379),), service="mymaster")),
        (
            "redis+sentinel://u:p@a:1,b:2,[::1]:3/front/4",
            RedisUrl(hosts=(("a", 1), ("b", 2), ("::1", 3)), service="front", db=4, username="u", password="p"),
        ),
        (
            "redis+sentinel://a:1,b/front?sentinel_username=su&sentinel_password=sp",
            RedisUrl(hosts=(("a", 1), ("b", 26379)), service="front", sentinel_username="su", sentinel_password="sp"),
        ),
        ("rediss+sentinel://a/front/1", RedisUrl(hosts=(("a", 26379),), service="front", db=1, tls=())),
    ],
)
def test_every_form_is_read(url: str, expected: RedisUrl) -> None:
    """Hosts, service, database, login and TLS options are where a reader of the documentation expects them."""
    assert redis_url.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "must start with one of redis://, rediss://"),
        ("localhost:6379", "must start with one of"),
        ("http://h", "must start with one of"),
        ("redis://", "cannot read host and port"),
        ("redis://h:0", "cannot read host and port"),
        ("redis://h:99999", "cannot read host and port"),
        ("redis://h:port", "cannot read host and port"),
        ("redis://a,b", r"only redis\+sentinel:// takes a list"),
        ("redis://h/first", "the database must be a number"),
        ("redis://h?db=-1", "the database must be a number"),
        ("redis://h?sockettimeout=1", "is not one of this kind of URL; known here: db"),
        ("redis://h?ssl_ca_certs=/x", "is not one of this kind of URL"),
        ("rediss://h?ssl_ca_cert=/x", r"did you mean ssl_ca_certs\?"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs must be none, optional or required"),
        ("unix://run/x", "needs an absolute path"),
        ("redis+sentinel://a/bad service/0", "service name may hold"),
        ("redis+sentinel://" + ",".join("abcdefghijklmnopqrstuvwxyz"), "more than 16 hosts"),
        ("redis://h?" + "&".join(f"a{n}=1" for n in range(100)), "cannot be read"),
    ],
)
def test_a_wrong_url_is_one_sentence(url: str, sentence: str) -> None:
    """Where, what, remedy."""
    with pytest.raises(SettingsError, match=f"^FRONTDESK_REDIS_URL: .*({sentence})"):
        redis_url.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:hush/hush@h:1/0",
        "redis://u:hush?hush@h",
        "redis://u:1?hush@h",
        "redis://u:hush:hush,h@h:1x/0",
        "redis+sentinel://u:hush@hush@a:b/0",
        "http://u:hush@h",
        "redis://u:hush@h/x?hu=hush",
        "unix://u:hush@run/x",
        "rediss+sentinel://h/s?sentinel_password=hush&ssl_cert_reqs=hush",
    ],
)
def test_an_error_never_repeats_the_password(url: str) -> None:
    """Not even where the URL is so broken that it is unclear which part the password is."""
    with pytest.raises(SettingsError) as caught:
        redis_url.parse(url)

    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:hush@h", "redis://h:6379/0"),
        ("rediss://u:hush@[::1]:1/2?ssl_password=hush", "rediss://[::1]:1/2"),
        ("unix://u:hush@/run/a%20b?db=3", "unix:///run/a%20b?db=3"),
        ("redis+sentinel://u:hush@a,b:1/s/4?sentinel_password=hush", "redis+sentinel://a:26379,b:1/s/4"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """Both `str` and `repr`, so that no log and no traceback tells."""
    assert (str(redis_url.parse(url)), repr(redis_url.parse(url))) == (shown, shown)


@given(st.text(max_size=200).map(lambda rest: "redis+sentinel://" + rest) | st.text(max_size=100))
@example("rediss://\x00?ssl_ca_certs=%ff")
@example("redis://[v1.x]:1")
def test_any_text_is_an_address_or_a_sentence(url: str) -> None:
    """The parser is total: never another exception."""
    try:
        shown = str(redis_url.parse(url))
    except SettingsError as error:
        shown = str(error)

    assert shown.startswith(("FRONTDESK_REDIS_URL: ", "redis", "unix"))
