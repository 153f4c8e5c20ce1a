"""What the simulated Nexudus knows: its locations and WebHook records, and the rules by which records change.

Faithful to the API pages "Create", "Update", "Get one" and "Search WebHooks" of developers.nexudus.com; where they are
silent it takes the harsher reading.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from receiver.nexudus import actions
from receiver.simulator.account.refusals import Invalid, Unknown

MOST_HOOKS = 100_000
STRIKES = 10
"""Failures in a row after which Nexudus disables a hook (help.nexudus.com, "Failed webhook requests and retries")."""

_FIRST_ID = 87_654_321
_UPDATED_BY = "api@example.com"
_REQUIRED = ("BusinessId", "Name", "Action", "URL")
_OPTIONAL: Mapping[str, Any] = {"Description": None, "Active": False, "SystemId": None, "CustomFields": None}
_KNOWN_ACTIONS = frozenset(actions.CODES.values())

Record = dict[str, Any]


class Tenant:
    """One account: *businesses* (id to name) and hooks. Not for threads; one event loop works on it.

    *listened_for*: each business and action number that there ever was a hook for. It goes on happening without one.
    """

    def __init__(self, businesses: Mapping[int, str]) -> None:
        self.businesses = dict(businesses)
        self.hooks: dict[int, Record] = {}
        self.listened_for: dict[tuple[int, int], None] = {}
        self.is_changed = False
        self._next_id = _FIRST_ID

    def get(self, hook_id: int) -> Record:
        """Return a hook's record. Raises Unknown."""
        try:
            return self.hooks[hook_id]
        except KeyError:
            raise Unknown from None

    def create(self, sent: Mapping[str, Any], *, lose: bool = False) -> Record:
        """Create a hook and return it. *lose*: only pretend to. Raises Invalid."""
        self._validate(sent)
        if len(self.hooks) >= MOST_HOOKS:
            raise Invalid("Id", f"the simulator holds at most {MOST_HOOKS} hooks", None)
        now = _now()
        record = {name: sent[name] for name in _REQUIRED}
        record |= {name: sent.get(name, default) for name, default in _OPTIONAL.items()}
        record |= {"LastError": None, "ErrorCount": 0, "LastTrigger": None, "Id": self._next_id}
        record |= {"UniqueId": str(uuid.uuid4()), "CreatedOn": now, "UpdatedOn": now, "UpdatedBy": _UPDATED_BY}
        record |= {"IsNew": False, "ToStringText": f"WebHook {sent['Name']}", "LocalizationDetails": None}
        self._next_id += 1
        if not lose:
            self.hooks[record["Id"]] = record
            self.listened_for[record["BusinessId"], record["Action"]] = None
            self.is_changed = True
        return record

    def update(self, sent: Mapping[str, Any], *, lose: bool = False) -> Record:
        """Replace a hook: what is not sent is cleared. The counters of failures are not ours to write.

        Whether enabling a hook again starts its count afresh is not known; here it does. Raises Unknown and Invalid.
        """
        hook_id = sent.get("Id")
        if type(hook_id) is not int:
            raise Invalid("Id", "is a required field", hook_id)
        record = self.get(hook_id)
        self._validate(sent)
        changed = {name: sent[name] for name in _REQUIRED}
        changed |= {name: sent.get(name, default) for name, default in _OPTIONAL.items()}
        if not lose:
            if changed["Active"] and not record["Active"]:
                record["ErrorCount"] = 0
            record |= changed | {
                "ToStringText": f"WebHook {sent['Name']}",
                "UpdatedOn": _now(),
                "UpdatedBy": _UPDATED_BY,
            }
            self.listened_for[record["BusinessId"], record["Action"]] = None
            self.is_changed = True
        return record

    def delete(self, hook_id: int, *, lose: bool = False) -> None:
        """Delete a hook. Raises Unknown."""
        self.get(hook_id)
        if not lose:
            del self.hooks[hook_id]
            self.is_changed = True

    def forget(self) -> None:
        """Start afresh: no hooks."""
        self.hooks.clear()
        self.listened_for.clear()
        self.is_changed = True

    def succeeded(self, record: Record) -> None:
        """A delivery went well: the count starts afresh."""
        record |= {"ErrorCount": 0, "LastTrigger": _now()}
        self.is_changed = True

    def failed(self, record: Record, error: str) -> None:
        """A delivery failed: one strike, and the tenth disables the hook."""
        record |= {"ErrorCount": record["ErrorCount"] + 1, "LastError": error[:500]}
        if record["ErrorCount"] >= STRIKES:
            record["Active"] = False
        self.is_changed = True

    def save(self, path: Path) -> None:
        """Write everything to a file, atomically."""
        state: dict[str, Any] = {"businesses": [[number, name] for number, name in self.businesses.items()]}
        state |= {"hooks": list(self.hooks.values()), "next_id": self._next_id}
        scratch = path.with_name(path.name + ".new")
        scratch.write_bytes(orjson.dumps(state))
        scratch.replace(path)
        self.is_changed = False

    def load(self, path: Path) -> None:
        """Read what `save` wrote. Raises OSError, ValueError for a file that is not one of ours."""
        state = orjson.loads(path.read_bytes())
        try:
            self.businesses |= {int(number): str(name) for number, name in state["businesses"]}
            self.hooks = {int(record["Id"]): record for record in state["hooks"][:MOST_HOOKS]}
            self._next_id = int(state["next_id"])
            self.listened_for = {(int(one["BusinessId"]), int(one["Action"])): None for one in self.hooks.values()}
        except (TypeError, KeyError, IndexError) as error:
            raise ValueError(f"not a file of the simulator: {error}") from error

    def _validate(self, sent: Mapping[str, Any]) -> None:
        for name in _REQUIRED:
            if sent.get(name) in (None, "", 0):
                raise Invalid(name, "is a required field", sent.get(name))
        for name in ("Name", "URL", "Description"):
            if not isinstance(sent.get(name), str | None):
                raise Invalid(name, "must be text", sent[name])
        if not isinstance(sent.get("Active"), bool | None):
            raise Invalid("Active", "must be true or false", sent["Active"])
        for name in ("BusinessId", "Action"):
            if type(sent[name]) is not int:
                raise Invalid(name, "must be a number", sent[name])
        if sent["BusinessId"] not in self.businesses:
            raise Invalid("BusinessId", "is not one of your locations", sent["BusinessId"])
        if sent["Action"] not in _KNOWN_ACTIONS:
            raise Invalid("Action", "is not a known action", sent["Action"])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
