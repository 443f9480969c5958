"""Columns with the names of the API's own keys: they load, or the load refuses them; nobody else is ever acted on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.loading.add_person import add_person
from airflow_provider_salesblink.sandbox import Shapes
from tests.loading.people import reads, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

NAMES = ("id_style", "columns", "state", "collision")
EVERY_SHAPE = [
    Shapes(**dict(zip(NAMES, words, strict=True)))
    for words in itertools.product(
        ("documented", "id", "_id"), ("flat", "data"), ("paused", "status", "none"), ("api", "column")
    )
]
HIDDEN = [("_id", "column", "_id"), ("documented", "column", "prospectID")]
SHARED = {
    "id": {"id": "CRM-17"}, "status": {"status": "active"}, "lead": {"status": "lead"},
    "campaign_id": {"campaign_id": "5"}, "unsubscribed": {"unsubscribed": "no"},
}  # fmt: skip


def worded(shapes: Shapes) -> str:
    return "-".join(getattr(shapes, name) for name in NAMES)


def is_clear(shapes: Shapes, column: str) -> bool:
    """Whether flat answers of this shape show whose value stands under the name of a column."""
    return (
        shapes.columns == "data"
        or {
            "id": shapes.id_style != "id",
            "campaign_id": shapes.id_style == "documented",
            "status": shapes.state != "status",
            "unsubscribed": shapes.state != "paused",
        }[column]
    )


@pytest.mark.parametrize("own", SHARED.values(), ids=SHARED)
@pytest.mark.parametrize("shapes", EVERY_SHAPE, ids=worded)
def test_a_column_of_a_crm_is_loaded_once_and_never_again_or_refused_before_anything_is_sent(
    own: dict[str, str], shapes: Shapes, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "bo@example.com", "City": "Rome"})
    sandbox.shapes = shapes
    (column,) = own
    rows = [{"Email": f"p{number}@example.com", "City": "Oslo", **own} for number in range(3)]

    if not is_clear(shapes, column):
        with pytest.raises(InvalidInputError, match=f"called '{column}'.*" + r"columns=\{" + f'"{column}": "CRM '):
            load_rows(rows, mode="upsert")
        assert writes(sandbox) == []
        assert len(sandbox.people()) == 1
        return
    load_rows(rows, mode="upsert")
    assert writes(sandbox) == ["prospect-add"] * 3
    for person in sandbox.people()[1:]:
        assert person.fields[column] == own[column]
    report = load_rows(rows, mode="upsert")
    assert writes(sandbox) == ["prospect-add"] * 3
    assert report.planned.there == 3


@pytest.mark.parametrize("shapes", [
    Shapes(id_style="id"), Shapes(id_style="_id", columns="flat"), Shapes(state="status"), Shapes(state="paused"),
])  # fmt: skip
def test_where_the_campaign_holds_nobody_its_own_record_shows_what_is_unclear(
    shapes: Shapes, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    sandbox.shapes = shapes
    for own in SHARED.values():
        (column,) = own
        rows = [{"Email": "ana@example.com"}, {"Email": "bo@example.com", **own}]
        if is_clear(shapes, column):
            continue
        with pytest.raises(InvalidInputError, match=f"called '{column}'"):
            load_rows(rows)
        assert sandbox.people() == []
        assert reads(sandbox) <= 2 * len(SHARED)


def test_rows_without_such_a_column_cost_no_further_read(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    sandbox.shapes = Shapes(id_style="id", state="status")

    load_rows([{"Email": "ana@example.com", "CRM id": "17"}], mode="upsert", opt_out_scope="campaign")

    assert [request.method for request in sandbox.requests] == ["GET", "POST"]


@pytest.mark.parametrize("name", ["_id", "campaignID", "prospectID", " prospectID "])
@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_a_name_that_only_salesblink_uses_refuses_the_whole_load(
    name: str, mode: Any, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com", "City": "Rome"})
    rows = [
        {"Email": "ana@example.com", "City": "Oslo"}, {"Email": "bo@example.com"}, {"Email": "cy@x.yz", name: "bo@x.yz"}
    ]  # fmt: skip

    with pytest.raises(InvalidInputError, match=f"'{name.strip()}', a name that only SalesBlink uses.*columns=") as no:
        load_rows(rows, mode=mode, max_rejected=9)

    assert "@" not in str(no.value)
    assert no.value.permanent
    assert writes(sandbox) == []


@pytest.mark.parametrize(("shapes", "column"), [
    (shapes, column) for shapes in EVERY_SHAPE for column in ("id", "_id", "prospectID")
    # A name that only SalesBlink uses, hidden by a column that nobody can load any more: no answer would show it.
    if shapes.state == "paused" and (shapes.id_style, shapes.collision, column) not in HIDDEN
], ids=str)  # fmt: skip
@pytest.mark.parametrize("mode", ["upsert", "mirror"])
def test_a_load_changes_nobody_whose_id_stands_in_another_s_column(
    mode: Any, column: str, shapes: Shapes, sandbox: Sandbox, campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
) -> None:  # fmt: skip
    bystander = sandbox.add_person(sandbox.add_campaign("Other"), {"Email": "zoe@example.com", "City": "Rome"})
    for who in ("ana", "eve"):
        sandbox.add_person(campaign.id, {"Email": f"{who}@example.com", "City": "Rome", column: bystander})
    sandbox.shapes = shapes

    try:
        report = load_rows([{"Email": "ana@example.com", "City": "Oslo"}], mode=mode, max_unsubscribes=1)
    except LoadFailedError as failed:
        report = failed.report
        assert "does not show for certain which prospect this is" in report.first_rejects[0]

    zoe, ana, eve = sandbox.people()
    assert (zoe.fields["City"], zoe.unsubscribed) == ("Rome", False)
    assert (ana.fields["City"] == "Oslo") == bool(report.updated)
    assert eve.unsubscribed == bool(report.unsubscribed)
    assert report.updated + len(report.first_rejects) == (
        1 if mode == "upsert" else 2 - report.unsubscribed - report.held_back
    )
    if shapes.columns == "data":
        assert report.updated == 1


def test_where_the_id_is_unclear_a_change_costs_one_read_more_and_goes_to_the_right_person(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    for who in ("ana", "bo"):
        sandbox.add_person(campaign.id, {"Email": f"{who}@example.com", "City": "Rome"})
    rows = [{"Email": "ana@example.com", "City": "Oslo"}]

    for id_style, expected in (("id", ["GET", "GET", "POST", "GET", "POST"]), ("_id", ["GET"])):
        sandbox.shapes = Shapes(id_style=id_style)
        before = len(sandbox.requests)
        load_rows(rows, mode="mirror", max_unsubscribes=1)
        assert [request.method for request in sandbox.requests[before:]] == expected

    ana, bo = sandbox.people()
    assert (ana.fields["City"], ana.unsubscribed, bo.unsubscribed) == ("Oslo", False, True)


@pytest.mark.parametrize("on_existing", ["skip", "update", "add"])
def test_who_only_looks_as_if_they_were_in_the_campaign_is_added_to_it(
    on_existing: Any, sandbox: Sandbox, campaign: CampaignUnderTest, new_client: Callable[..., SalesBlinkClient]
) -> None:
    other = sandbox.add_campaign("Other")
    sandbox.add_person(other, {"Email": "ana@example.com", "campaign_id": campaign.id, "City": "Rome"})
    sandbox.shapes = Shapes(id_style="_id", collision="column")

    outcome, _ = add_person(
        new_client(), campaign.id, {"Email": "ana@example.com", "City": "Oslo"}, on_existing=on_existing
    )

    assert outcome == "added"
    assert [(person.campaign_id, person.fields["City"]) for person in sandbox.people()] == [
        (other, "Rome"), (campaign.id, "Oslo")
    ]  # fmt: skip
