"""No test judges by the clock: a machine that is busy with something else is slow, and nothing of ours is wrong then.

What is looked for in the tests' own source is an upper bound of elapsed time (`time.monotonic() - began < 5`), and a
pause after which something is supposed to have happened. A lower bound is none of it: what is to wait may wait longer.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns", "process_time"}
ALLOWED = {
    "receiver/storage/keep/test_drain.py::keep": "the store of that test is slow by as much as the test says",
    "workers/run/test_execution.py::_sleeps_in_c": "a handler that nothing can interrupt; nobody waits for its end",
    "workers/run/dawdling.py::_settle": "the worker of that test dawdles for as long as the test waits for it",
}
FILES = [
    file
    for file in sorted(ROOT.rglob("*.py"))
    if file.relative_to(ROOT).parts[0] not in ("benchmarks", "faults", "support")
]
"""All but those that measure, cause faults that last, or wait with a deadline."""


def _is_clock(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in CLOCKS


def _has_clock(node: ast.AST) -> bool:
    return any(_is_clock(part) for part in ast.walk(node))


class _Function:
    """One function: the names that hold a moment or a span of time, and what is wrong about it."""

    def __init__(self, function: ast.AST) -> None:
        assigned = [one for one in ast.walk(function) if isinstance(one, ast.Assign)]
        self._moments = {_name(one) for one in assigned if _is_clock(one.value)}
        self._spans = {_name(one) for one in assigned if self._is_elapsed(one.value)}
        self._function = function

    def complaints(self) -> Iterator[str]:
        """Yield each, with its line."""
        for node in ast.walk(self._function):
            if isinstance(node, ast.Compare) and any(map(self._is_span, _bounded_above(node))):
                yield f"{node.lineno}: an upper bound of elapsed time"
        for pause in _pauses(self._function):
            yield f"{pause.lineno}: a pause, outside of any loop that looks whether something has happened"

    def _is_span(self, node: ast.expr) -> bool:
        return any(self._is_elapsed(part) or getattr(part, "id", "") in self._spans for part in ast.walk(node))

    def _is_elapsed(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "abs":
            return any(isinstance(part, ast.BinOp) and _has_clock(part) for part in node.args)
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)):
            return False
        are_moments = [getattr(side, "id", "") in self._moments for side in (node.left, node.right)]
        return _has_clock(node.left) or all(are_moments)


def _name(one: ast.Assign) -> str:
    return getattr(one.targets[0], "id", "")


def _bounded_above(node: ast.Compare) -> Iterator[ast.expr]:
    """Yield what is said to be less than something else."""
    sides = [node.left, *node.comparators]
    for left, how, right in zip(sides, node.ops, sides[1:], strict=False):
        if isinstance(how, ast.Lt | ast.LtE):
            yield left
        elif isinstance(how, ast.Gt | ast.GtE):
            yield right


def _pauses(node: ast.AST) -> Iterator[ast.Expr]:
    """Yield the statements `sleep(...)`, other than `sleep(0)`, that are in no loop and in no function further in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and _sleeps(child):
            yield child
        elif not isinstance(child, ast.While | ast.For | ast.AsyncFor | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _pauses(child)


def _sleeps(statement: ast.Expr) -> bool:
    call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "sleep"):
        return False
    return ast.unparse(call.args[0]) not in ("0", "600", "3600")  # to let others run; for ever


def _found(source: str, file: str) -> list[str]:
    functions = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"{file}:{complaint}"
        for one in functions
        if f"{file}::{one.name}" not in ALLOWED
        for complaint in _Function(one).complaints()
    ]


def test_no_test_judges_by_the_clock() -> None:
    """Judge by order and counts: what must not have been waited for would take an hour; who holds goes on when told."""
    texts = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in FILES}

    assert [one for file, text in texts.items() for one in _found(text, file)] == []


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("began = time.monotonic(); work(); assert time.monotonic() - began < 5", 1),
        ("began = time.monotonic(); work(); took = time.monotonic() - began; assert took <= 5", 1),
        ("a = time.time(); b = time.time(); assert 5 > b - a", 1),
        ("assert abs(stored.at - time.time()) < 60", 1),
        ("assert 0 <= loop.time() - began < 1", 1),
        ("time.sleep(1)", 1),
        ("with held(): await asyncio.sleep(0.1)", 1),
        ("assert time.monotonic() - began >= 0.5", 0),
        ("began = time.time(); work(); assert began <= stored.at <= time.time()", 0),
        ("while not there(): time.sleep(0.05)", 0),
        ("await asyncio.sleep(0)", 0),
        ("await asyncio.sleep(3_600)", 0),
    ],
)
def test_what_is_refused(body: str, number: int) -> None:
    """And what is none of it."""
    assert len(_found(f"async def test() -> None:\n    {body}\n", "x.py")) == number


def test_what_is_allowed_is_there() -> None:
    """A reason that nobody needs any more is removed."""
    for place in ALLOWED:
        file, name = place.split("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        (function,) = [one for one in ast.walk(ast.parse(source)) if getattr(one, "name", "") == name]
        assert [*_Function(function).complaints()], place
