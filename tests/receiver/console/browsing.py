"""What the tests share that look at the console with a real browser."""

import contextlib
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.receiver.console.house import ADMIN, House

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@contextlib.contextmanager
def a_context(browser: Browser, width: str = "desktop", **options: Any) -> Iterator[BrowserContext]:
    """Give a browser without a past; no complaint of it is left unheard."""
    size = WIDTHS[width]
    made = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    made.on("weberror", lambda error: complaints.append(str(error.error)))
    yield made
    made.close()
    assert complaints == []


def signed_in(context: BrowserContext, house: House, token: str = ADMIN) -> Page:
    """Sign in with a token; return the page, which shows the overview."""
    page = context.new_page()
    page.goto(f"{house.url}/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page
