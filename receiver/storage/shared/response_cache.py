"""A short-lived cache of Nexudus's answers: if many workers ask the same question, only one has to call Nexudus.

An answer may hold personal data. It expires after its time, and at once when any person is erased.
"""

import secrets
from dataclasses import dataclass
from typing import Literal

import redis

from receiver.storage.redis.store_client import StoreClient

LARGEST = 262_144
"""Bytes of an answer; a larger one is not cached."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """The result of a lookup. *kept*: *answer* is the cached answer. *fetch*: the caller has to call Nexudus and then
    `put`. *wait*: another worker is calling Nexudus."""

    state: Literal["kept", "fetch", "wait"]
    answer: bytes = b""
    generation: str = ""
    asked_ms: int = 0


class ResponseCache:
    """The cache that all workers share. Methods raise StorageUnavailable. Threads may share it."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "response_cache")

    @staticmethod
    def token() -> str:
        """Return a token that identifies one caller."""
        return secrets.token_hex(8)

    def take(self, name: str, token: str, *, fetch_ms: int, since_ms: int = 0) -> CacheLookup:
        """Look up an answer that was requested at *since_ms* (Unix ms) or later. A caller that fetches has
        *fetch_ms*."""
        state, *rest = self._calls.run("response_cache", "take", name, token, fetch_ms, since_ms)
        if state == b"kept":
            return CacheLookup("kept", rest[0])
        if state == b"fetch":
            return CacheLookup("fetch", generation=rest[0].decode(), asked_ms=int(rest[1]))
        return CacheLookup("wait")

    def put(self, name: str, token: str, taken: CacheLookup, answer: bytes, keep_ms: int) -> None:
        """Cache a fetched answer for *keep_ms*. An empty *answer*: there is none, and another worker may fetch it."""
        kept = answer if len(answer) <= LARGEST else b""
        self._calls.run("response_cache", "put", name, token, taken.generation, taken.asked_ms, keep_ms, kept)

    def forget(self, name: str) -> None:
        """Remove one answer because it is outdated."""
        self._calls.run("response_cache", "forget", name)

    def clear(self) -> int:
        """Remove all answers, also those that are being fetched; return how many there were."""
        return int(self._calls.run("response_cache", "clear"))
