"""What one endpoint is: its address, what it takes and answers, and the function that carries it out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from receiver.console.framework.page import Done, Facts, PageRequest, Shown

BASE: Final = "/api/v1"

Parameter = dict[str, Any]

PATH_PARAMETERS: Final[dict[str, Parameter]] = {
    "event": {"type": "string", "pattern": "^[0-9a-z]{20,32}$", "description": "The id of an event."},
    "group": {"type": "string", "pattern": "^[0-9a-z]{1,40}$", "description": "The id of a group of failures."},
    "route": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$", "description": "The name of a route."},
    "entity": {
        "type": "string",
        "pattern": "^[A-Za-z]{1,60}:-?[0-9]{1,19}$",
        "description": "A record of Nexudus: its kind and its Id, as in Booking:123.",
    },
}
"""The JSON Schema of each name that stands in a path."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one *path* below BASE. *name* is its operationId, in snake case; *summary* one sentence.

    *run* gets the fields of *query* as the query and those of *body* as the form, as a page does. What it returns is
    cut to *answer*. Viewers may look, and send what is *for_viewers*. *tool*: `frontdesk mcp` offers it.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    tag: str
    summary: str
    run: Callable[[PageRequest], Facts | Done | Shown]
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    for_viewers: bool = False
    tool: bool = True

    @property
    def may_view(self) -> bool:
        """Whether viewers may use it: it changes nothing, and reveals nothing."""
        return self.method == "GET" or self.for_viewers

    @property
    def path_names(self) -> list[str]:
        """The names in the path, in their order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
