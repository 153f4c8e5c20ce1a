"""Resolves options that refer to a value: `env/NAME` is an environment variable, `file/PATH` the contents of a file.

A reference is a whole value, at any depth of the options: `url: env/CRM_URL`, not `url: https://env/CRM_HOST/`. A
relative PATH is relative to the folder of routes.yaml; `file//run/secrets/crm` is absolute. Write a value that only
looks like a reference with another beginning: `./env/production`.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from receiver.core.errors import HandlerError
from workers.api import Reference
from workers.plugins.safe_error_text import one_line, secret_parts

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_FILE = 65_536
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Resolved:
    """Options with their references resolved. *secrets* are the texts that must not be shown."""

    options: dict[str, Any]
    secrets: tuple[str, ...] = field(repr=False)


def resolve(options: Mapping[str, Any], *, environ: Mapping[str, str], folder: Path) -> Resolved:
    """Resolve every reference in *options*. Raises HandlerError that names the option and the missing value."""
    reader = _Reader(environ, folder)
    resolved = {}
    for name, value in options.items():
        try:
            resolved[str(name)] = reader.follow(value, str(name), 0)
        except HandlerError as error:
            raise HandlerError(str(error), option=str(name)) from None
    return Resolved(resolved, tuple(sorted(reader.secrets)))


class _Reader:
    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder
        self.secrets: set[str] = set()

    def follow(self, value: object, where: str, depth: int) -> object:
        if depth > _DEEPEST:
            raise HandlerError(f"option {where[:80]!r} is nested more than {_DEEPEST} deep")
        if isinstance(value, str):
            return self._read(value, where)
        if isinstance(value, Mapping):
            return {key: self.follow(inner, f"{where}.{key}", depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.follow(inner, f"{where}[{number}]", depth + 1) for number, inner in enumerate(value)]
        return value

    def _read(self, value: str, where: str) -> str:
        kind, slash, rest = value.partition("/")
        if not slash or kind not in {"env", "file"}:
            return value
        found = self._variable(rest, where) if kind == "env" else self._file(rest, where)
        self.secrets.update(secret_parts(found))
        return Reference(found)

    def _variable(self, name: str, where: str) -> str:
        shown = f"option {where!r}: env/{one_line(name, 80)}"
        if not _NAME.fullmatch(name):
            raise HandlerError(f"{shown} does not name an environment variable; write ./env/... for a path")
        if not self._environ.get(name):
            state = "is empty" if name in self._environ else "is not set"
            raise HandlerError(f"{shown}: the environment variable {name} {state}")
        return self._environ[name]

    def _file(self, path: str, where: str) -> str:
        shown = f"option {where!r}: file/{one_line(path, 200)}"
        try:
            file = self._folder / path
            # Not opened before it is known to be a file: a pipe would keep us waiting.
            if not stat.S_ISREG(file.stat().st_mode):
                raise HandlerError(f"{shown} is not a file")
            with file.open("rb") as stream:
                raw = stream.read(_LARGEST_FILE + 1)
            text = raw.decode("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise HandlerError(f"{shown} cannot be read: {reason}") from None
        if len(raw) > _LARGEST_FILE or not text:
            state = "is empty" if not text else f"is larger than {_LARGEST_FILE} bytes"
            raise HandlerError(f"{shown} {state}")
        return text
