"""In which order queues are served. Pure."""

from collections.abc import Sequence

EVERY = 8
"""Each so many turns begin at another queue than the first."""


def in_turn(queues: Sequence[str], turn: int) -> Sequence[str]:
    """Return *queues*, highest priority first, as they are served at a turn (1, 2, ...).

    Always by priority, so that who waits for the first waits least; but an eighth of the turns begin at each of the
    others in turn, so that none starves behind those that are always full.
    """
    number, between = divmod(turn, EVERY)
    first = 0 if between or len(queues) < 2 else 1 + number % (len(queues) - 1)
    return (*queues[first:], *queues[:first])
