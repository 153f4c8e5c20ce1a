"""Parses the URL of the server strictly. Pure; errors never repeat the URL, because it may contain a password."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from receiver.core.errors import SettingsError
from receiver.core.suggest import nearest

NAME = "FRONTDESK_REDIS_URL"

TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs"}
    | {"ssl_check_hostname"}
)
"""Query parameters of `rediss://` and `rediss+sentinel://`, spelled as redis-py spells them."""

_SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_FALSE = frozenset({"0", "f", "false", "n", "no"})


@dataclass(frozen=True, slots=True, repr=False)
class RedisUrl:
    """A parsed URL. *hosts* are the server (one) or the sentinels (one to 16); *service* None: no sentinels.

    *username* and *password* sign in to the server; the sentinels have their own, often none.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    service: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: tuple[tuple[str, str | bool], ...] | None = None

    def __str__(self) -> str:
        """Return the address without user, password and options: fit for logs and terminals."""
        if self.path is not None:
            return f"unix://{quote(self.path, errors='surrogateescape')}" + (f"?db={self.db}" if self.db else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        scheme = "redis" if self.tls is None else "rediss"
        return (
            f"{scheme}+sentinel://{hosts}/{self.service}/{self.db}" if self.service else f"{scheme}://{hosts}/{self.db}"
        )

    __repr__ = __str__


def parse(url: str) -> RedisUrl:
    """Parse a server's URL.

    `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS_OPTIONS in the query, `unix:///path?db=0`,
    `redis+sentinel://[user:password@]host[:port],...[/service[/db]]` (service `mymaster`, ports 26379) with
    `sentinel_username` and `sentinel_password` in the query, and `rediss+sentinel://`, where sentinels
    and servers both speak TLS. Raises SettingsError.
    """
    scheme, colon, rest = url.strip().partition("://")
    if not colon or scheme not in _SCHEMES:
        raise _wrong(f"must start with one of {', '.join(f'{known}://' for known in _SCHEMES)}")
    rest, _, query = rest.partition("?")
    if scheme == "unix":
        return _unix(rest, query)
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    sentinel = scheme.endswith("+sentinel")
    tls = scheme.startswith("rediss")
    options = _options(query, allowed={"db", *(TLS_OPTIONS if tls else ()), *(_SENTINEL_OPTIONS if sentinel else ())})
    if sentinel:
        service, _, number = path.strip("/").partition("/")
    else:
        service, number = "", path.strip("/")
    username, password = _login(login)
    return RedisUrl(
        hosts=_hosts(hosts, default_port=26379 if sentinel else 6379, most=16 if sentinel else 1),
        service=(_service(service) if sentinel else None),
        db=_database(options.get("db", number)),
        username=username,
        password=password,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        tls=_tls(options) if tls else None,
    )


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"{NAME}: {what}")


def _unix(rest: str, query: str) -> RedisUrl:
    login, _, path = rest.partition("@") if "@" in rest.partition("/")[0] else ("", "", rest)
    if not path.startswith("/"):
        raise _wrong("unix:// needs an absolute path, as in unix:///run/valkey.sock")
    options = _options(query, allowed={"db", "password"})
    username, password = _login(login)
    return RedisUrl(
        path=unquote(path, errors="surrogateescape"),
        db=_database(options.get("db", "")),
        username=username,
        password=options.get("password", password),
    )


def _options(query: str, *, allowed: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=32) if query.count("&") < 32 else [])
    if query and not options:
        raise _wrong("the part behind ? cannot be read; write name=value&name=value")
    for name in options:
        if name not in allowed:
            near = nearest(name, allowed)
            hint = f"; did you mean {near}?" if near else f"; known here: {', '.join(sorted(allowed))}"
            # The option is not repeated: after a ? in an unescaped password, it would be the rest of the password.
            raise _wrong(f"an option behind ? is not one of this kind of URL{hint}")
    return options


def _login(login: str) -> tuple[str | None, str | None]:
    username, _, password = login.partition(":")
    return unquote(username) or None, unquote(password) or None


def _hosts(text: str, *, default_port: int, most: int) -> tuple[tuple[str, int], ...]:
    parts = text.split(",")
    if len(parts) > most:
        raise _wrong(
            "names several hosts; only redis+sentinel:// takes a list" if most == 1 else f"more than {most} hosts"
        )
    hosts = []
    for part in parts:
        # The host is not repeated in the error: a password with an unescaped @ or / could be part of it.
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]:@/?#]+))(?::(\d{1,5}))?", part)
        port = int(found[3] or default_port) if found else 0
        if not found or not 0 < port < 65536:
            raise _wrong(
                "cannot read host and port; write host:port, and percent-encode @ : / ? # in user and password"
            )
        hosts.append((found[1] or unquote(found[2]), port))
    return tuple(hosts)


def _service(text: str) -> str:
    if not text:
        return "mymaster"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
        raise _wrong("the sentinels' service name may hold letters, digits and . _ - only")
    return text


def _database(text: str) -> int:
    if not re.fullmatch(r"\d{0,5}", text):
        raise _wrong("the database must be a number, as in redis://localhost:6379/0")
    return int(text or 0)


def _tls(options: dict[str, str]) -> tuple[tuple[str, str | bool], ...]:
    requirement = options.get("ssl_cert_reqs", "required")
    if requirement not in ("none", "optional", "required"):
        raise _wrong("ssl_cert_reqs must be none, optional or required")
    values: dict[str, str | bool] = {name: options[name] for name in TLS_OPTIONS & options.keys()}
    if "ssl_check_hostname" in options:
        values["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in _FALSE
    if requirement == "none":
        values["ssl_check_hostname"] = False  # Python refuses to check a name without checking the certificate
    return tuple(sorted(values.items()))
