"""The CEL library: its compiled module alone.

Importing the package `cel` also imports its command line, and with it prompt_toolkit, Typer and Pygments: a tenth of
the time in which a process of ours starts.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel import Program


_NAME = "cel.cel"


def _compiled_module() -> Any:
    """Return it. It can be loaded once only: a handler that imports the package has the same one."""
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("cel")
    found = package and PathFinder.find_spec(_NAME, package.submodule_search_locations)
    if not found or not found.loader:
        raise ModuleNotFoundError("the package common-expression-language is not installed", name="cel")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    sys.modules[_NAME] = module
    return module


_CEL = _compiled_module()


def program(source: str) -> "Program":
    """Compile an expression. Raises ValueError, with the parser's message."""
    compiled: Program = _CEL.compile(source)
    return compiled
