"""Pages and acts: each is one function that returns facts, shown as a page for people and as JSON for programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from receiver.console.framework.page_request import Visit

ROOT: Final = "/console"
API: Final = "/console/api"

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page. *path* stands below the root; *title* is its name in the navigation, where *is_listed*.

    *facts* is everything that the page tells, in values that JSON has. *more* adds what only the template needs.
    """

    path: str
    title: str
    template: str
    facts: Callable[[Visit], Facts]
    more: Callable[[Visit, Facts], Mapping[str, Any]] = field(default=lambda visit, facts: {})
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """An act that was done: what is *said* about it, and the page (below the root) that is shown next."""

    said: str
    next: str
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """An act whose answer is a page itself, which has no address: it cannot be bookmarked, shared or found again."""

    page: Page
    facts: Facts


@dataclass(frozen=True, slots=True)
class Act:
    """Something that changes or reveals; for those who may act. A form posts to *path* below the root."""

    path: str
    run: Callable[[Visit], Done | Shown]
    for_viewers: bool = False
