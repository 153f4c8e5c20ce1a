"""What is wrong with a registration follows from the change that corrects it."""

import pytest

from receiver.registrar.change import DUPLICATE, UNROUTED, Change, Condition, Op, State

RIGHT = State("name", "https://example.com", "BookingCreate", active=True)
OFF = State("name", "https://example.com", "BookingCreate", active=False)


@pytest.mark.parametrize(
    ("op", "before", "why", "condition"),
    [
        (Op.CREATE, None, "", Condition.MISSING),
        (Op.UPDATE, RIGHT, "url", Condition.DRIFTED),
        (Op.UPDATE, OFF, "url, inactive", Condition.DISABLED),
        (Op.DEACTIVATE, RIGHT, DUPLICATE, Condition.DUPLICATE),
        (Op.DELETE, OFF, DUPLICATE, Condition.DUPLICATE),
        (Op.DEACTIVATE, RIGHT, UNROUTED, Condition.UNROUTED),
        (Op.DELETE, OFF, UNROUTED, Condition.UNROUTED),
    ],
)
def test_a_change_says_what_it_corrects(op: Op, before: State | None, why: str, condition: Condition) -> None:
    """By its operation and the hook before it; only a duplicate is known by its reason."""
    after = RIGHT if op in (Op.CREATE, Op.UPDATE) else None

    assert Change(op, 1001, "BookingCreate", 7, before, after, why).condition is condition
