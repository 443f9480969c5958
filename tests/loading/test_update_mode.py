"""The mode that never adds, and loads that set empty fields only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.client.columns import differing
from airflow_provider_salesblink.loading.rows import Reject, Row
from tests.apis import BOTH
from tests.loading.people import accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Mode, Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

THERE = [
    {"Email": "ana@example.com", "First Name": "Ana", "Company": "Old"},
    {"Email": "ben@example.com", "First Name": "", "Company": "Old"},
]


@pytest.fixture
def inhabited(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    for columns in THERE:
        sandbox.add_person(campaign.id, columns)
    sandbox.add_person(campaign.id, {"Email": "eve@example.com", "Company": "Old"}, unsubscribed=True)


def written(api: Api) -> list[tuple[str, Any]]:
    return [(word, columns) for word, _, columns in api.writes()]


@pytest.mark.usefixtures("inhabited")
def test_an_update_changes_who_is_there_and_adds_nobody(
    api: Api, load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    rows = [
        {"Email": "ANA@example.com", "Company": "New"}, {"Email": "ben@example.com", "Company": "Old"},
        {"Email": "eve@example.com", "Company": "New"}, {"Email": "new@example.com", "Company": "New"},
        {"Email": "New@example.com", "Company": "New"}, {"Email": "nobody"},
    ]  # fmt: skip

    report = load_rows(rows, mode="update", max_rejected=1)

    assert written(api) == [("update", {"Company": "New"})]
    assert len(sandbox.people()) == 3
    xcom = report.for_xcom()
    counts = {"updated": 1, "there": 1, "opted_out": 1, "missing": 1, "repeats": 1, "rejected": 1, "added": 0}
    assert {name: xcom[name] for name in counts} == counts
    assert accounted_for(report) == len(rows)


@pytest.mark.usefixtures("inhabited")
def test_an_update_unsubscribes_who_opted_out_and_no_one_else(api: Api, load_rows: Callable[..., Report]) -> None:
    rows = [Row(1, {"Email": "ana@example.com"}, opted_out=True), Row(2, {"Email": "new@example.com"}, opted_out=True)]

    report = load_rows(iter(rows), mode="update")

    assert written(api) == [("unsubscribe", None)]
    assert (report.for_xcom()["opted_out"], report.for_xcom()["missing"]) == (2, 0)


@pytest.mark.parametrize("later", ["opts out", "in doubt"])
def test_a_later_row_of_a_missing_person_counts_them_once(later: str, load_rows: Callable[..., Report]) -> None:
    columns = {"Email": "new@example.com"}
    second = Row(2, columns, opted_out=True) if later == "opts out" else Reject(2, "?", columns, blocks_person=True)

    report = load_rows(iter([Row(1, columns), second]), mode="update", max_rejected=2)

    assert report.for_xcom()["missing"] == 0
    assert accounted_for(report) == 2


def test_an_update_is_allowed_where_adds_are_not(
    load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient], sandbox: Sandbox,
    campaign: CampaignUnderTest,
) -> None:  # fmt: skip
    sandbox.add_person(campaign.id, THERE[0])
    client = new_client(adds_refused="Not on this machine.")

    report = load_rows([{"Email": "ana@example.com", "Company": "New"}], client=client, mode="update")
    with pytest.raises(InvalidInputError, match="Not on this machine"):
        load_rows([{"Email": "ana@example.com", "Company": "New"}], client=client, mode="upsert")

    assert report.updated == 1


@pytest.mark.usefixtures("inhabited")
@pytest.mark.parametrize("mode", ["upsert", "update", "mirror"])
def test_only_empty_fields_are_filled(mode: Mode, api: Api, load_rows: Callable[..., Report]) -> None:
    rows = [
        {"Email": "ana@example.com", "first name": "Anna", "Company": "New"},
        {"Email": "ben@example.com", "First Name": "Ben", "Company": "New", "City": "Oslo"},
    ]

    first = load_rows(rows, mode=mode, fill_empty=True)
    sent = written(api)
    again = load_rows([{**row, "City": "Rome"} for row in rows[1:]], mode="update", fill_empty=True)

    assert sent == [("update", api.columns({"First Name": "Ben", "City": "Oslo"}))]
    assert (first.updated, first.for_xcom()["there"]) == (1, 1)
    assert (again.updated, again.for_xcom()["there"]) == (0, 1)


@pytest.mark.usefixtures("inhabited")
def test_without_it_filled_fields_are_overwritten(api: Api, load_rows: Callable[..., Report]) -> None:
    load_rows([{"Email": "ana@example.com", "First Name": "Anna"}], mode="update")

    assert written(api) == [("update", {"First Name": "Anna"})]


@pytest.mark.parametrize(
    ("current", "is_empty"),
    [
        *((empty, True) for empty in (None, "", " \u200b", float("nan"))),
        *((filled, False) for filled in ("x", 0, False, ["x"])),
    ],
)
def test_what_counts_as_an_empty_field(current: object, is_empty: bool) -> None:
    found = differing({"City": current}, {"City": "Oslo", "Plan": "A"}, only_empty=True)

    assert found == ({"City": "Oslo", "Plan": "A"} if is_empty else {"Plan": "A"})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fill_empty": True}, "fill_empty has no effect with mode 'insert'"),
        ({"fill_empty": "yes", "mode": "update"}, "fill_empty is a str: pass True or False"),
        ({"mode": "updates"}, "mode is not one of 'insert', 'upsert', 'update', 'mirror'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], says: str, load_rows: Callable[..., Report], sandbox: Sandbox
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        load_rows([{"Email": "ana@example.com"}], **options)

    assert not sandbox.requests
