"""Traces: one from the request to the handler and its target, to a real collector; none, at no cost, by default."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.core import settings
from receiver.core.errors import SettingsError
from receiver.core.events import Envelope
from receiver.nexudus import hook_urls
from receiver.observation import tracing
from receiver.storage.model import codec
from tests.conftest import StartFrontdesk
from tests.receiver.observation.collector import Collector
from tests.support.events import entry
from tests.support.processes import PATIENT, Process, run, wait_until
from tests.workers.handlers.targets import a_target

HANDLERS = """
from workers import Discard

def fail(event):
    raise ValueError("Jane Payload has no credit")

def drop(event):
    raise Discard("not ours")
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where spans arrive."""
    with Collector() as one:
        yield one


def _settings(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_URL_KEYS": "a-key",
        "FRONTDESK_PORT": "0",
        "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
        "FRONTDESK_LOG_FORMAT": "json",
        **PATIENT,
        **more,
    }


def _post(serving: Process, body: bytes, **headers: str) -> None:
    port = int(serving.wait_for(r'"port":(\d+)')[1])
    serving.wait_for_http(f"http://127.0.0.1:{port}/healthz")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", hook_urls.path("a-key", 1001, "BookingCreate"), body, headers)
    assert connection.getresponse().status == 202
    connection.close()


def test_one_trace_leads_from_the_request_to_the_target_of_forward(
    collector: Collector, redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """Over two processes and the queue. What a request claims of a trace is not believed, and no payload is in any."""
    (tmp_path / "deeds.py").write_text(HANDLERS)
    with a_target() as target:
        (tmp_path / "routes.yaml").write_text(
            f"""routes:
  - {{name: tell, action: "*", handler: forward, with: {{url: "{target.url()}", allow_private: true}}}}
  - {{name: fail, action: "*", handler: "deeds:fail", retry: []}}
  - {{name: drop, action: "*", handler: "deeds:drop"}}
"""
        )
        settings = _settings(redis_url, tmp_path, FRONTDESK_TRACES_URL=collector.url)
        serving = frontdesk("serve", settings=settings)
        claimed = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        _post(serving, b'[{"Id":1,"FullName":"Jane Payload"}]', traceparent=claimed)
        working = frontdesk("work", settings=settings, cwd=tmp_path)
        wait_until(lambda: len(collector.spans) == 4, lambda: f"four spans, not {collector.spans}")
        assert (serving.stop(), working.stop()) == (0, 0)

    (received,) = collector.named("receive BookingCreate")
    (told,), (failed,), (dropped,) = (collector.named(f"deliver {route}") for route in ("tell", "fail", "drop"))
    assert {span.trace_id for span in collector.spans} == {received.trace_id} != {"a" * 32}
    assert (received.parent_id, received.service, received.kind) == ("", "frontdesk-receiver", 2)
    assert {span.parent_id for span in (told, failed, dropped)} == {received.span_id}
    assert (told.service, told.kind) == ("frontdesk-worker", 5)
    assert received.attributes["http.response.status_code"] == 202
    assert received.attributes["frontdesk.event_id"] == told.attributes["frontdesk.event_id"]
    assert told.attributes["frontdesk.delivery_id"] == f"{told.attributes['frontdesk.event_id']}-1"
    assert [span.attributes["frontdesk.outcome"] for span in (told, failed, dropped)] == [
        "succeeded",
        "failed",
        "discarded",
    ]
    assert (told.failed, failed.failed, dropped.failed) == ("", "ValueError", "")
    (request,) = target.received
    assert request.headers["traceparent"] == f"00-{received.trace_id}-{told.span_id}-01"
    assert b"Payload" not in collector.raw
    assert collector.paths == {"/v1/traces"}


def test_without_the_setting_nothing_of_it_is_there(redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """No span, no header, no byte in the store, and nothing is imported that could send one.

    (redis-py imports OpenTelemetry's interface where it finds it, which is why it is not among what we install.)
    """
    with a_target() as target:
        (tmp_path / "routes.yaml").write_text(
            f"""routes:
  - {{name: tell, action: "*", handler: forward, with: {{url: "{target.url()}", allow_private: true}}}}
"""
        )
        (tmp_path / "sitecustomize.py").write_text(
            "import atexit, os, sys\n"
            "atexit.register(lambda: os.write(2, b'imported %r' % ('opentelemetry.exporter' in sys.modules)))\n"
        )
        settings = _settings(redis_url, tmp_path, PYTHONPATH=str(tmp_path))
        serving = frontdesk("serve", settings=settings)
        _post(serving, b'[{"Id":1}]')
        working = frontdesk("work", settings=settings, cwd=tmp_path)
        wait_until(lambda: target.received, "the delivery")
        assert (serving.stop(), working.stop()) == (0, 0)

    assert "traceparent" not in target.received[0].headers
    assert "imported False" in serving.output
    assert b"trace" not in codec.pack(entry().envelope)


def test_a_share_of_nothing_traces_nothing_in_any_process(
    collector: Collector, redis_url: str, frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """What the receiver decided holds for the worker: no trace without its beginning."""
    with a_target() as target:
        (tmp_path / "routes.yaml").write_text(
            f"""routes:
  - {{name: tell, action: "*", handler: forward, with: {{url: "{target.url()}", allow_private: true}}}}
"""
        )
        settings = _settings(redis_url, tmp_path, FRONTDESK_TRACES_URL=collector.url)
        serving = frontdesk("serve", settings=settings | {"FRONTDESK_TRACES_SAMPLE": "0"})
        _post(serving, b'[{"Id":1}]')
        working = frontdesk("work", settings=settings, cwd=tmp_path)
        wait_until(lambda: target.received, "the delivery")
        assert (serving.stop(), working.stop()) == (0, 0)

    assert collector.spans == []
    assert target.received[0].headers["traceparent"].endswith("-00")


@pytest.mark.parametrize(
    "parent",
    ["", "00-", "x" * 100_000, f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", f"00-{'A' * 32}-1-01"],
)
def test_a_context_that_is_none_begins_a_trace(collector: Collector, parent: str) -> None:
    """Whatever stands in the store."""
    traces = tracing.Tracing(collector.url, service="test", share=1.0)
    with traces.attempt("deliver tell", parent, {}) as span:
        assert span.traceparent.startswith("00-")
    traces.close()

    (received,) = collector.spans
    assert received.parent_id == ""


def test_a_collector_that_is_away_costs_nobody_anything() -> None:
    """Spans are dropped, and the end does not wait for more than two seconds. In a process of its own: the exporter
    tries again in a thread that nobody can stop."""
    script = (
        "from receiver.observation import tracing\n"
        "traces = tracing.Tracing('http://127.0.0.1:1', service='test', share=1.0)\n"
        "for _ in range(5_000):\n"
        "    with traces.attempt('deliver tell', '', {}): pass\n"
        "traces.close()\n"
        "print('closed')"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert (ended.returncode, ended.stdout) == (0, "closed\n")


def test_the_context_is_kept_with_the_event() -> None:
    """Where there is one."""
    envelope = entry().envelope
    traced = Envelope(
        envelope.id, 1001, "BookingCreate", 6, envelope.received_ms, b"{}", trace=f"00-{'a' * 32}-{'b' * 16}-01"
    )

    assert codec.unpack(codec.pack(traced)) == traced
    assert codec.unpack(codec.pack(envelope)).trace == ""


def test_check_and_serve_say_what_is_missing(tmp_path: Path) -> None:
    """When the extra is not installed: one sentence with the remedy."""
    script = (
        "import sys; sys.modules['opentelemetry.trace'] = None\n"
        "from receiver.observation import tracing; tracing.Tracing('http://127.0.0.1:1', service='x', share=1.0)"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "pip install 'frontdesk[otel]'" in ended.stderr
    with pytest.raises(SettingsError, match="FRONTDESK_TRACES_URL: must be http"):
        settings.from_environ({"FRONTDESK_TRACES_URL": "collector:4318"})
    assert run("check", settings={"FRONTDESK_TRACES_SAMPLE": "2"}).status == 1
