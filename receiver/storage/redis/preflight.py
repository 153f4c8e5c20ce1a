"""Checks that the server is configured to lose no data: once at the start, and while Frontdesk runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import redis

from receiver.core.errors import StorageUnavailable
from receiver.storage.redis.store_client import guarded

LEAST_VERSION: Final = (6, 2)
"""The oldest version of Redis that works; Valkey reports the Redis version with which it is compatible. It introduced
LPOP with a count."""

WATCHED: Final = ("append-only", "eviction")
"""Settings that can be changed while the server runs, and that can then lose events: see `unfit`."""


@dataclass(frozen=True, slots=True)
class Fitness:
    """One sentence for each requirement that a server does not meet, and for each that we are not allowed to check."""

    wrong: tuple[str, ...]
    unknown: tuple[str, ...]


class _Unknown(str):
    """A sentence about something that could not be checked."""

    __slots__ = ()

    @classmethod
    def of(cls, what: str, why: str, remedy: str) -> Self:
        return cls(f"could not find out {what}, because {why}; make sure that {remedy}")


def look(client: redis.Redis) -> Fitness:
    """Return whether the server meets the requirements. Changes nothing. Raises StorageUnavailable.

    A managed store does not allow reading its configuration; the operator then has to check it.
    """
    try:
        about, fsync = _about(client), _config(client, "appendfsync")
        scripts = _scripts(client)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StorageUnavailable(
            f"the server does not answer: {error}; start it, or correct FRONTDESK_REDIS_URL"
        ) from None
    if isinstance(about, str):
        what = "version, append-only file, eviction policy and role"
        remedy = "it is 6.2 or later, a primary, with appendonly yes and maxmemory-policy noeviction"
        found: list[str] = [_Unknown.of(what, about, remedy)]
    else:
        found = [*_version(about), *_role(about), *_append_only(about), *_eviction(about)]
    found += [*_fsync(fsync), *scripts]
    unknown = tuple(each for each in found if isinstance(each, _Unknown))
    return Fitness(tuple(each for each in found if not isinstance(each, _Unknown)), unknown)


def unfit(client: redis.Redis) -> dict[str, str]:
    """Return which of WATCHED the running server does not meet, each with one sentence.

    A setting that cannot be read counts as met; `look` names those. Raises StorageUnavailable.
    """
    with guarded():
        about = _about(client)
    if isinstance(about, str):
        return {}
    judged = {"append-only": (_append_only, "aof_enabled"), "eviction": (_eviction, "maxmemory_policy")}
    found = ((name, judge(about)) for name, (judge, field) in judged.items() if field in about)
    return {name: sentences[0] for name, sentences in found if sentences}


def _about(client: redis.Redis) -> Mapping[str, Any] | str:
    """Return the reply to INFO, or why the server refused it."""
    try:
        return dict(client.info())
    except redis.ResponseError as error:
        return f"INFO is refused ({error})"


def _config(client: redis.Redis, name: str) -> tuple[str | None, str]:
    """Return one option of the server, or None and why it is unknown."""
    try:
        value = client.config_get(name).get(name)
    except redis.ResponseError as error:
        return None, f"CONFIG is not allowed ({error})"
    return (None if value is None else str(value)), "the server does not say"


def _scripts(client: redis.Redis) -> list[str]:
    try:
        client.eval("return 1", 0)
    except redis.ResponseError as error:
        return [f"Lua scripts are refused ({error}); allow EVAL, EVALSHA and SCRIPT to this user"]
    return []


def _version(about: Mapping[str, Any]) -> list[str]:
    text = str(about.get("redis_version", ""))
    digits = text.split(".")[:2]
    if len(digits) < 2 or not all(part.isdigit() for part in digits):
        return [_Unknown.of("the version", "the server does not say", "it is 6.2 or later")]
    if tuple(int(part) for part in digits) < LEAST_VERSION:
        return [f"the server is version {text}; it must be Redis 6.2 or later, or Valkey"]
    return []


def _role(about: Mapping[str, Any]) -> list[str]:
    found = []
    if about.get("cluster_enabled"):
        found.append("the server is part of a cluster; Frontdesk needs one primary, with Sentinel if it must not fail")
    if about.get("role") not in (None, "master"):
        found.append("the server is a read-only replica; name its primary, or the sentinels")
    return found


def _append_only(about: Mapping[str, Any]) -> list[str]:
    enabled = about.get("aof_enabled")
    if enabled is None:
        remedy = "it keeps every write on disk (appendonly yes)"
        return [_Unknown.of("whether writes are kept on disk", "the server does not say", remedy)]
    if not enabled:
        return ["the append-only file is off: a restart of the server loses events; set appendonly yes"]
    if about.get("aof_last_write_status", "ok") != "ok":
        return ["the server cannot write its append-only file; see its log and the space on its disk"]
    return []


def _eviction(about: Mapping[str, Any]) -> list[str]:
    policy = about.get("maxmemory_policy")
    if policy is None:
        remedy = "maxmemory-policy is noeviction"
        return [_Unknown.of("maxmemory-policy", "the server does not say", remedy)]
    if policy != "noeviction":
        return [f"maxmemory-policy is {policy}: a full server throws events away; set noeviction"]
    return []


def _fsync(fsync: tuple[str | None, str]) -> list[str]:
    value, why = fsync
    if value is None:
        remedy = "it is everysec or always"
        return [_Unknown.of("appendfsync", why, remedy)]
    if value not in ("everysec", "always"):
        return [f"appendfsync is {value}: a crash of the machine loses half a minute; set everysec or always"]
    return []
