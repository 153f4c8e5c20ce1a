"""No class of ours is a threading.Thread: it would share its private names with whatever a later Python calls its own.

(A writer that kept a file in `_handle` worked on every Python but 3.13, where a thread keeps its own handle there.)
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_no_class_is_a_thread() -> None:
    """A class that needs a thread has one."""
    files = [file for package in ("receiver", "workers") for file in (ROOT / package).rglob("*.py")]
    classes = [
        node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
    ]

    assert len(classes) > 100
    assert [node.name for node in classes if any(ast.unparse(base).endswith("Thread") for base in node.bases)] == []
