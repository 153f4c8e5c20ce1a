"""An assistant looks and acts through `frontdesk mcp`: the real command, the library's own client, a real house."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from receiver.cli.mcp.tools import request_of, tools
from receiver.console.api.endpoints import ENDPOINTS
from receiver.core.errors import UsageError
from tests.receiver.console.house import ADMIN, VIEWER, House, built
from tests.support.processes import DEADLINE_S, command, environment, wait_until

PERSON = "Ada Lovelace"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A receiver, a worker and a console; one event is delivered, one is dead."""
    with built(tmp_path_factory.mktemp("mcp")) as house:
        house.serve()
        house.start("work")
        house.console()
        yield house


@pytest.fixture(scope="module")
def ids(house: House) -> dict[str, str]:
    """The ids of an event that was delivered and of one that is dead, and of its group."""
    record = orjson.dumps([{"Id": 7, "Online": True, "CoworkerFullName": PERSON}])
    found = {"well": house.post("BookingCreate", record), "dead": house.post("TeamCreated", number=1)}
    house.wait_for_status(found["well"], "succeeded")
    house.wait_for_status(found["dead"], "dead")
    group = wait_until(lambda: house.facts("/failures")["groups"], "a group of failures")[0]["id"]
    return found | {"group": group}


def parameters(house: House, folder: Path, *words: str, token: str = f"alice={ADMIN}") -> StdioServerParameters:
    """Return how an assistant on another machine starts the command."""
    name = "FRONTDESK_ADMIN_TOKEN" if "--write" in words or "alice" in token else "FRONTDESK_VIEWER_TOKEN"
    program, *arguments = command("mcp", "--console", house.url, *words)
    settings = {"FRONTDESK_DATA_DIR": str(folder), name: token}
    return StdioServerParameters(command=program, args=arguments, env=environment(settings), cwd=str(folder))


def talk(started: StdioServerParameters, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[CallToolResult]]:
    """Return the names of the tools, and what the calls came to."""

    async def conversation() -> tuple[list[str], list[CallToolResult]]:
        async with Client(started, read_timeout_seconds=DEADLINE_S) as client:
            listed = await client.list_tools()
            results = [await client.call_tool(name, arguments) for name, arguments in calls]
            return [one.name for one in listed.tools], results

    return asyncio.run(conversation())


def told(result: CallToolResult) -> Any:
    """Return what a call answered, which its text says, too."""
    assert not result.is_error, result
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


def refused(result: CallToolResult) -> str:
    """Return what a call was refused for."""
    assert result.is_error, result
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def test_looks_are_offered_and_records_are_masked(house: House, ids: dict[str, str], tmp_path: Path) -> None:
    """Also with the token of an admin; nothing that changes anything is offered, or done when it is asked for."""
    names, results = talk(
        parameters(house, tmp_path),
        ("get_status", {}),
        ("list_events", {"status": "dead", "limit": 5}),
        ("get_event", {"event": ids["well"]}),
        ("get_event", {"event": ids["dead"]}),
        ("get_story", {"entity": "Booking:7"}),
        ("explain_event", {"event": ids["well"]}),
        ("list_failures", {}),
        ("list_gaps", {}),
        ("get_audit", {}),
        ("pause_route", {"route": "never"}),
    )

    assert set(names) == {one.name for one in ENDPOINTS if one.may_view} - {"list_copies"}
    status, events, well, dead, story, explained, failures, gaps, audit = map(told, results[:-1])
    assert status["standing"]["dead"] == 1
    assert [one["id"] for one in events["events"]] == [ids["dead"]]
    assert well["data"]["CoworkerFullName"] == f"<{len(PERSON)} characters>"
    assert PERSON not in str((well, story))
    assert "the lights are out" not in str(dead["deliveries"])
    assert {one["route"] for one in explained["routes"] if one["matched"]} >= {"everything"}
    assert [one["id"] for one in failures["groups"]] == [ids["group"]]
    assert (gaps["gaps"], audit["unaccounted"]) == ([], 0)
    assert "pause_route: no tool has this name" in refused(results[-1])
    assert "never" not in [act["detail"].get("route") for act in house.facts("/acts")["acts"]]


def test_changes_are_acts_of_whoever_has_the_token(house: House, ids: dict[str, str], tmp_path: Path) -> None:
    """With --write: the same changes as in the console, under the same name."""
    names, results = talk(
        parameters(house, tmp_path, "--write"),
        ("pause_route", {"route": "never"}),
        ("resume_route", {"route": "never"}),
        ("acknowledge_failure_group", {"group": ids["group"], "reason": "known"}),
        ("replay_event", {"event": ids["well"], "route": "everything"}),
        ("replay_failure_group", {"group": ids["group"], "most": 1}),
        ("get_task", {}),
    )

    assert {"backfill", "release_event", "replay_events"} < set(names)
    assert not {"reveal_event", "reveal_story", "edit_event", "apply_plan"} & set(names)
    assert [told(one)["changed"] for one in results[:2]] == [True, True]
    assert len(told(results[3])["deliveries"]) == 1
    assert told(results[5])["progress"]["who"] == "alice"
    acts = house.facts("/acts")["acts"][:5][::-1]
    assert [(act["what"], act["who"]) for act in acts] == [
        (what, "alice") for what in ("pause", "resume", "failures.acknowledge", "replay", "replay")
    ]


def test_a_wrong_call_is_an_error_of_the_tool_and_the_next_one_goes_on(
    house: House, ids: dict[str, str], tmp_path: Path
) -> None:
    """In a sentence that says what is wrong."""
    _, results = talk(
        parameters(house, tmp_path),
        ("get_event", {"event": "0" * 20}),
        ("get_event", {"event": "../../task"}),
        ("get_event", {}),
        ("list_events", {"acton": "BookingCreate"}),
        ("list_events", {"limit": 10_000}),
        ("list_events", {"text": PERSON}),
        ("get_task", {}),
    )

    for result in results[:2]:
        assert "is not kept" in refused(result) or "there is nothing here" in refused(result)
    assert "event: it is missing" in refused(results[2])
    assert "did you mean 'action'?" in refused(results[3])
    assert refused(results[4]).startswith("limit: ")
    assert "text: list_events takes no such argument" in refused(results[5])
    assert "progress" in told(results[6])


def test_a_token_that_is_not_one_and_a_console_that_is_away(house: House, tmp_path: Path) -> None:
    """Are errors of the tool; a viewer may look."""
    _, (wrong,) = talk(parameters(house, tmp_path, token="a-token-of-yesterday"), ("get_task", {}))
    _, (viewer,) = talk(parameters(house, tmp_path, token=f"victor={VIEWER}"), ("get_task", {}))
    away = parameters(house, tmp_path)
    away.args = [one if "://" not in one else "http://127.0.0.1:1/console" for one in away.args]
    _, (gone,) = talk(away, ("get_task", {}))

    assert "no valid token" in refused(wrong)
    assert "a-token-of-yesterday" not in refused(wrong)
    assert "progress" in told(viewer)
    assert "does not answer" in refused(gone)


def test_nothing_but_frames_comes_on_standard_output_and_the_end_of_input_ends_it(house: House, tmp_path: Path) -> None:
    """Whatever is sent."""
    started = parameters(house, tmp_path)
    sent = b'nonsense\n{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    ran = subprocess.run(
        [started.command, *started.args], input=sent, env=started.env, capture_output=True, timeout=100, check=False
    )

    assert ran.returncode == 0
    frames = [json.loads(line) for line in ran.stdout.splitlines()]
    assert frames
    assert {frame["jsonrpc"] for frame in frames} == {"2.0"}
    assert b"Traceback" not in ran.stderr


def test_it_says_what_is_missing(house: House, tmp_path: Path) -> None:
    """A token, an admin's for --write, TLS, and the library."""

    def said(*words: str, code: str = "", **settings: str) -> str:
        argv = command("mcp", *words)
        if code:
            argv = [sys.executable, "-c", f"{code}; from receiver.cli.main import main; main(['mcp'])"]
        environ = environment({"FRONTDESK_DATA_DIR": str(tmp_path), **settings})
        ran = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=100, check=False, input="")
        assert (ran.returncode, ran.stdout) == (1, "")
        return ran.stderr

    viewer = {"FRONTDESK_VIEWER_TOKEN": f"victor={VIEWER}"}
    assert "requires a token of the console" in said()
    assert "set FRONTDESK_ADMIN_TOKEN\n" in said("--write", **viewer)
    assert "give an https URL" in said("--console", "http://frontdesk.example/console", **viewer)
    hidden = "import sys; sys.modules['mcp'] = None"
    assert "pip install 'frontdesk[mcp]'" in said(code=hidden, **viewer)


@pytest.mark.parametrize("tool", tools(write=True).values(), ids=lambda tool: tool.name)
def test_every_tool_has_a_schema_of_its_own(tool: Any) -> None:
    """Of objects; no name in the path is a name in the body, too; and nothing asks for a text."""
    own = {**tool.schema["properties"]}
    model = tool.endpoint.body or tool.endpoint.query

    assert tool.schema["type"] == "object"
    assert not set(tool.endpoint.path_names) & set(model.model_fields)
    assert not {"text", "redact"} & set(own)
    with pytest.raises(UsageError, match="takes no such argument"):
        request_of({tool.name: tool}, tool.name, {"redact": False})
