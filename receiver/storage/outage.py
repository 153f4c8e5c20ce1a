"""What is said when the store does not answer or refuses: one sentence, whatever redis-py raised."""

import redis

from receiver.errors import StorageUnavailable

_LONGEST = 200


def outage(error: Exception) -> StorageUnavailable:
    """Return the error to raise for one of redis-py's or the system's."""
    # Behind " : <" redis-py shows the whole client when a sentinel knows of no master.
    reason = str(error).partition(" : <")[0].strip().rstrip(".")[:_LONGEST]
    remedy = "" if isinstance(error, redis.ResponseError) else "; is it up, and is FRONTDESK_REDIS_URL right?"
    return StorageUnavailable(f"Redis: {type(error).__name__}: {reason}{remedy}")
