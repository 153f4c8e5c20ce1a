"""Queues have a priority, and none starves."""

from collections import Counter

import pytest

from workers.run.queue_order import in_turn


@pytest.mark.parametrize(
    ("queues", "firsts"),
    [
        ("a", {"a": 48}),
        ("ab", {"a": 42, "b": 6}),
        ("abc", {"a": 42, "b": 3, "c": 3}),
        ("abcd", {"a": 42, "b": 2, "c": 2, "d": 2}),
    ],
)
def test_an_eighth_of_the_turns_is_shared_by_all_but_the_first(queues: str, firsts: dict[str, int]) -> None:
    """The others begin at the first; each turn comes to all of them."""
    turns = [in_turn(queues, turn) for turn in range(1, 49)]

    assert Counter(turn[0] for turn in turns) == firsts
    assert all(sorted(turn) == list(queues) for turn in turns)
    assert tuple(queues) == tuple(turns[0])


def test_without_queues_there_is_none_to_begin_at() -> None:
    """A worker whose routes name none waits."""
    assert [*in_turn((), 8)] == []
