"""What happens when a call meets a key of a wrong type, or a counter that is no number: it is set aside, and told.

Such a value is of no use to anybody, whoever wrote it, and it must not stop what has to do with all the others. So the
call is repeated behind `scripts/mending.lua`, which renames the key and notes it as a loss (`accounting/data_loss.py`):
then alerts, `/readyz`, the console and `frontdesk audit` tell of it until somebody acknowledges it.
"""

from typing import Any, Final

import redis

from receiver.process import logs
from receiver.storage.redis import scripts

_SIGNS: Final = ("WRONGTYPE", "hash value is not an integer", "increment or decrement would overflow")

_log = logs.get()


def is_needed(error: object) -> bool:
    """Whether this is what the server says of a value that a call cannot use."""
    return type(error) is redis.ResponseError and any(sign in str(error) for sign in _SIGNS)


def tell(call: str) -> None:
    """Log that a call is repeated because of one. The key's name may tell of a customer: `alerts` shows which it is."""
    _log.error("key.set_aside", call=call, remedy="frontdesk alerts says which key it was")


def mend(client: redis.Redis, command: str, *arguments: Any) -> None:
    """Set aside what *command* failed on, so that it can be sent again. Raises what redis-py raises."""
    tell(command)
    texts = [one for one in arguments[:2] if isinstance(one, str | bytes | int)]
    client.eval(scripts.mending("mend"), 0, command, *texts)


def run(client: redis.Redis, name: str, keys: list[str], arguments: tuple[Any, ...]) -> Any:
    """Run a script that failed on such a value, once more, and return its reply. Raises what redis-py raises."""
    tell(name)
    return client.eval(scripts.mending(name), len(keys), *keys, *arguments)
