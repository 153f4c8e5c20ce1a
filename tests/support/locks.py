"""Locks of processes that were killed."""

import redis

from receiver.storage.redis import keys

_REGISTRARS = ("registrar-leader", "registrar", "backfill")


def let_run_out(client: redis.Redis) -> None:
    """Let ten seconds pass for the locks of a registrar that was killed: nobody keeps them."""
    client.delete(*(keys.lock(name)[0] for name in _REGISTRARS))
