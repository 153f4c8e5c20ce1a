"""The state of a delivery in flight: how the store writes it, and the words in which people read it. Pure."""

from collections.abc import Container, Mapping

_DOES = {"q": "queued", "w": "scheduled", "x": "running", "h": "held"}
_WAITS_FOR = {
    "o": "order",
    "l": "limit",
    "c": "concurrency",
    "p": "pause",
    "a": "retry-after",
    "d": "target down",
    "y": "delay",
    "b": "debounce",
    "n": "unknown route",
    "t": "its time",
}


def in_words(number: int, state: Mapping[str, str], paused: Container[str]) -> str:
    """Return what delivery *number* of an event does or waits for; empty if it has ended.

    *paused*: the routes that are paused. A queued delivery of such a route counts as paused even before a worker has
    held it.
    """
    letter = state.get(f"{number}s", "")
    if letter == "q" and state.get(f"{number}r") in paused:
        return "pause"
    waits_for = state.get(f"{number}w", "") if letter in ("h", "w") else ""
    return _WAITS_FOR.get(waits_for) or _DOES.get(letter, "")
