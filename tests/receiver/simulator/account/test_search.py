"""The simulator's search is that of the page "Search WebHooks": filters, ranges, order, pages."""

from typing import Any

import pytest

from receiver.simulator.account import search
from receiver.simulator.account.refusals import Invalid
from receiver.simulator.account.tenant import Tenant


def _hook(number: int, **fields: object) -> dict[str, Any]:
    record: dict[str, Any] = {"Id": number, "BusinessId": 1001, "Name": "Frontdesk", "Action": 6, "Active": True}
    record |= {"URL": "https://a.example/", "Description": None, "LastError": None, "ErrorCount": 0}
    return record | {"LastTrigger": None, "CreatedOn": "2026-01-01T10:30:00Z", "UpdatedOn": "2026-01-01"} | fields


HOOKS = [
    _hook(1),
    _hook(2, BusinessId=100, Name="CRM", Action=60, Active=False, ErrorCount=11, LastError="500", URL="https://b/"),
    _hook(3, LastTrigger="2026-02-01T00:00:00Z", CreatedOn="2026-01-02T00:00:00Z", ErrorCount=2),
]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, [1, 2, 3]),
        ({"WebHook_Business": "100"}, [2]),
        ({"WebHook_Action": "6"}, [1, 3]),
        ({"WebHook_Active": "false"}, [2]),
        ({"WebHook_Name": "crm"}, [2]),
        ({"WebHook_URL": "b/"}, [2]),
        ({"WebHook_LastError": "50", "WebHook_Active": "true"}, []),
        ({"WebHook_ErrorCount": "2"}, [3]),
        ({"from_WebHook_ErrorCount": "2", "to_WebHook_ErrorCount": "10"}, [3]),
        ({"from_WebHook_LastTrigger": "2026-01-01T00:00"}, [3]),
        ({"to_WebHook_CreatedOn": "2026-01-01T10:30"}, [1, 2]),
        ({"to_WebHook_CreatedOn": "2026-01-01T10:29"}, []),
        ({"from_WebHook_ErrorCount": "many", "UpdatedSince": "2027"}, [1, 2, 3]),
        ({"orderBy": "ErrorCount", "dir": "1"}, [2, 3, 1]),
        ({"orderBy": "LastTrigger", "dir": "0"}, [1, 2, 3]),
        ({"orderBy": "Colour"}, [1, 2, 3]),
    ],
)
def test_what_is_documented_filters_and_the_rest_is_ignored(params: dict[str, str], found: list[int]) -> None:
    """Whoever trusts a filter that Nexudus does not know gets everything."""
    assert [record["Id"] for record in search.matching(HOOKS, params)] == found


@pytest.mark.parametrize(("size", "shown"), [("2", 2), ("0", 3), ("-1", 3), ("x", 3), ("9" * 5_000, 3), ("²", 3)])
def test_an_odd_size_is_the_usual_one(size: str, shown: int) -> None:
    """Never an error."""
    page = search.page(HOOKS, {"size": size, "page": "1"}, largest=1_000, repeat=False)

    assert (len(page["Records"]), page["HasNextPage"]) == (shown, shown < 3)


def test_the_case_of_filter_names_does_not_matter_and_past_the_last_page_is_no_item() -> None:
    """As at the real one."""
    rows = [{"BusinessId": 1, "Name": "a"}, {"BusinessId": 2, "Name": "b"}]

    assert search.matching(rows, {"webHook_business": "2"}) == rows[1:]
    past = search.page(rows, {"page": "9", "size": "2"}, largest=10, repeat=False)
    assert (past["Records"], past["FirstItem"], past["LastItem"], past["TotalItems"]) == ([], 0, 0, 2)


@pytest.mark.parametrize("wrong", [{"Active": "yes"}, {"Description": 5}, {"Action": True}, {"BusinessId": True}])
def test_values_of_a_wrong_type_are_refused(wrong: dict[str, object]) -> None:
    """And the text of a record follows its name."""
    tenant = Tenant({1: "one"})
    sent = {"BusinessId": 1, "Name": "n", "Action": 6, "URL": "https://a.example/"}
    number = tenant.create(sent)["Id"]

    for call in (tenant.create, tenant.update):
        with pytest.raises(Invalid, match=next(iter(wrong))):
            call(sent | wrong | {"Id": number})
    assert tenant.update(sent | {"Id": number, "Name": "m"})["ToStringText"] == "WebHook m"
