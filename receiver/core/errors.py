"""Every exception of Frontdesk. A message is one sentence: where, what, remedy.

FrontdeskError
├── SettingsError          a setting is wrong or missing
├── RoutesError            routes.yaml is wrong; carries every Problem with file and line
├── HandlerError           a handler cannot be loaded, or its options are wrong
├── RequestRefused         a request is answered with an HTTP status, and nothing of it is kept
├── StorageUnavailable     Redis cannot be reached or refuses the write; nothing was promised
│   ├── LockLost           a lock that keeps others from writing is no longer ours
│   └── SpoolUnavailable   the spool's own disk cannot be read or written
├── LayoutUnknown          a much older or newer Frontdesk wrote the store; this version does not touch it
├── EventUnknown           no event with that id is kept
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
class FileProblem:
    """One thing that is wrong in a file, as `frontdesk check` shows it. *line* counts from 1; 0: the whole file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


class RoutesError(FrontdeskError):
    """The routing file is wrong. *problems* is never empty."""

    def __init__(self, problems: tuple[FileProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class HandlerError(FrontdeskError):
    """A handler is not installed, cannot be imported, or does not take the options that its route gives.

    *option* names the option that is wrong; None when the fault is not in one option.
    """

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class RequestRefused(FrontdeskError):
    """A request is answered with *status* (4xx or 503), and nothing of it is kept."""

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


class StorageUnavailable(FrontdeskError):
    """Redis does not answer, or refuses the write. Whether the write happened is unknown; repeating it is safe."""


class LockLost(StorageUnavailable):
    """A lock has expired, or another process holds it; the former holder must not write any more."""


class SpoolUnavailable(StorageUnavailable):
    """The disk of a spool cannot be read or written, or this version must not touch the spool's file."""


class LayoutUnknown(FrontdeskError):
    """The store's layout is neither this version's nor that of the version before or after; it is not touched."""


class EventUnknown(FrontdeskError):
    """No event with that id is kept: there never was one, or its retention is over."""


class NexudusError(FrontdeskError):
    """The Nexudus API refused or failed a call.

    *status* is the HTTP status, or 0 when there was no answer. *properties* maps property names to error messages.
    *throttled*: Nexudus asked us to slow down and did not carry out the call. *gone*: the answer is the one that
    Nexudus gives for a record that does not exist. *ooops*: a 500 whose JSON says "Ooops!"; repeating the call may
    fail in the same way.
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
        """Whether Nexudus refused the call itself, so that repeating it is useless."""
        return self.ooops or (0 < self.status < 500 and self.status not in (408, 429) and not self.throttled)


class CredentialsRefused(NexudusError):
    """Nexudus does not accept the API user's name and password; repeated attempts could lock the account."""


class UnsafePlan(FrontdeskError):
    """A plan that deactivates or deletes more than the safety limit; `--force` overrides it."""


class UsageError(FrontdeskError):
    """A command was called in a way that cannot be carried out."""


class OutputUnwritable(FrontdeskError):
    """Standard output cannot be written: its disk is full, or it is closed."""
