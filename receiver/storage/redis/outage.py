"""What is said when the store does not answer or refuses: one sentence, whatever redis-py raised."""

import re

import redis

from receiver.core.errors import StorageUnavailable

_LONGEST = 200


_OF_A_SCRIPT = ("user_script", "Error running script", ": malformed ")
"""What an answer says that comes out of a script of ours; others are about the connection or the server."""

_CODES = re.compile(r"(?:^|: -?)([A-Z]{3,}) ")
_OF_DATA = {"ERR", "WRONGTYPE"}


def is_refusal(error: Exception) -> bool:
    """Whether a script failed on what it was given, so that the same will fail again while something else may not.

    What the server says of itself (OOM, READONLY, BUSY, LOADING, MISCONF, NOAUTH, NOREPLICAS, MASTERDOWN, ...) is none:
    each of those has a code, which up to Redis 6 stands in the middle of what the script says.
    """
    cause = error.__cause__ if isinstance(error, StorageUnavailable) else error
    if type(cause) is not redis.ResponseError:  # its subclasses are all about the server
        return False
    said = str(cause)
    is_of_server = not _OF_DATA.issuperset(_CODES.findall(said)) or "user executing the script" in said
    return not is_of_server and any(sign in said for sign in _OF_A_SCRIPT)


def outage(error: Exception) -> StorageUnavailable:
    """Return the error to raise for one of redis-py's or the system's."""
    # Behind " : <" redis-py shows the whole client when a sentinel knows of no master.
    reason = str(error).partition(" : <")[0].strip().rstrip(".")[:_LONGEST]
    remedy = "" if isinstance(error, redis.ResponseError) else "; is it up, and is FRONTDESK_REDIS_URL right?"
    return StorageUnavailable(f"Redis: {type(error).__name__}: {reason}{remedy}")
