"""Finds a handler's function: an installed plugin by its name, or `module:function` beside routes.yaml or anywhere.

Importing runs foreign code. Whatever it does (raise, call `sys.exit`), the caller gets the function or a HandlerError.
A module is imported once: an edited module takes effect in a new process.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from receiver import HANDLER_GROUP
from receiver.core.errors import HandlerError
from receiver.core.suggest import hint, nearest
from workers.plugins.safe_error_text import describe, one_line

_TARGET = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_IMPORTING = threading.RLock()


def installed() -> tuple[str, ...]:
    """Return the names of all installed handlers, sorted, without importing any."""
    return tuple(sorted({point.name for point in metadata.entry_points(group=HANDLER_GROUP)}))


def find(name: str, folder: Path) -> Any:
    """Return the function called *name*. Raises HandlerError: not installed, offered twice, or the import fails."""
    if ":" in name:
        return _by_path(name, folder)
    offers = _offers(tuple(sys.path)).get(name)
    if offers is None:
        _offers.cache_clear()  # it may have been installed since
        offers = _offers(tuple(sys.path)).get(name)
    if offers is None:
        raise HandlerError(_unknown(name, folder))
    if len(offers) > 1:
        both = " and ".join(f"{owner} ({value})" for value, owner in sorted(offers))
        raise HandlerError(f"is offered twice, by {both}; uninstall one, or name the function: module:function")
    ((value, owner),) = offers
    match = _TARGET.fullmatch(value.split("[")[0].strip())
    if match is None:
        raise HandlerError(f"its entry point {one_line(value, 120)!r} in {owner} is not module:function")
    return _attribute(_imported(match["module"]), match["function"])


def version(name: str, folder: Path) -> str:
    """Return what tells one version of a handler from another: that of its package, or a digest of its module's file.

    Nothing is imported. Empty: it is not known.
    """
    if ":" not in name:
        return ", ".join(sorted(owner for _, owner in _offers(tuple(sys.path)).get(name, ())))
    module = name.partition(":")[0].replace(".", "/")
    for file in (folder / f"{module}.py", folder / module / "__init__.py"):
        with contextlib.suppress(OSError, ValueError):
            return hashlib.blake2b(file.read_bytes(), digest_size=6).hexdigest()
    return ""


@functools.lru_cache(maxsize=4)
def _offers(path: tuple[str, ...]) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the entry points by name, with their packages. Cached, because a scan reads every package."""
    offers: dict[str, frozenset[tuple[str, str]]] = {}
    for point in metadata.entry_points(group=HANDLER_GROUP):
        offers[point.name] = offers.get(point.name, frozenset()) | {(point.value, _owner(point))}
    return offers


def _owner(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _unknown(name: str, folder: Path) -> str:
    names = installed()
    near = nearest(name, names)
    remedy = f"did you mean {near!r}? " if near else ""
    if not near and (folder / f"{name}.py").is_file():
        remedy = f"for the file {name}.py beside routes.yaml write '{name}:' and the name of its function; "
    return f"is not installed; {remedy}installed: {', '.join(names) or 'none'}"


def _by_path(name: str, folder: Path) -> Any:
    match = _TARGET.fullmatch(name)
    if match is None:
        raise HandlerError("is not written as module:function")
    with _IMPORTING:
        importlib.invalidate_caches()  # the file may be newer than what the import system remembers of its folder
        _import_from(folder.resolve(), match["module"].partition(".")[0])
        return _attribute(_imported(match["module"], folder), match["function"])


def _import_from(folder: Path, top: str) -> None:
    """Import *top* from *folder* if it is there, and let handlers import the other modules of the folder.

    A `calendar.py` in the folder must not replace Python's own for every library in the process, and a `requests.py`
    must not replace the installed one.
    """
    _BESIDE.add(folder)
    spec = importlib.machinery.PathFinder.find_spec(top, [str(folder)])
    if spec is None or spec.loader is None or spec.origin is None:
        return
    if top in sys.stdlib_module_names:
        raise HandlerError(
            f"the module {top!r} beside routes.yaml has the name of one of Python's own; rename the file"
        )
    present = sys.modules.get(top)
    if present is None:
        if taken := _taken(top, Path(spec.origin)):
            raise HandlerError(f"the module {top!r} beside routes.yaml has the name of {taken}; rename the file")
        _execute(spec)
    elif not _same_file(getattr(present, "__file__", None), spec.origin):
        where = getattr(present, "__file__", None) or "elsewhere"
        raise HandlerError(
            f"the module {top!r} beside routes.yaml has the name of one in use, {where}; rename the file"
        )


def shadowed(folder: Path) -> Iterator[str]:
    """Yield a sentence for each module in *folder* that no handler can import because its name is taken."""
    for path in sorted(folder.glob("*.py")) + sorted(init.parent for init in folder.glob("*/__init__.py")):
        taken = _taken(path.stem, path if path.is_file() else path / "__init__.py") if path.stem.isidentifier() else ""
        if taken:
            yield f"{path} has the name of {taken}, which is what handlers that import it get; rename it"


def _taken(top: str, file: Path) -> str:
    """Return what else has the name of the module in *file*; empty: nothing."""
    if top in sys.stdlib_module_names:
        return "a module of Python"
    for finder in sys.meta_path:
        spec = None if finder is _BESIDE else finder.find_spec(top, None)
        if spec and spec.origin and not _same_file(spec.origin, str(file)):
            return f"an installed module, {spec.origin}"
    return ""


class _Beside(importlib.abc.MetaPathFinder):
    """Finds modules beside routes.yaml, after all installed ones, and only for handlers and what they call.

    The folder is not on the import path: a library that tries to import an optional dependency must not find a file
    of that name.
    """

    def __init__(self) -> None:
        self._folders: list[str] = []

    def add(self, folder: Path) -> None:
        """Search *folder*, too."""
        if str(folder) not in self._folders:
            self._folders.append(str(folder))
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module that is not part of a package."""
        if path is not None or not self._is_for_a_handler():
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, self._folders, target)

    def _is_for_a_handler(self) -> bool:
        inside = tuple(folder + os.sep for folder in self._folders)
        frame = sys._getframe()  # noqa: SLF001 - there is no other way to see who imports
        while caller := frame.f_back:
            if caller.f_code is _by_path.__code__ or caller.f_code.co_filename.startswith(inside):
                return True
            frame = caller
        return False


_BESIDE = _Beside()


def _execute(spec: importlib.machinery.ModuleSpec) -> None:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]  # the caller made sure
    except BaseException as error:  # noqa: BLE001 - importing runs foreign code
        sys.modules.pop(spec.name, None)
        raise HandlerError(_import_failed(spec.name, error)) from None


def _same_file(one: str | None, other: str) -> bool:
    return one is not None and Path(one).resolve() == Path(other).resolve()


def _imported(module: str, folder: Path | None = None) -> ModuleType:
    try:
        return importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001 - importing runs foreign code
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise HandlerError(_no_module(module, error.name, folder)) from None
        raise HandlerError(_import_failed(module, error)) from None


def _no_module(module: str, missing: str, folder: Path | None) -> str:
    if folder is None:
        return f"its module {module!r} is not installed"
    meant = hint(missing, [file.stem for file in folder.glob("*.py")])
    return f"there is no module {missing!r} beside routes.yaml or among the installed ones{meant}"


def _import_failed(module: str, error: BaseException) -> str:
    return f"importing {module!r} failed{_place(error)}: {describe(error)}"


def _place(error: BaseException) -> str:
    """Return ` at FILE:LINE`, where in the plugin's own code its import went wrong."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ") and frame.filename not in {__file__, importlib.__file__}
    ]
    if not frames:
        return ""
    first = Path(frames[0].filename)
    own = first.parent if first.name == "__init__.py" else first
    last = [frame for frame in frames if own in (Path(frame.filename), *Path(frame.filename).parents)][-1]
    return f" at {last.filename}:{last.lineno}"


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise HandlerError(f"the module {module.__name__!r} has no {path!r}{hint(path, functions)}")
        found = getattr(found, name)
    return found
