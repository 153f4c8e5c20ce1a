"""A request is accepted, quarantined or refused by one function, which ingest and release share."""

import pytest

from receiver.ingest.request_evaluation import Accepted, Quarantined, Refused, Request, evaluate

BODY = b'[{"Id":5},{"Id":6}]'


def test_a_readable_request_is_accepted_with_its_records() -> None:
    """Whatever the policy, when the signature holds."""
    for policy in ("quarantine", "reject", "accept"):
        found = evaluate(Request(1001, "BookingCreate", BODY, content_encoding=" Identity"), None, policy)

        assert isinstance(found, Accepted)
        assert [record.raw for record in found.records] == [b'{"Id":5}', b'{"Id":6}']


@pytest.mark.parametrize(
    ("policy", "kind"), [("quarantine", Quarantined("signature", "no")), ("reject", Refused("no")), ("accept", None)]
)
def test_a_bad_signature_is_the_policys_matter(policy: str, kind: Quarantined | Refused | None) -> None:
    """`frontdesk release --force` accepts it."""
    found = evaluate(Request(1001, "BookingCreate", BODY), "no", policy)  # type: ignore[arg-type]

    assert isinstance(found, Accepted) if kind is None else found == kind


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (BODY, "gzip", "compressed"),
        (BODY, "x" * 999, "compressed"),
        (b"[", None, "unreadable"),
        (b"5", "", "unreadable"),
    ],
)
def test_what_cannot_be_read_is_quarantined_under_every_policy(body: bytes, encoding: str | None, kind: str) -> None:
    """Never refused: after ten refusals Nexudus would disable the hook."""
    for policy in ("quarantine", "reject", "accept"):
        found = evaluate(Request(1001, "BookingCreate", body, content_encoding=encoding), None, policy)

        assert isinstance(found, Quarantined)
        assert found.kind == kind
        assert len(found.reason) < 200
