"""The environment variables that every HTTP client reads its proxy and certificates from, and what is wrong with them.

They are not Frontdesk's own settings. The messages never quote a proxy's URL, which may hold a password.
"""

import contextlib
import importlib.util
import os
import ssl
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from receiver.core.errors import SettingsError

_NO_PROXY: Final = "is not the URL of a proxy; write http://HOST:PORT, or unset it"
_SOCKS: Final = ("socks5", "socks5h")


def problems(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield one sentence for each variable that no client can use."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        found = _named(name, environ)
        wrong = _wrong_proxy(environ[found]) if found else None
        if wrong:
            yield f"{found}: {wrong}"
    place = environ.get("SSL_CERT_FILE")
    if place:
        try:
            ssl.create_default_context(cafile=place)
        except OSError as error:
            reason = error.strerror or "no certificate in it"
            yield f"SSL_CERT_FILE: cannot read certificates from {place!r}: {reason}; correct the path, or unset it"


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Create an HTTP client in this context: if a variable makes that fail, SettingsError names it and the remedy."""
    try:
        yield
    except Exception as error:  # ImportError, OSError, ValueError; httpx2's InvalidURL is an Exception and nothing more
        sentence = next(problems(), None)
        if sentence is None:
            raise
        raise SettingsError(sentence) from error


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the variable that sets the proxy for requests to *url*; None: they use no proxy."""
    parts = urlsplit(url)
    found = _named(f"{parts.scheme}_proxy", environ) or _named("all_proxy", environ)
    return None if found is None or proxy_bypass(parts.hostname or "") else found


def _named(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable as it is spelt in the environment; lower case takes precedence over upper case."""
    return next((spelt for spelt in (name, name.upper()) if environ.get(spelt)), None)


def _wrong_proxy(value: str) -> str | None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return _NO_PROXY
    if not usable:
        return _NO_PROXY
    if parts.scheme in _SOCKS:
        if importlib.util.find_spec("socksio"):
            return None
        return "SOCKS proxies need a package that is not installed; install socksio, name an HTTP proxy, or unset it"
    return None if parts.scheme in ("http", "https") else "this kind of proxy is not supported; write http://HOST:PORT"
