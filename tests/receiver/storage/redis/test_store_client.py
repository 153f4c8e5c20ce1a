"""Whatever fails at the store is one error, and one short sentence."""

import ast
from pathlib import Path

import pytest
from redis.exceptions import RedisError

import receiver
from receiver.core.errors import StorageUnavailable
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection
from receiver.storage.redis.store_client import guarded
from tests.support.processes import free_port


@pytest.mark.parametrize(
    ("scheme", "rest", "said"),
    [("redis", "0", "Connection refused"), ("redis+sentinel", "mymaster/0", "No master found for 'mymaster'")],
)
def test_it_says_where_to_look_and_shows_no_object(scheme: str, rest: str, said: str) -> None:
    """redis-py shows the whole client, over many lines of a terminal, when no sentinel answers."""
    url = f"{scheme}://127.0.0.1:{free_port()}/{rest}"

    with connection.connect(url) as client, pytest.raises(StorageUnavailable) as raised:
        EventReader(client).get("0" * 20)

    sentence = str(raised.value)
    assert said in sentence
    assert sentence.endswith("; is it up, and is FRONTDESK_REDIS_URL right?")
    assert "<" not in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize("error", [OSError(104, "reset"), TimeoutError("late"), RedisError("odd")])
def test_the_guard_raises_one_error_for_whatever_fails(error: Exception) -> None:
    """The system's errors count as much as redis-py's."""
    with pytest.raises(StorageUnavailable) as raised, guarded():
        raise error

    assert raised.value.__cause__ is error


def test_nobody_else_turns_the_errors_of_redis_into_ours() -> None:
    """One guard: a module that catches RedisError beside it forgets OSError sooner or later."""
    root = Path(receiver.__file__).parent
    catching = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.ExceptHandler) and node.type and "RedisError" in ast.unparse(node.type)
    }

    # These two ask whether a server answers, and need no sentence for one that does not.
    assert catching <= {"storage/redis/connection.py", "storage/embedded/embedded_server.py"}
