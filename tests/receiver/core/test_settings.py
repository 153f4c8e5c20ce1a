"""Settings are read once, closed to unknown names, and secrets stay secret."""

from pathlib import Path

import pytest

from receiver.core import settings
from receiver.core.errors import SettingsError


def test_defaults_are_the_published_ones() -> None:
    """Nothing set: the values of the documentation."""
    read = settings.from_environ({})

    assert (read.host, read.port, read.console_port) == ("127.0.0.1", 8000, 8001)
    assert (read.retention, read.retention_kept, read.dedup_window) == (604_800_000, 2_592_000_000, 86_400_000)
    assert (read.on_bad_signature, read.max_body, read.durability) == ("quarantine", 1_048_576, "local")
    assert (read.replicas, read.spool_max, read.store_patience) == (1, 1_073_741_824, 150)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"FRONTDESK_ROUTS": "x"}, r"^FRONTDESK_ROUTS is not a setting of Frontdesk; did you mean FRONTDESK_ROUTES\?$"),
        (
            {"FRONTDESK_URL_KEY": ""},
            r"^FRONTDESK_URL_KEY is not a setting of Frontdesk; did you mean FRONTDESK_URL_KEYS\?$",
        ),
        ({"FRONTDESK_PORT": "abc"}, "^FRONTDESK_PORT: .*valid integer"),
        ({"FRONTDESK_PORT": "70000"}, "^FRONTDESK_PORT: .*65535"),
        ({"FRONTDESK_RETENTION": "7 weeks"}, "^FRONTDESK_RETENTION: '7 weeks' is not a duration"),
        ({"FRONTDESK_PUBLIC_URL": "example.com"}, "^FRONTDESK_PUBLIC_URL: must be http"),
        ({"FRONTDESK_TRUSTED_PROXIES": "10.0.0.0/99"}, "^FRONTDESK_TRUSTED_PROXIES: "),
        (
            {"FRONTDESK_TRUSTED_PROXIES": "10.1.0.1, 10.0.0.1/8"},
            "^FRONTDESK_TRUSTED_PROXIES: 10.0.0.1/8 is one address in a network; write 10.0.0.0/8 .*, or 10.0.0.1$",
        ),
        ({"FRONTDESK_TRUSTED_PROXIES": "fd00::1/8"}, "^FRONTDESK_TRUSTED_PROXIES: .*; write fd00::/8 .*, or fd00::1$"),
        ({"FRONTDESK_URL_KEYS_FILE": "/nowhere"}, "^FRONTDESK_URL_KEYS_FILE: cannot read '/nowhere'"),
        ({"FRONTDESK_HOST_FILE": "/nowhere"}, "^FRONTDESK_HOST_FILE is not a setting"),
        ({"FRONTDESK_WEBHOOK_SECRETS": ","}, "^FRONTDESK_WEBHOOK_SECRETS: holds nothing but commas"),
        ({"FRONTDESK_TRUSTED_PROXIES": " , ,"}, "^FRONTDESK_TRUSTED_PROXIES: holds nothing but commas"),
        ({"FRONTDESK_DEDUP_WINDOW": "0"}, "FRONTDESK_DEDUP_WINDOW: must be between"),
        ({"FRONTDESK_STORE_PATIENCE": "1m"}, "FRONTDESK_STORE_PATIENCE: must be between 10ms and 10s"),
        ({"FRONTDESK_IDLE_TIMEOUT": "0"}, "FRONTDESK_IDLE_TIMEOUT: must be between 1s and 1d"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(environ: dict[str, str], sentence: str) -> None:
    """Where, what, remedy."""
    with pytest.raises(SettingsError, match=sentence):
        settings.from_environ(environ)


def test_an_address_may_stand_in_brackets() -> None:
    """As URLs write those of IPv6; a proxy's address alone, and a whole network, are right."""
    read = settings.from_environ({"FRONTDESK_HOST": "[::1]", "FRONTDESK_TRUSTED_PROXIES": "::1,10.0.0.0/8,10.1.2.3"})

    assert read.host == "::1"
    assert [str(network) for network in read.trusted_proxies] == ["::1/128", "10.0.0.0/8", "10.1.2.3/32"]


def test_a_refused_value_is_not_repeated_when_it_is_a_secret() -> None:
    """The error of a secret setting does not print it."""
    with pytest.raises(SettingsError) as caught:
        settings.from_environ(
            {"FRONTDESK_URL_KEYS": "hush-hush", "FRONTDESK_WEBHOOK_SECRETS": "hush"} | {"FRONTDESK_MAX_BODY": "hush"}
        )

    assert "hush" not in str(caught.value)


def test_what_kubernetes_injects_is_ignored() -> None:
    """Services called frontdesk, frontdesk-redis, frontdesk-console put FRONTDESK_ names into every pod."""
    injected = {
        "FRONTDESK_REDIS_SERVICE_HOST": "10.0.0.1",
        "FRONTDESK_REDIS_SERVICE_PORT": "6379",
        "FRONTDESK_REDIS_SERVICE_PORT_TCP_REDIS": "6379",
        "FRONTDESK_REDIS_PORT": "tcp://10.0.0.1:6379",
        "FRONTDESK_REDIS_PORT_6379_TCP": "tcp://10.0.0.1:6379",
        "FRONTDESK_REDIS_PORT_6379_TCP_PROTO": "tcp",
        "FRONTDESK_CONSOLE_PORT": "tcp://10.0.0.1:8001",
        "FRONTDESK_CONSOLE_PORT_8001_TCP": "tcp://10.0.0.1:8001",
        "FRONTDESK_DNS_PORT_53_UDP_ADDR": "10.0.0.1",
        "FRONTDESK_PORT": "tcp://10.0.0.1:8000",
        "FRONTDESK_SERVICE_HOST": "10.0.0.1",
        "FRONTDESK_SERVICE_PORT_HTTP": "8000",
        "FRONTDESK_PORT_8000_TCP_ADDR": "10.0.0.1",
    }

    assert settings.from_environ({}) == settings.from_environ(injected)


def test_a_name_that_only_looks_like_one_of_kubernetes_is_none() -> None:
    """Its setting counts, and a misspelt one is still told."""
    assert settings.from_environ({"FRONTDESK_CONSOLE_PORT": "8002"}).console_port == 8002
    for name in ("FRONTDESK_CONSOL_PORT", "FRONTDESK_PORT_X"):
        with pytest.raises(SettingsError, match=f"^{name} is not a setting"):
            settings.from_environ({name: "8002"})


def test_a_home_that_is_not_known_is_one_sentence() -> None:
    """As in a container, where the user has no entry and HOME is not set."""
    with pytest.raises(SettingsError, match="^FRONTDESK_DATA_DIR: begins with ~.*; write the whole path, or set HOME$"):
        settings.from_environ({"FRONTDESK_DATA_DIR": "~nobody-of-that-name/var"})


def test_an_empty_setting_is_not_set() -> None:
    """As Compose and Helm pass on what nobody has filled in."""
    empty = {"FRONTDESK_PORT": "", "FRONTDESK_URL_KEYS": "", "FRONTDESK_REDIS_URL_FILE": ""}

    assert settings.from_environ({}) == settings.from_environ(empty)


def test_a_secret_can_come_as_a_file_but_not_twice(tmp_path: Path) -> None:
    """NAME_FILE is the path of a file; with NAME beside it there would be two truths."""
    file = tmp_path / "keys"
    file.write_text("new-key,old-key\n")

    read = settings.from_environ({"FRONTDESK_URL_KEYS_FILE": str(file)})

    assert [key.get_secret_value() for key in read.url_keys] == ["new-key", "old-key"]
    with pytest.raises(SettingsError, match="both set; keep one"):
        settings.from_environ({"FRONTDESK_URL_KEYS_FILE": str(file), "FRONTDESK_URL_KEYS": "x"})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("FRONTDESK_WEBHOOK_SECRETS", "any,1001=", "business 1001 has an empty secret"),
        ("FRONTDESK_ADMIN_TOKEN", "jo=", "a name or a token is empty"),
        ("FRONTDESK_VIEWER_TOKEN", "=hush", "a name or a token is empty"),
        ("FRONTDESK_ADMIN_TOKEN", "hushhush==", "a name or a token is empty"),
    ],
)
def test_an_empty_secret_opens_nothing(name: str, value: str, sentence: str) -> None:
    """A forgotten value must not become a secret that everybody knows; and what was written is not shown."""
    with pytest.raises(SettingsError, match=sentence) as raised:
        settings.from_environ({name: value})

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("token", ["q0Zp5xWmS1yqg3y8yTn0hA==", "lYx0V3b0hQvJ8m3o0mXo6zq1E8QmZrT6sBzXk2v1n0A="])
def test_the_padding_of_base64_belongs_to_the_token(token: str) -> None:
    """`openssl rand -base64` ends so; read as name=token it would let in whoever types the sign =."""
    read = settings.from_environ({"FRONTDESK_ADMIN_TOKEN": f"{token},jo={token}"})

    pairs = [(one.name, one.token.get_secret_value()) for one in read.admin_token]
    assert pairs == [("operator", token), ("jo", token)]


def test_webhook_secrets_are_for_any_business_or_for_one() -> None:
    """`SECRET` or `BUSINESS=SECRET`; only digits before the sign name a business."""
    read = settings.from_environ({"FRONTDESK_WEBHOOK_SECRETS": "any, 1001 = one ,base64=="})

    pairs = [(secret.business_id, secret.secret.get_secret_value()) for secret in read.webhook_secrets]
    assert pairs == [(None, "any"), (1001, "one"), (None, "base64==")]


@pytest.mark.parametrize("around", ["{}", "\ufeff{}", "{}\r\n", "\r\n  {}\t\n", "\ufeff {}\n\n"])
def test_what_surrounds_a_value_is_no_part_of_it(around: str, tmp_path: Path) -> None:
    """What editors, `echo` and Windows leave before and behind it, in a file and in the environment."""
    file = tmp_path / "secret"
    file.write_bytes(around.format("hush").encode())

    read = settings.from_environ(
        {
            "FRONTDESK_WEBHOOK_SECRETS_FILE": f"{file}\r",
            "FRONTDESK_NEXUDUS_PASSWORD": around.format("hush"),
            "FRONTDESK_DATA_DIR": around.format("var"),
            "FRONTDESK_PORT": around.format("80"),
            "FRONTDESK_LOG_LEVEL": around.format("error"),
            "FRONTDESK_RETENTION": around.format("2d"),
        }
    )

    assert [secret.secret.get_secret_value() for secret in read.webhook_secrets] == ["hush"]
    assert read.nexudus_password is not None
    assert read.nexudus_password.get_secret_value() == "hush"
    assert (read.data_dir, read.port, read.log_level) == (Path("var"), 80, "error")
    assert read.retention == 2 * 86_400_000


def test_a_list_may_hold_one_value_on_each_line(tmp_path: Path) -> None:
    """As people write a file of secrets; commas go on to count."""
    file = tmp_path / "secrets"
    file.write_bytes(b"\xef\xbb\xbf1001=one\r\n1002=two,\r\n\r\n3rd,4th\r\n")

    read = settings.from_environ({"FRONTDESK_WEBHOOK_SECRETS_FILE": str(file)})

    pairs = [(secret.business_id, secret.secret.get_secret_value()) for secret in read.webhook_secrets]
    assert pairs == [(1001, "one"), (1002, "two"), (None, "3rd"), (None, "4th")]


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NEXUDUS_PASSWORD", '"hush"', "has quotation marks around a value"),
        ("WEBHOOK_SECRETS", "'hush'\n", "has quotation marks around a value"),
        ("WEBHOOK_SECRETS", '1001=a,1002="hush"', "has quotation marks around a value"),
        ("URL_KEYS", '"hush,hush2"', "has quotation marks around a value"),
        ("WEBHOOK_SECRETS", "# of Madrid\nhush", "begins with # like a comment"),
        ("WEBHOOK_SECRETS", "hush\n#hush2", "begins with # like a comment"),
        ("NEXUDUS_PASSWORD", "# the password", "begins with # like a comment"),
        ("NEXUDUS_PASSWORD", "hush\nhush", "holds 2 lines, but is a single value"),
        ("REDIS_URL", "redis://hush\r\nredis://hush", "holds 2 lines, but is a single value"),
        ("WEBHOOK_SECRETS", "hu\x00sh", r"holds the invisible character U\+0000"),
        ("ADMIN_TOKEN", "hush\u200b,other", r"holds the invisible character U\+200B"),
    ],
)
def test_a_value_that_nobody_can_have_meant_is_refused(
    name: str, value: str, sentence: str, as_file: bool, tmp_path: Path
) -> None:
    """It would be taken as it stands, and every signature would be wrong; the sentence does not show it."""
    (tmp_path / "file").write_text(value)
    given = (f"FRONTDESK_{name}_FILE", str(tmp_path / "file")) if as_file else (f"FRONTDESK_{name}", value)

    with pytest.raises(SettingsError, match=f"^{given[0]}: .*{sentence}.*; ") as raised:
        settings.from_environ(dict([given]))

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("NEXUDUS_PASSWORD", "#Passw0rd"), ("NEXUDUS_PASSWORD", "it's '"), ("NEXUDUS_PASSWORD", "Grüße 東京")],
)
def test_an_odd_secret_is_taken_as_it_is(name: str, value: str) -> None:
    """A sign that begins comments elsewhere, a quotation mark inside, letters of the world."""
    read = settings.from_environ({f"FRONTDESK_{name}": value})

    assert read.nexudus_password is not None
    assert read.nexudus_password.get_secret_value() == value


def test_a_path_may_hold_bytes_that_are_no_text() -> None:
    """The system hands them over as surrogates; with a line break inside it is still refused."""
    read = settings.from_environ({"FRONTDESK_DATA_DIR": "v\udce4r\r"})

    assert read.data_dir == Path("v\udce4r")
    with pytest.raises(SettingsError, match="holds 2 lines"):
        settings.from_environ({"FRONTDESK_DATA_DIR": "v\nr"})


def test_need_names_the_first_setting_that_is_missing() -> None:
    """Each process demands only what it uses."""
    with pytest.raises(SettingsError, match="^FRONTDESK_URL_KEYS is not set"):
        settings.from_environ({"FRONTDESK_PUBLIC_URL": "https://hooks.example"}).need("public_url", "url_keys")


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    """A settings object in a log or a traceback tells nothing."""
    read = settings.from_environ({"FRONTDESK_URL_KEYS": "hush", "FRONTDESK_WEBHOOK_SECRETS": "1=hush"})

    assert "hush" not in repr(read) + str(read)


def test_an_empty_file_with_the_address_of_the_store_is_refused(tmp_path: Path) -> None:
    """Unset means a server on this machine; a file that was to name one and does not is a mistake."""
    file = tmp_path / "redis-url"
    file.write_text("\n")

    with pytest.raises(
        SettingsError, match=r"^FRONTDESK_REDIS_URL_FILE: '.*redis-url' is empty; write the store's URL"
    ):
        settings.from_environ({"FRONTDESK_REDIS_URL_FILE": str(file)})
    assert settings.from_environ({"FRONTDESK_ALERT_URLS_FILE": str(file)}).alert_urls == ()
