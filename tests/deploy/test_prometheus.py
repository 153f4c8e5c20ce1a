"""The alert rules and the dashboard: each names what a real receiver tells, and each rule fires when it should."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from receiver.core.events import EventStatus
from receiver.nexudus import hook_urls
from receiver.observation import arrival_baseline
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.redis import connection, keys
from receiver.storage.shared.registrar_state import HooksFound, RegistrarState
from receiver.storage.spool import reports
from receiver.storage.spool.handle import Contents
from tests.conftest import StartFrontdesk, program
from tests.support.events import entry, keep_all
from tests.support.processes import PATIENT, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "frontdesk.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "frontdesk.json"

_METRIC = re.compile(r"\bfrontdesk_[a-z_]+")

CALM = {
    'frontdesk_build_info{instance="a",version="1"}': "1x90",
    'frontdesk_ingest_requests_total{instance="a",answer="202",action="BookingCreate"}': "0+30x90",
    'frontdesk_ingest_requests_total{instance="a",answer="503",action="BookingCreate"}': "0x90",
    'frontdesk_ingest_seconds_bucket{instance="a",le="0.005"}': "0+30x90",
    'frontdesk_ingest_seconds_bucket{instance="a",le="2.5"}': "0+30x90",
    'frontdesk_ingest_seconds_bucket{instance="a",le="+Inf"}': "0+30x90",
    'frontdesk_store_up{instance="a"}': "1x90",
    'frontdesk_store_up{instance="b"}': "1x90",
    'frontdesk_spool_oldest_seconds{instance="a"}': "0x90",
    'frontdesk_spools_orphaned{instance="a"}': "0x90",
    'frontdesk_spool_set_aside_files{instance="a"}': "0x90",
    'frontdesk_spool_unusable{instance="a"}': "0x90",
    'frontdesk_server_unfit{instance="a",what="append-only"}': "0x90",
    'frontdesk_server_unfit{instance="a",what="eviction"}': "0x90",
    'frontdesk_store_losses{instance="a"}': "0x90",
    'frontdesk_unaccounted_events{instance="a"}': "0x90",
    'frontdesk_audit_age_seconds{instance="a"}': "30x90",
    'frontdesk_standing_events{instance="a",status="quarantined"}': "7x90",
    'frontdesk_standing_events{instance="a",status="dead"}': "3x90",
    'frontdesk_business_expected_events{instance="a",business="1001"}': "2x90",
    'frontdesk_routing_where_failed_total{instance="a",route="announce"}': "4x90",
    'frontdesk_queue_oldest_seconds{instance="a",queue="default"}': "1x90",
    'frontdesk_queue_workers{instance="a",queue="default"}': "2x90",
    'frontdesk_queue_workers{instance="a",queue="retired"}': "0x90",
    'frontdesk_queue_ready{instance="a",queue="default"}': "5x90",
    'frontdesk_queue_ready{instance="a",queue="retired"}': "0x90",
    'frontdesk_queue_scheduled{instance="a",queue="default"}': "0x90",
    'frontdesk_queue_scheduled{instance="a",queue="retired"}': "0x90",
    'frontdesk_attempts_total{instance="a",route="announce",outcome="succeeded"}': "0+30x90",
    'frontdesk_attempts_total{instance="a",route="announce",outcome="failed"}': "0+3x90",
    'frontdesk_route_down_seconds{instance="a",route="other"}': "15x90",
    'frontdesk_hooks{instance="a",condition="healthy"}': "24x90",
    'frontdesk_hooks{instance="a",condition="disabled"}': "0x90",
    'frontdesk_hooks{instance="a",condition="failing"}': "0x90",
    'frontdesk_hooks_looked_seconds{instance="a"}': "60x90",
    'frontdesk_retention_late_seconds{instance="a"}': "0x90",
    'frontdesk_gaps{instance="a",state="healed"}': "4x90",
    'frontdesk_gaps{instance="a",state="cannot"}': "0x90",
    'frontdesk_gaps{instance="a",state="confirm"}': "0x90",
    'frontdesk_gap_oldest_seconds{instance="a"}': "0x90",
}
"""What a Frontdesk in good order tells, every 15 seconds."""

TROUBLE: dict[str, dict[str, str | None]] = {
    "FrontdeskReceiverGone": {'frontdesk_build_info{instance="a",version="1"}': None},
    "FrontdeskRefusesEvents": {
        'frontdesk_ingest_requests_total{instance="a",answer="503",action="BookingCreate"}': "0x70 1+1x20"
    },
    "FrontdeskStoreAway": {'frontdesk_store_up{instance="b"}': "1x50 0x40"},
    "FrontdeskSpoolNotDraining": {'frontdesk_spool_oldest_seconds{instance="a"}': "0x50 0+15x40"},
    "FrontdeskSpoolOrphaned": {'frontdesk_spools_orphaned{instance="a"}': "0x50 1x40"},
    "FrontdeskSetAside": {'frontdesk_spool_set_aside_files{instance="a"}': "0x50 1x40"},
    "FrontdeskSpoolUnusable": {'frontdesk_spool_unusable{instance="a"}': "0x50 1x40"},
    "FrontdeskServerUnfit": {'frontdesk_server_unfit{instance="a",what="eviction"}': "0x80 1x10"},
    "FrontdeskStoreLost": {'frontdesk_store_losses{instance="a"}': "0x80 1x10"},
    "FrontdeskUnaccounted": {'frontdesk_unaccounted_events{instance="a"}': "0x80 1x10"},
    "FrontdeskAuditStale": {'frontdesk_audit_age_seconds{instance="a"}': "30x10 3500+15x80"},
    "FrontdeskRetentionBehind": {'frontdesk_retention_late_seconds{instance="a"}': "0x80 700x10"},
    "FrontdeskQuarantineGrowing": {'frontdesk_standing_events{instance="a",status="quarantined"}': "7x80 8+1x10"},
    "FrontdeskBusinessSilent": {'frontdesk_business_expected_events{instance="a",business="1001"}': "2x40 9x50"},
    "FrontdeskFilterFails": {'frontdesk_routing_where_failed_total{instance="a",route="announce"}': "4x80 5x10"},
    "FrontdeskIngestSlow": {'frontdesk_ingest_seconds_bucket{instance="a",le="0.005"}': "0x90"},
    "FrontdeskOldestWaiting": {'frontdesk_queue_oldest_seconds{instance="a",queue="default"}': "1x40 1+15x50"},
    "FrontdeskQueueWithoutWorker": {'frontdesk_queue_workers{instance="a",queue="default"}': "2x50 0x40"},
    "FrontdeskDeadGrowing": {'frontdesk_standing_events{instance="a",status="dead"}': "3x85 4x5"},
    "FrontdeskRouteFails": {
        'frontdesk_attempts_total{instance="a",route="announce",outcome="failed"}': "0+90x90",
        'frontdesk_attempts_total{instance="b",route="announce",outcome="failed"}': "0+90x90",
    },
    "FrontdeskTargetDown": {'frontdesk_route_down_seconds{instance="a",route="announce"}': "_x75 0+15x15"},
    "FrontdeskHookDisabled": {'frontdesk_hooks{instance="a",condition="disabled"}': "0x50 1x40"},
    "FrontdeskHookFails": {'frontdesk_hooks{instance="a",condition="failing"}': "0x30 2x60"},
    "FrontdeskGapOpen": {'frontdesk_gap_oldest_seconds{instance="a"}': "0x50 3700+15x40"},
    "FrontdeskGapCannotHeal": {'frontdesk_gaps{instance="a",state="confirm"}': "0x50 2x40"},
    "FrontdeskRegistrarSilent": {'frontdesk_hooks_looked_seconds{instance="a"}': "60x10 60+15x80"},
}
"""For each rule what has to change for it to fire, and no other rule."""


def _rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(RULES.read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def _expressions() -> dict[str, list[str]]:
    """Return the expressions of the rules and of the dashboard's panels, each with a name for it."""
    found = {rule["alert"]: [rule["expr"]] for rule in _rules()}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        found.setdefault(f"panel {panel['title']}", []).extend(one["expr"] for one in panel.get("targets", []))
    return found


@pytest.mark.needs("promtool")
def test_the_rules_and_the_configuration_are_prometheuss() -> None:
    """By its own tool; without a warning of its linter."""
    for arguments in (["rules", "--lint-fatal", str(RULES)], ["config", str(RULES.with_name("prometheus.yml"))]):
        checked = subprocess.run(
            [program("promtool"), "check", *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.needs("promtool")
def test_each_rule_fires_for_its_trouble_and_for_nothing_else(tmp_path: Path) -> None:
    """And none while all is well, with retired queues, old dead deliveries and two receivers that tell the same."""
    assert {rule["alert"] for rule in _rules()} == TROUBLE.keys()
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in _rules()}
    tests = [_case({}, [])]
    tests += [_case(changed, [(alert, severities[alert])]) for alert, changed in TROUBLE.items()]
    file = tmp_path / "rules_test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": tests}))

    tested = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False, timeout=60
    )

    assert tested.returncode == 0, tested.stdout + tested.stderr


def _case(changed: dict[str, str | None], alerts: list[tuple[str, str]]) -> dict[str, Any]:
    series: dict[str, str | None] = {**CALM, **changed}
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items() if values],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
                "eval_time": "22m30s",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}", severity="{severity}"}}', "value": 1}
                    for alert, severity in alerts
                ],
            }
        ],
    }


def test_every_rule_tells_what_to_do() -> None:
    """A summary for the pager, a description with a remedy, and a severity that deploy/ explains."""
    for rule in _rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert len(rule["annotations"]["summary"]) > 15
        assert len(rule["annotations"]["description"]) > 20


def test_every_metric_that_is_named_is_told(frontdesk: StartFrontdesk, redis_url: str, tmp_path: Path) -> None:
    """By a receiver and workers that have worked, over a store in which everything that can stand there does."""
    (tmp_path / "routes.yaml").write_text(
        "routes:\n"
        "  - {name: announce, action: '*', where: data.Tentative == false, handler: log}\n"
        "  - {name: tell, action: '*', handler: forward, retry: [1h], with: {url: 'http://127.0.0.1:1/'}}\n"
    )
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_URL_KEYS": "a-key",
        "FRONTDESK_PORT": "0",
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_LOG_FORMAT": "json",
        **PATIENT,
    }
    with connection.connect(redis_url) as client:
        _furnish(client)
        serving = frontdesk("serve", settings=settings)
        port = serving.wait_for(r'"port":(\d+)')[1]
        url = f"http://127.0.0.1:{port}"
        _post(url, b'[{"Id":1,"Tentative":false}]')
        _post(url, b'[{"Id":2}]')
        _post(url, b"no JSON")
        frontdesk("work", settings=settings)
        counted = ("handler_seconds_count", "where_failed", "frontdesk_retries_total{")
        text = wait_until(
            lambda: found if all(map((found := _scrape(url)).__contains__, counted)) else None,
            "what the workers counted",
        )
        client.close()

    samples = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    # A counter without an occasion has no sample yet; its name stands all the same.
    samples |= {f"{name}_total" for name in re.findall(r"# TYPE (frontdesk_connections_refused)_total counter", text)}
    unknown = {
        name: missing
        for name, expressions in _expressions().items()
        if (missing := {metric for one in expressions for metric in _METRIC.findall(one)} - samples)
    }
    assert unknown == {}
    documented = set(_METRIC.findall((DEPLOY / "prometheus" / "README.md").read_text()))
    told = {
        re.sub("_(bucket|count|sum)$", "", name)
        for name in samples
        if name.startswith("frontdesk_") and not name.endswith("_created")
    }
    assert told - documented == set()


def _furnish(client: redis.Redis) -> None:
    """Let there be one of everything."""
    kept = entry()
    keep_all(client, kept, entry(b'{"Id":9}', routes=()), entry(b"torn", quarantine="torn"))
    RegistrarState(client).remember_found(HooksFound(1, 3, {1001: {"disabled": 1, "failing": 2}}))
    RegistrarState(client).count("reenabled")
    client.hset(keys.RHYTHM, "1001", json.dumps([2.0] * arrival_baseline.WEEK))
    client.hset(keys.ALERTS, "unaccounted", json.dumps({"opened_ms": 1}))
    client.hset(keys.SPOOLS, "gone", reports.value(Path("/gone"), Contents(1, 100, 1), now_ms=1))
    client.zadd(keys.standing(EventStatus.DEAD), {kept.envelope.id: 1})
    client.hset(keys.gate("gone"), mapping={"open": 1, "next": 1})
    client.zadd(keys.GATES, {"gone": "+inf"})
    Maintenance(client).turn()


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url + hook_urls.path("a-key", 1001, "BookingCreate"), body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 202


def _scrape(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        return str(answer.read(), "utf-8")


def test_the_dashboard_can_be_imported() -> None:
    """Each panel has its place and its own id, asks the data source that the reader chooses, and says what it shows."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
