"""What the console does at Nexudus: looks and applies, with as few lists of the hooks as will do."""

import pytest

from receiver.cli.registrar.registrar_adapter import RegistrarAdapter
from receiver.console.framework.hooks_cache import HooksCache, digest_of
from receiver.core.errors import UsageError
from receiver.nexudus.api.registration import Registration
from receiver.nexudus.api.webhooks import Webhooks
from tests.receiver.cli.registrar.registrations import PAIRS, assert_converged, ours
from tests.support.nexudus import SimulatedNexudus


class Lists:
    """Counts how often the hooks are listed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._number = 0
        listed = Webhooks.list

        def counted(webhooks: Webhooks) -> tuple[Registration, ...]:
            self._number += 1
            return listed(webhooks)

        monkeypatch.setattr(Webhooks, "list", counted)

    def taken(self) -> int:
        """Return how many there were since the last time."""
        number, self._number = self._number, 0
        return number


@pytest.fixture
def registry(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> HooksCache:
    """The console's registry, in this process."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return HooksCache(RegistrarAdapter())


def _apply(registry: HooksCache, digest: str, *, prune: bool = False) -> str:
    registry.agreed(digest, prune=prune)
    return registry.apply(digest, lambda: None, who="alice", prune=prune, force=False)


def test_an_apply_lists_the_hooks_twice(
    registry: HooksCache, nexudus: SimulatedNexudus, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once before it writes and once after; the page before it and the page after it need one list and none."""
    lists = Lists(monkeypatch)
    plan = registry.look().plan
    assert plan is not None
    shown = lists.taken()

    problem = _apply(registry, digest_of(plan))
    applied = lists.taken()
    after = registry.look()

    assert (shown, applied, lists.taken()) == (1, 2, 0)
    assert (problem, after.problem, after.trouble) == ("", None, 0)
    assert after.plan is not None
    assert (after.plan.changes, len(after.rows), len(ours(nexudus))) == ((), PAIRS, PAIRS)
    assert_converged(nexudus, settings)


def test_a_plan_that_nobody_was_shown_is_not_applied(registry: HooksCache, nexudus: SimulatedNexudus) -> None:
    """Neither one of another digest, nor one that changed at Nexudus after the page; the next page looks again."""
    plan = registry.look().plan
    assert plan is not None
    with pytest.raises(UsageError, match="changed since the plan was shown"):
        registry.agreed("of another plan", prune=False)
    _apply(registry, digest_of(plan))
    nexudus.edit(ours(nexudus)[0]["Id"], Active=False)
    shown = registry.look(fresh=True).plan
    assert shown is not None
    nexudus.edit(ours(nexudus)[1]["Id"], Active=False)

    with pytest.raises(UsageError, match="changed since the plan was shown"):
        _apply(registry, digest_of(shown))

    assert sum(not hook["Active"] for hook in ours(nexudus)) == 2
    assert registry.look().trouble == 2
