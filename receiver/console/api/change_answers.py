"""What endpoints answer that change something or start a task."""

from pydantic import BaseModel


class Progress(BaseModel):
    """A task over many events. *skipped* came to nothing, the last one for this *reason*."""

    what: str
    who: str
    total: int
    unit: str
    done: int
    skipped: int
    reason: str
    is_running: bool
    error: str


class Task(BaseModel):
    """The task that runs in this console, or the last one."""

    progress: Progress | None


class Replayed(BaseModel):
    """The ids of new deliveries, or why there are none."""

    said: str
    deliveries: list[str]
    reason: str | None


class Released(BaseModel):
    """The ids of the events of a request, or why it stays in quarantine."""

    said: str
    events: list[str]
    reason: str | None


class Edited(BaseModel):
    """The new event."""

    said: str
    id: str
    edited_from: str


class Selected(BaseModel):
    """How many events and deliveries; *is_cut*: at least so many. `GET /task` shows the progress."""

    dry_run: bool
    events: int
    deliveries: int | None = None
    is_cut: bool | None = None


class GroupChanged(BaseModel):
    """The group's status now."""

    said: str
    status: str


class Started(BaseModel):
    """A task that has begun. `GET /task` shows its progress."""

    said: str
    events: int


class Changed(BaseModel):
    """Whether anything changed."""

    said: str
    changed: bool


class Applying(BaseModel):
    """How many changes are carried out. `GET /task` shows the progress."""

    said: str
    changes: int


class BackfillStarted(BaseModel):
    """How many gaps are filled. `GET /task` shows the progress."""

    said: str
    gaps: int
