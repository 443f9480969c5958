"""Tasks by address act on the right person even if a column has the name of one of SalesBlink's own fields."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)
from airflow_provider_salesblink.sandbox import Shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

    Writes = Callable[[], list[tuple[str, Any]]]

EVERY_SHAPE = [
    Shapes(id_style=id_style, columns=columns, collision=collision)
    for id_style, columns, collision in itertools.product(
        ("documented", "id", "_id"), ("flat", "data"), ("api", "column")
    )
]
HIDDEN = [("_id", "column", "_id"), ("documented", "column", "prospectID")]
NOT_SURE = "does not show for certain which prospect this is.*Nothing was changed.*prospect_id"


def shows_another(shapes: Shapes, column: str) -> bool:
    """Return whether a flat response shows another prospect's id."""
    if shapes.columns == "data":
        return False
    names = ["prospectID", "_id", "id"]
    own = "prospectID" if shapes.id_style == "documented" else shapes.id_style
    return shapes.collision == "column" if column == own else names.index(column) < names.index(own)


def acting(operator: str) -> dict[str, Any]:
    if operator == "unsubscribe":
        return UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})
    return UpdateProspectOperator(task_id="t", email="ana@example.com", fields={"City": "Oslo"}).execute({})


@pytest.mark.parametrize("operator", ["unsubscribe", "update"])
@pytest.mark.parametrize(("shapes", "column"), [
    (shapes, column) for shapes in EVERY_SHAPE for column in ("id", "_id", "prospectID")
    # A name that only SalesBlink uses, hidden by a column that cannot be loaded any longer: no response shows it.
    if (shapes.id_style, shapes.collision, column) not in HIDDEN
], ids=str)  # fmt: skip
def test_the_person_meant_is_acted_on_or_nobody(
    shapes: Shapes, column: str, operator: str, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    zoe = sandbox.add_person(campaign.id, {"Email": "zoe@example.com"})
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com", column: zoe})
    sandbox.shapes = shapes

    if shows_another(shapes, column):
        with pytest.raises(AirflowFailException, match=NOT_SURE) as refused:
            acting(operator)
        assert "@" not in str(refused.value)
        assert writes() == []
    else:
        assert acting(operator)["prospect_ids"] == [ana]
        assert [changed for _, changed, _ in writes()] == [ana]


@pytest.mark.parametrize(("id_style", "collision", "sure"), [
    ("documented", "api", True), ("_id", "api", True), ("id", "api", True), ("_id", "column", True),
    ("id", "column", False),
])  # fmt: skip
def test_a_column_id_of_a_crm_keeps_nobody_from_being_unsubscribed_unless_it_hides_the_id(
    id_style: Any, collision: Any, sure: bool, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com", "id": "CRM-17"})
    sandbox.shapes = Shapes(id_style=id_style, collision=collision)

    if sure:
        assert acting("unsubscribe") == {"outcome": "unsubscribed", "prospect_ids": [ana]}
        return
    with pytest.raises(AirflowFailException, match=NOT_SURE):
        acting("unsubscribe")
    assert writes() == []
    assert UnsubscribeOperator(task_id="t", prospect_id=ana).execute({})["outcome"] == "unsubscribed"


def test_one_unclear_prospect_does_not_keep_the_person_s_others_subscribed(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(sandbox.add_campaign("Other"), {"Email": "ana@example.com", "id": "CRM-17"})
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.shapes = Shapes(id_style="id", collision="column")

    with pytest.raises(AirflowFailException, match=NOT_SURE):
        acting("unsubscribe")

    assert [person.unsubscribed for person in sandbox.people()] == [False, True]


@pytest.mark.parametrize("shapes", [Shapes(), Shapes(id_style="_id"), Shapes(id_style="id", columns="data")])
def test_a_clear_answer_costs_no_further_read(shapes: Shapes, sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    columns = {"Email": "ana@example.com", "id": "CRM-17"} if shapes.id_style != "_id" else {"Email": "ana@example.com"}
    sandbox.add_person(campaign.id, columns)
    sandbox.shapes = shapes

    acting("update")
    acting("unsubscribe")

    assert [request.method for request in sandbox.requests] == ["GET", "POST"] * 2


@pytest.mark.parametrize("own", [{"status": "unsubscribed"}, {"Unsubscribed": "yes"}])
def test_a_column_that_says_opted_out_does_not_keep_the_opt_out_from_being_sent(
    own: dict[str, str], sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com", **own})
    sandbox.shapes = Shapes(state="none")

    assert acting("unsubscribe")["outcome"] == "unsubscribed"
    assert sandbox.people()[0].unsubscribed


@pytest.mark.parametrize("state", ["none", "status"])
def test_a_column_status_does_not_prove_that_somebody_did_not_opt_out(
    state: Any, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    out = {"Email": "ana@example.com", "status": "active"}
    sandbox.add_person(sandbox.add_campaign("Other"), out, unsubscribed=True)
    sandbox.shapes = Shapes(state=state, collision="column")
    adding = {"task_id": "t", "campaign_id": campaign.id, "data": {"Email": "ana@example.com"}}

    with pytest.raises(AirflowFailException, match="does not say whether they opted out"):
        AddProspectOperator(**adding).execute({})

    assert writes() == []


@pytest.mark.parametrize("name", ["_id", "campaignID", " prospectID"])
def test_a_name_that_only_salesblink_uses_is_refused_before_anything_is_sent(
    name: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    ana = {"Email": "ana@example.com", name: "17"}
    for operator in (
        AddProspectOperator(task_id="a", campaign_id=campaign.id, data=ana),
        UpdateProspectOperator(task_id="b", prospect_id="p1", fields={name: "17"}),
        UpdateProspectOperator(task_id="c", email="ana@example.com", fields={name: "17"}),
    ):
        with pytest.raises(AirflowFailException, match=f"'{name.strip()}', a name that only SalesBlink uses"):
            operator.execute({})
    assert not sandbox.requests


@pytest.mark.parametrize(("shapes", "own"), [
    (Shapes(id_style="id"), {"id": "17"}), (Shapes(id_style="_id"), {"campaign_id": "17"}),
    (Shapes(state="status"), {"status": "lead"}), (Shapes(), {"unsubscribed": "no"}),
])  # fmt: skip
@pytest.mark.parametrize("is_there", [False, True])
def test_a_single_person_s_unclear_column_is_refused_before_anything_is_sent(
    is_there: bool, shapes: Shapes, own: dict[str, str], sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    if is_there:
        sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.shapes = shapes
    add = AddProspectOperator(
        task_id="a", campaign_id=campaign.id, data={"Email": "ana@example.com", **own}, on_existing="update"
    )
    update = UpdateProspectOperator(task_id="b", email="ana@example.com", fields={"City": "Oslo", **own})

    for operator in [add, update] if is_there else [add]:
        with pytest.raises(AirflowFailException, match=f"called '{next(iter(own))}'.*columns="):
            operator.execute({})
    assert writes() == []


@pytest.mark.parametrize(("shapes", "own"), [
    (Shapes(), {"id": "17"}), (Shapes(), {"status": "lead"}), (Shapes(), {"campaign_id": "5"}),
    (Shapes(id_style="_id"), {"id": "17"}), (Shapes(id_style="_id", state="none"), {"status": "active"}),
    (Shapes(state="none"), {"unsubscribed": "no"}), (Shapes(columns="data", id_style="id"), {"id": "17"}),
])  # fmt: skip
def test_a_single_person_s_column_of_a_crm_is_set_once(
    shapes: Shapes, own: dict[str, str], sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(campaign.id, {"Email": "bo@example.com"})
    sandbox.shapes = shapes
    data = {"Email": "ana@example.com", **own}
    add = {"task_id": "a", "campaign_id": campaign.id, "data": data, "opt_out_unknown": "add"}
    outcomes = [AddProspectOperator(on_existing="update", **add).execute({})["outcome"] for _ in range(2)]
    changed = {name: f"{value}0" for name, value in own.items()}
    for _ in range(2):
        update = UpdateProspectOperator(task_id="b", email="ana@example.com", fields=changed)
        outcomes.append(update.execute({})["outcome"])

    assert outcomes == ["added", "unchanged", "updated", "unchanged"]
    assert len(writes()) == 2
    assert sandbox.people()[1].fields == {"Email": "ana@example.com", **changed}
