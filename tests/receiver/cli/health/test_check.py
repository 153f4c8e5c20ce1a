"""`frontdesk check` in a real process: everything that is wrong, in one go, with where and what."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.conftest import StartValkey
from tests.support import processes

RIGHT = """\
routes:
  - {action: "Booking*", handler: log, where: data.Price > 100}
  - {action: BookingCreate, handler: "crm:sync", with: {url: env/CRM_URL, limit: "5"}}
  - {name: later, action: BookingCreate, handler: not-installed, enabled: false}
"""
PLUGIN = """\
from workers import Event
print("a plugin that talks when it is imported")

def sync(event: Event, *, url: str, limit: int = 1) -> None:
    pass
"""
GUARDED = {"FRONTDESK_WEBHOOK_SECRETS": "s3cr3t", "FRONTDESK_URL_KEYS": "0123456789abcdef", "CRM_URL": "https://crm"}


def check(tmp_path: Path, *arguments: str, routes: str | None = RIGHT, **settings: str) -> processes.Ran:
    if routes is not None:
        (tmp_path / "routes.yaml").write_text(routes)
    (tmp_path / "crm.py").write_text(PLUGIN)
    return processes.run("check", *arguments, settings=settings, cwd=tmp_path)


def answer(tmp_path: Path, *arguments: str, routes: str | None = RIGHT, **settings: str) -> tuple[int, dict[str, Any]]:
    ran = check(tmp_path, "--json", *arguments, routes=routes, **settings)
    shown: dict[str, Any] = json.loads(ran.out)
    assert set(shown) == {"ok", "problems", "warnings"}
    assert shown["ok"] == (ran.status == 0) == (not shown["problems"])
    return ran.status, shown


def test_what_is_right_is_said_to_be(tmp_path: Path) -> None:
    """Settings, routes, a handler beside routes.yaml with its options, an environment name; nothing on stderr."""
    ran = check(tmp_path, **GUARDED)

    assert (ran.status, ran.out) == (0, "Nothing is wrong.\n")
    assert ran.err == "a plugin that talks when it is imported\n"
    assert answer(tmp_path, **GUARDED) == (0, {"ok": True, "problems": [], "warnings": []})


def test_the_folder_for_spools_is_tried(tmp_path: Path) -> None:
    """Where it is, and nothing of that stays; where it can only be made, a warning says that it cannot be made here."""
    (tmp_path / "var" / "spool").mkdir(parents=True)
    assert answer(tmp_path, **GUARDED, FRONTDESK_DATA_DIR="var") == (0, {"ok": True, "problems": [], "warnings": []})
    assert list((tmp_path / "var" / "spool").iterdir()) == []

    (tmp_path / "var" / "spool").rmdir()
    (tmp_path / "var" / "spool").write_text("in the way")
    status, shown = answer(tmp_path, **GUARDED, FRONTDESK_DATA_DIR="var")
    (problem,) = shown["problems"]
    assert (status, problem["file"]) == (1, "environment")
    assert "FRONTDESK_DATA_DIR: nothing can be spooled in 'var'" in problem["message"]
    assert "Not a directory" in problem["message"]

    status, shown = answer(tmp_path, **GUARDED, FRONTDESK_DATA_DIR="/proc/nobody/makes/this")
    assert (status, shown["problems"], len(shown["warnings"])) == (0, [], 1)


def test_every_problem_of_routes_and_settings_is_told_at_once(tmp_path: Path) -> None:
    """File and line for the routes, the word environment for settings; exit status 1."""
    wrong = 'routes:\n  - {actoin: BookingCreate, handler: log}\n  - action: BookingCraete\n    where: "data.x =="\n'
    settings = GUARDED | {"FRONTDESK_PORT": "x", "FRONTDESK_ROUTS": "y", "FRONTDESK_REDIS_URL": "http://x"}

    ran = check(tmp_path, routes=wrong, **settings)
    status, shown = answer(tmp_path, routes=wrong, **settings)

    assert (ran.status, status, ran.out) == (1, 1, "7 problems.\n")
    found = [(each["file"], each["line"], each["message"]) for each in shown["problems"]]
    assert [place for *place, _ in found] == [
        ["environment", 0],
        ["environment", 0],
        ["environment", 0],
        ["routes.yaml", 2],
        ["routes.yaml", 3],
        ["routes.yaml", 3],
        ["routes.yaml", 4],
    ]
    messages = "\n".join(message for *_, message in found)
    for part in (
        "FRONTDESK_ROUTES?",
        "FRONTDESK_PORT: ",
        "FRONTDESK_REDIS_URL",
        "'action'?",
        "'BookingCreate'?",
        "CEL",
    ):
        assert part in messages
    for file, line, message in found:
        assert f"frontdesk: {file}:{line}: {message}" in ran.err or f"frontdesk: {file}: {message}" in ran.err
    assert "Traceback" not in ran.err


def test_handlers_that_cannot_run_are_problems_of_their_routes(tmp_path: Path) -> None:
    """Not installed, not there, options that do not fit, an environment name that is not set."""
    routes = """\
routes:
  - {name: a, action: BookingCreate, handler: forwrad}
  - {name: b, action: BookingCreate, handler: "crm:gone"}
  - {name: c, action: BookingCreate, handler: "crm:sync", with: {limit: many, url: x}}
  - {name: d, action: BookingCreate, handler: "crm:sync", with: {url: env/NOT_SET}}
  - {name: e, action: BookingCreate, handler: "crm:sync"}
"""

    status, shown = answer(tmp_path, routes=routes, **GUARDED)

    assert status == 1
    assert [(each["file"], each["line"]) for each in shown["problems"]] == [
        ("routes.yaml", line) for line in (2, 3, 4, 5, 6)
    ]
    parts = (("a", "forward"), ("b", "gone"), ("c", "limit"), ("d", "NOT_SET"), ("e", "url"))
    for each, (name, part) in zip(shown["problems"], parts, strict=True):
        assert each["message"].startswith(f"route {name!r}: handler ")
        assert part in each["message"]


def test_a_condition_that_is_none_is_a_problem(tmp_path: Path) -> None:
    """Its route would never run, and nobody would know why."""
    routes = (
        'routes:\n  - {action: BookingCreate, handler: log}\n  - {name: x, action: "*", handler: log, where: "1 + 1"}\n'
    )

    status, shown = answer(tmp_path, routes=routes, **GUARDED)

    assert (status, shown["ok"]) == (1, False)
    (problem,) = shown["problems"]
    assert problem["line"] == 3
    assert (
        "does not end in true or false, its result is a number or a text; compare it with something"
        in (problem["message"])
    )


def test_what_is_wrong_with_a_handler_is_told_where_it_stands(tmp_path: Path) -> None:
    """On the line of the option, else of the handler; a route may be long."""
    routes = """\
routes:
  - name: a
    action: BookingCreate
    handler: forwrad
  - name: b
    action: BookingCreate
    with:
      limit: 3
      url: env/NOT_SET
    handler: crm:sync
  - name: c
    action: BookingCreate
    with:
      url: x
      limit: many
    handler: crm:sync
  - name: d
    action: BookingCreate
    with:
      url: x
      limmit: 3
    handler: crm:sync
  - name: e
    action: BookingCreate
    with:
      limit: 3
    handler: crm:sync
"""

    _, shown = answer(tmp_path, routes=routes, **GUARDED)

    assert [each["line"] for each in shown["problems"]] == [4, 9, 15, 21, 27]


def test_a_public_url_that_apply_would_refuse_is_a_problem(tmp_path: Path) -> None:
    """Plain http is for this machine alone."""
    status, shown = answer(tmp_path, **GUARDED, FRONTDESK_PUBLIC_URL="http://hooks.example")

    assert status == 1
    (problem,) = shown["problems"]
    assert (problem["file"], problem["line"]) == ("environment", 0)
    assert problem["message"].startswith("FRONTDESK_PUBLIC_URL: must be https://")
    assert answer(tmp_path, **GUARDED, FRONTDESK_PUBLIC_URL="http://127.0.0.1:8000")[0] == 0


def test_a_missing_file_is_one_problem(tmp_path: Path) -> None:
    """Wherever FRONTDESK_ROUTES leads, and although another setting is wrong."""
    status, shown = answer(tmp_path, routes=None, FRONTDESK_ROUTES="else/where.yaml", FRONTDESK_PORT="x", **GUARDED)

    assert status == 1
    assert [each["file"] for each in shown["problems"]] == ["environment", "else/where.yaml"]
    assert "No such file" in shown["problems"][1]["message"]


def test_what_is_weak_is_a_warning_and_no_problem(tmp_path: Path) -> None:
    """No signatures asked for, a key that can be guessed, a route for a location that nobody registers at."""
    routes = 'businesses: [1001]\nroutes:\n  - {action: "*", handler: log, business: [1001, 1002]}\n'

    status, shown = answer(tmp_path, routes=routes, FRONTDESK_URL_KEYS="0123456789abcdef,short")
    ran = check(tmp_path, routes=routes)

    assert (status, ran.status) == (0, 0)
    signatures, key, stray = shown["warnings"]
    assert signatures.startswith("FRONTDESK_WEBHOOK_SECRETS is not set")
    assert key.startswith("key 2 of FRONTDESK_URL_KEYS has less than 16 characters")
    assert stray.startswith("routes.yaml:3: route 'log' wants business 1002")
    assert "short" not in key
    assert ran.err.startswith("frontdesk: warning: FRONTDESK_WEBHOOK_SECRETS")


def test_no_secret_is_ever_printed(tmp_path: Path) -> None:
    """Neither of a setting that is wrong nor of one that is right."""
    ran = check(
        tmp_path,
        FRONTDESK_WEBHOOK_SECRETS="hush-hush",
        FRONTDESK_URL_KEYS="hush",
        FRONTDESK_REDIS_URL="redis://:hush@nowhere:x/0",
    )

    assert ran.status == 1
    assert "hush" not in ran.out + ran.err


def test_online_asks_the_server_what_it_is(tmp_path: Path, start_valkey: StartValkey) -> None:
    """Right, wrongly configured, and not there at all."""
    right = start_valkey()
    wrong = start_valkey("--maxmemory-policy", "allkeys-lru")
    gone = f"redis://127.0.0.1:{processes.free_port()}/0"

    assert answer(tmp_path, "--online", FRONTDESK_REDIS_URL=right.url, **GUARDED)[0] == 0
    status, shown = answer(tmp_path, "--online", FRONTDESK_REDIS_URL=wrong.url, **GUARDED)
    assert status == 1
    assert "noeviction" in shown["problems"][0]["message"]
    status, shown = answer(tmp_path, "--online", FRONTDESK_REDIS_URL=gone, **GUARDED)
    assert status == 1
    assert "does not answer" in shown["problems"][0]["message"]
    assert answer(tmp_path, FRONTDESK_REDIS_URL=gone, **GUARDED)[0] == 0


TESTED = """\
routes:
  - name: dear
    action: "Booking*"
    business: [1002, 1001]
    handler: log
    where: data.Price > 100 && business_id == 1001
    tests:
      - {record: {Price: 150}}
      - {record: {Price: 50}, match: false}
      - {record: {Price: 50}}
      - {record: {Price: 150}, match: false}
      - {record: {}, action: BookingDelete}
      - {record: {}, match: false}
      - {record: {Price: 150}, business: 1003}
      - {record: one.json}
      - {record: two.json}
      - {record: no.json}
      - {record: bad.json}
  - {name: "off", action: "*", handler: log, enabled: false, tests: [{record: {Id: 1}}]}
"""


def test_the_tests_of_routes_are_tried(tmp_path: Path) -> None:
    """Those that fail are problems of their own lines; so are records that cannot be read."""
    (tmp_path / "one.json").write_text('[{"Price": 150.5}]')
    (tmp_path / "two.json").write_text("[{}, {}]")
    (tmp_path / "bad.json").write_text("{")

    status, shown = answer(tmp_path, routes=TESTED, **GUARDED)

    said = {each["line"]: each["message"] for each in shown["problems"]}
    assert status == 1
    assert set(said) == {10, 11, 12, 14, 16, 17, 18}
    assert said[10] == (
        "route 'dear': test 3: is to match, but its filter is false: data.Price > 100 && business_id == 1001 "
        "(BookingCreate at business 1001)"
    )
    assert "test 4: is not to match, but the route wants it" in said[11]
    assert "test 5: its filter failed" in said[12]
    assert "it wants business 1001, 1002, not 1003" in said[14]
    assert "two.json holds 2 records; one is needed" in said[16]
    assert "no.json is not a file" in said[17]
    assert "bad.json: not JSON" in said[18]


def test_a_handler_that_takes_another_record_is_warned_of(tmp_path: Path) -> None:
    """By the action that carries it; one action is as good as many, and an untyped handler is none."""
    (tmp_path / "typed.py").write_text(
        "from workers import Event\nfrom workers.records import Booking\n"
        "class Room(Booking):\n    Projector: bool = False\n"
        "def door(event: Event[Booking]): pass\ndef room(event: Event[Room]): pass\ndef any(event: Event): pass\n"
    )
    routes = (
        'routes:\n  - {action: "Booking*", handler: "typed:door"}\n'
        '  - {action: [BookingCreate, CoworkerCreate], handler: "typed:room"}\n'
        '  - {action: "*", handler: "typed:any"}\n'
    )

    status, shown = answer(tmp_path, routes=routes, **GUARDED)

    assert status == 0
    assert shown["warnings"] == [
        (
            "routes.yaml:3: route 'room': its handler takes Event[Booking], but as far as is known "
            "CoworkerCreate carries a Coworker"
        )
    ]


def test_more_routes_than_one_call_serves_are_named_with_the_bound(tmp_path: Path) -> None:
    """A warning: all of them get their deliveries, in several calls. More routes than a table may have are wrong."""

    def table(number: int) -> str:
        return "routes:\n" + "".join(
            f"  - {{name: r{n}, action: BookingCreate, handler: log, order: entity}}\n" for n in range(number)
        )

    status, shown = answer(tmp_path, routes=table(301), **GUARDED)
    assert status == 0
    (warning,) = shown["warnings"]
    assert "301 routes want BookingCreate" in warning
    assert "1200 deliveries of an event in one call (300 where" in warning
    assert "up to the 5000 routes" in warning
    assert answer(tmp_path, routes=table(300), **GUARDED)[1]["warnings"] == []

    status, shown = answer(tmp_path, routes=table(5_001), **GUARDED)
    assert (status, shown["problems"][0]["message"]) == (1, "routes: has 5001 items, and may have 5000")


TEMPLATES = """\
locations:
  1001: {name: Eiffel, time_zone: Europe/Paris}
routes:
  - name: tell
    action: [BookingCreate, CoworkerInvoicePaid]
    handler: notify
    with:
      to: env/CHAT
      title: "{{ data.ResorceName }}"
      message: |
        Hello
        {{ data.UpdatedOn | local }}
        {{ data.ResourceName | default("") }} {{ data.Custom7 }} {{ data.FromTime }}
  - {name: null-here, action: BookingCreate, handler: notify, with: {to: env/CHAT, message: "{{ data.Invoice.Id }}"}}
"""


LACKS = "as far as is known, the record of"
MISSPELT = "has no field 'ResorceName'; did you mean 'ResourceName'?"
NULL = "the template fails: null has no field 'Id', for a sample of BookingCreate"


def test_templates_are_rendered_with_samples_of_their_actions(tmp_path: Path) -> None:
    """Each warning has its line; one that is misspelt, one that only some records have, one that meets a null."""
    status, shown = answer(tmp_path, routes=TEMPLATES, **GUARDED, CHAT="json://127.0.0.1:9")

    assert (status, shown["problems"]) == (0, [])
    assert [warning.removeprefix("routes.yaml:").split(": ", 3) for warning in shown["warnings"]] == [
        ["9", "route 'tell'", "option 'title'", f"{LACKS} CoworkerInvoicePaid, BookingCreate {MISSPELT}"],
        ["13", "route 'tell'", "option 'message'", f"{LACKS} CoworkerInvoicePaid has no field 'FromTime'"],
        ["14", "route 'null-here'", "option 'message'", NULL],
    ]


def test_a_wrong_template_is_a_problem_with_its_line(tmp_path: Path) -> None:
    """And so is what is said of a location."""
    wrong = TEMPLATES.replace("| local }}", "| lokal }}")
    status, shown = answer(tmp_path, routes=wrong, **GUARDED, CHAT="json://127.0.0.1:9")
    (problem,) = shown["problems"]
    assert (status, problem["line"]) == (1, 10)
    assert "is no template, line 2: there is no filter 'lokal'; did you mean 'local'?" in problem["message"]

    wrong = TEMPLATES.replace("Europe/Paris", "Europe/Pariss").replace("name: Eiffel", "nam: Eiffel")
    status, shown = answer(tmp_path, routes=wrong, **GUARDED, CHAT="json://127.0.0.1:9")
    assert {problem["line"] for problem in shown["problems"]} == {2}
    assert "did you mean 'Europe/Paris'?" in str(shown["problems"])
    assert "did you mean 'name'?" in str(shown["problems"])


ROWS = """\
routes:
  - {name: rows, action: [CoworkerInvoiceCreate, CoworkerInvoicePaid], handler: sql, with: {url: env/ROWS,
     table: rows, mode: upsert, columns: {total: "{{ data.TotalAmount }}", number: "{{ data.InvoiceNumber }}"}}}
"""


def test_tables_are_made_when_that_is_asked_for_and_never_otherwise(tmp_path: Path) -> None:
    """A table that does not fit is a problem of the route, with the line of its option."""
    settings = GUARDED | {"ROWS": f"sqlite:///{tmp_path}/rows.db"}
    assert check(tmp_path, routes=ROWS, **settings).status == 0
    assert not (tmp_path / "rows.db").exists()

    made = check(tmp_path, "--create-tables", routes=ROWS, **settings)
    again = check(tmp_path, "--create-tables", routes=ROWS, **settings)

    assert (made.status, made.err) == (0, "frontdesk: made the table rows for the route rows\n")
    assert (again.status, again.err) == (0, "")
    with sqlite3.connect(tmp_path / "rows.db") as database:
        ((sentence,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'rows'").fetchall()
        database.execute("ALTER TABLE rows DROP COLUMN total")
    database.close()
    assert [part in sentence for part in ("entity VARCHAR(120)", "total NUMERIC", "number TEXT", "event_id")] == [
        True
    ] * 4
    status, shown = answer(tmp_path, "--create-tables", routes=ROWS, **settings)
    (problem,) = shown["problems"]
    assert (status, problem["line"]) == (1, 3)
    assert problem["message"] == "route 'rows': the table rows has no column total"
