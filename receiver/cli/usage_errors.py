"""What is said of a command line that no command understands."""

import cyclopts

from receiver.core.sanitize import plain
from receiver.core.suggest import nearest


def sentence(error: cyclopts.CycloptsError) -> str:
    """Return one sentence about a wrong call: what is wrong with it, and where to read how it goes."""
    if not isinstance(error, cyclopts.UnusedCliTokensError) or not error.unused_tokens:
        return str(error).strip()
    command = " ".join(error.command_chain or ("frontdesk",))
    word = plain(error.unused_tokens[0])
    known = [name for name in error.app or () if not name.startswith("-")]
    if not known:
        return f"{command}: {word!r} is a word too many; see frontdesk {command} --help"
    near = nearest(word, known)
    hint = f"did you mean {near}?" if near else f"it knows {', '.join(sorted(known))}; see frontdesk {command} --help"
    return f"{command}: {word!r} is no command of it; {hint}"
