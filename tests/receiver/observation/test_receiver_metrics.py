"""What is counted in plain numbers is what Prometheus is told."""

import pytest

from receiver.observation.receiver_metrics import IngestMetrics


def test_sums_are_what_single_counts_would_be() -> None:
    """Counters, the histogram's buckets and its sum; asking twice counts nothing twice."""
    metrics = IngestMetrics({"BookingCreate"})
    for seconds in (0.0005, 0.001, 0.002, 20.0):
        metrics.answered(202, "BookingCreate", seconds)
    metrics.answered(404, None, 1.0)
    metrics.answered(202, "RobotDances", 0.3)
    metrics.event("accepted", "BookingCreate")
    metrics.event("accepted", "RobotDances")
    metrics.exposition()

    lines = metrics.exposition().decode().splitlines()

    assert 'frontdesk_ingest_requests_total{action="BookingCreate",answer="202"} 4.0' in lines
    assert 'frontdesk_ingest_requests_total{action="other",answer="202"} 1.0' in lines
    assert 'frontdesk_ingest_requests_total{action="other",answer="404"} 1.0' in lines
    assert 'frontdesk_ingest_events_total{action="other",status="accepted"} 1.0' in lines
    buckets = [line.rpartition(" ")[2] for line in lines if line.startswith("frontdesk_ingest_seconds_bucket")]
    assert [float(count) for count in buckets] == [2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5]
    assert "frontdesk_ingest_seconds_count 5.0" in lines
    (total,) = (line.rpartition(" ")[2] for line in lines if line.startswith("frontdesk_ingest_seconds_sum"))
    assert float(total) == pytest.approx(20.3035)
