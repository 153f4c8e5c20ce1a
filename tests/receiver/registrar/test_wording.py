"""What is said of a change at Nexudus tells what changes, and no token."""

from dataclasses import replace

from receiver.registrar import wording
from receiver.registrar.change import HookChange, HookState, Op

URL = "https://desk.example/hooks/1001/BookingCreate/"
WANTED = HookState("Frontdesk BookingCreate", f"{URL}{'a' * 32}", "BookingCreate", True)


def _words(before: HookState) -> str:
    return wording.words(HookChange(Op.UPDATE, 1001, "BookingCreate", 7, before, WANTED, "drifted"))


def test_a_token_that_differs_only_in_what_is_cut_is_told() -> None:
    """Somebody copied it without its end."""
    assert _words(replace(WANTED, url=WANTED.url[:-1])) == f"url {URL}aaaa... with another token"


def test_what_differs_is_told_from_and_to() -> None:
    """Each thing; an empty one is called so."""
    before = replace(WANTED, url=f"{URL}{'b' * 32}", name="", active=False)

    assert _words(before) == (
        f"url {URL}bbbb... -> {URL}aaaa...; name empty -> Frontdesk BookingCreate; active false -> true"
    )
