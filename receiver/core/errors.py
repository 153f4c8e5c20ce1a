"""Every exception of Frontdesk. A message is one sentence: where, what, remedy.

FrontdeskError
├── SettingsError          a setting is wrong or missing
├── RoutesError            routes.yaml is wrong; carries every Problem with file and line
├── HandlerError           a handler cannot be loaded, or its options are wrong
├── RequestRefused         a request is answered with an HTTP status and nothing is kept
├── StorageUnavailable     Redis cannot be reached or refuses the write; nothing was promised
│   ├── LockLost           a lock that keeps others from writing is no longer ours
│   └── SpoolUnavailable   the spool's own disk cannot be read or written
├── LayoutUnknown          a Frontdesk too far from this version wrote the store; nothing is done to it
├── EventUnknown           no event of that id is kept
├── NexudusError           the Nexudus API refused or failed a call; carries status and property errors
│   └── CredentialsRefused Nexudus does not give us a token
├── UnsafePlan             a plan removes too much; needs --force
├── UsageError             a command was called wrongly
└── OutputUnwritable       what a command prints cannot be written
"""

from dataclasses import dataclass


class FrontdeskError(Exception):
    """Root of all our exceptions; `str()` of each is fit to be shown to an operator."""


class SettingsError(FrontdeskError):
    """A setting from the environment is wrong, unknown or missing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file, as `frontdesk check` shows it. *line* counts from 1; 0: the whole file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


class RoutesError(FrontdeskError):
    """The routing file is wrong. *problems* is never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class HandlerError(FrontdeskError):
    """A handler is not installed, cannot be imported, or does not take the options that its route gives.

    *option* is the one that is wrong, if it is one.
    """

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class RequestRefused(FrontdeskError):
    """A request that is answered with *status* (4xx or 503) and of which nothing is kept."""

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


class StorageUnavailable(FrontdeskError):
    """Redis does not answer, or refuses the write. Whether the write happened is unknown; repeating it is safe."""


class LockLost(StorageUnavailable):
    """A lock ran out, or somebody else has it; its holder may write no more."""


class SpoolUnavailable(StorageUnavailable):
    """The disk of a spool cannot be read or written, or its file is one that this version must leave alone."""


class LayoutUnknown(FrontdeskError):
    """The store's layout is not this version's or that of a neighbour; the store is left alone."""


class EventUnknown(FrontdeskError):
    """No event of that id is kept: never was, or its time is over."""


class NexudusError(FrontdeskError):
    """The Nexudus API refused or failed a call.

    *status* is the HTTP status, or 0 when there was no answer; *properties* maps property names to their messages;
    *throttled*: it asked us to slow down, and has not carried out the call; *gone*: asked for one record, it answered
    as it does when that is not there; *ooops*: it failed in its own words, which it may do each time.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        properties: dict[str, str] | None = None,
        throttled: bool = False,
        gone: bool = False,
        ooops: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.properties = properties or {}
        self.throttled = throttled
        self.gone = gone
        self.ooops = ooops

    @property
    def is_refusal(self) -> bool:
        """The call itself was refused, so that it will be the next time, too; else that may go well."""
        return self.ooops or (0 < self.status < 500 and self.status not in (408, 429) and not self.throttled)


class CredentialsRefused(NexudusError):
    """Nexudus does not accept the API user's name and password; trying again would only lock the account."""


class UnsafePlan(FrontdeskError):
    """A plan that deactivates or deletes more than the safety limit; `--force` overrides it."""


class UsageError(FrontdeskError):
    """A command was called in a way that cannot be carried out."""


class OutputUnwritable(FrontdeskError):
    """Standard output cannot be written: its disk is full, or it is closed."""
