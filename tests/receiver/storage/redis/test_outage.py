"""A store that does not answer is one short sentence."""

import pytest

from receiver.core.errors import StorageUnavailable
from receiver.storage.query.event_reader import Archive
from receiver.storage.redis import connection
from tests.support.processes import free_port


@pytest.mark.parametrize(
    ("scheme", "rest", "said"),
    [("redis", "0", "Connection refused"), ("redis+sentinel", "mymaster/0", "No master found for 'mymaster'")],
)
def test_it_says_where_to_look_and_shows_no_object(scheme: str, rest: str, said: str) -> None:
    """redis-py shows the whole client, over many lines of a terminal, when no sentinel answers."""
    url = f"{scheme}://127.0.0.1:{free_port()}/{rest}"

    with connection.connect(url) as client, pytest.raises(StorageUnavailable) as raised:
        Archive(client).get("0" * 20)

    sentence = str(raised.value)
    assert said in sentence
    assert sentence.endswith("; is it up, and is FRONTDESK_REDIS_URL right?")
    assert "<" not in sentence
    assert len(sentence) < 300
