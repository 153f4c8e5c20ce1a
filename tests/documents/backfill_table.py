"""The table of docs/backfill.md, written from the rules. `python -m tests.documents.backfill_table` writes it anew."""

from pathlib import Path

from receiver.nexudus import actions
from receiver.nexudus.record_kinds import KINDS
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.rules.rule import Rule, Sure

PAGE = Path(__file__).parents[2] / "docs" / "backfill.md"
_HEAD = "| # | action | asked | an event is made if | sure |\n|---|---|---|---|---|\n"
_BEGIN = "| # | action |"


def table() -> str:
    """Return the table of all actions."""
    return _HEAD + "".join(map(_line, RULES.values()))


def _line(rule: Rule) -> str:
    code = actions.code_of(rule.action)
    return f"| {code} | {rule.action} | {_asked(rule)} | {rule.words} | {_sure(rule)} |\n"


def _asked(rule: Rule) -> str:
    asked = [f"audit trail, {rule.audit}"] if rule.audit else []
    if rule.by_ids and rule.ask:
        asked.append(f"`{KINDS[rule.ask.kind].path}`, all Ids")
    elif rule.is_bare:
        asked.append(f"audit trail, {rule.body_kind}")
    elif rule.ask is not None:
        asked.append(f"`{KINDS[rule.ask.kind].path}` by {rule.ask.ranged}")
    return " or ".join(asked) or "–"


def _sure(rule: Rule) -> str:
    if rule.audit and rule.sure is Sure.GOOD:
        return "exact with the audit trail, else good" if rule.ask else "exact with the audit trail, else no"
    return f"{rule.sure.value}, without its time" if rule.by_ids else rule.sure.value


def on_the_page() -> tuple[str, str, str]:
    """Return what stands on the page before the table, the table, and what stands behind it."""
    before, found, rest = PAGE.read_text().partition(_BEGIN)
    lines = (found + rest).splitlines(keepends=True)
    end = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return before, "".join(lines[:end]), "".join(lines[end:])


if __name__ == "__main__":
    head, _, tail = on_the_page()
    PAGE.write_text(head + table() + tail)
