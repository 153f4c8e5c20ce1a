"""What a record looks like before anybody's values are in it: LZ4 dictionaries, which halve what an envelope takes.

`dictionaries.txt` has one on each line, behind the actions that it is for (`*`: all others): the names of the fields
in the order of Nexudus's API, and the values that are nobody's (null, false, 0). The number of a line stands in every
envelope that was packed with it, for as long as that is kept: **lines are added at the end and never changed**. The
last line for an action is the one that new envelopes get.
"""

from importlib import resources

_OTHERS = "*"
_LINES = [
    line.partition(b" ") for line in resources.files(__package__).joinpath("dictionaries.txt").read_bytes().splitlines()
]
_TEXTS = tuple(text for _, _, text in _LINES)
_NUMBERS = {action: number for number, (names, _, _) in enumerate(_LINES) for action in names.decode().split(",")}


def number_of(action: str) -> int:
    """Return the number of the dictionary for the records of an action, 0 to 255."""
    return _NUMBERS.get(action, _NUMBERS[_OTHERS])


def text(number: int) -> bytes:
    """Return a dictionary. Raises ValueError for a number that this version does not have."""
    if number >= len(_TEXTS):
        raise ValueError(f"an envelope packed with a dictionary that this Frontdesk does not have: {number}")
    return _TEXTS[number]
