"""What is wrong with a registration follows from the change that corrects it."""

import pytest

from receiver.registrar.change import DUPLICATE, UNROUTED, HookChange, HookCondition, HookState, Op

RIGHT = HookState("name", "https://example.com", "BookingCreate", active=True)
OFF = HookState("name", "https://example.com", "BookingCreate", active=False)


@pytest.mark.parametrize(
    ("op", "before", "why", "condition"),
    [
        (Op.CREATE, None, "", HookCondition.MISSING),
        (Op.UPDATE, RIGHT, "url", HookCondition.DRIFTED),
        (Op.UPDATE, OFF, "url, inactive", HookCondition.DISABLED),
        (Op.DEACTIVATE, RIGHT, DUPLICATE, HookCondition.DUPLICATE),
        (Op.DELETE, OFF, DUPLICATE, HookCondition.DUPLICATE),
        (Op.DEACTIVATE, RIGHT, UNROUTED, HookCondition.UNROUTED),
        (Op.DELETE, OFF, UNROUTED, HookCondition.UNROUTED),
    ],
)
def test_a_change_says_what_it_corrects(op: Op, before: HookState | None, why: str, condition: HookCondition) -> None:
    """By its operation and the hook before it; only a duplicate is known by its reason."""
    after = RIGHT if op in (Op.CREATE, Op.UPDATE) else None

    assert HookChange(op, 1001, "BookingCreate", 7, before, after, why).condition is condition
