"""Column names on the API v1: users write them as on the classic API; they travel in snake_case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkClient
from airflow_provider_salesblink.client.v1.column_names import (
    API_KEYS,
    SYSTEM_FIELDS,
    ColumnValues,
    is_reserved,
    snake_case,
    to_wire,
)
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.v1.contract import contract

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

BO = "bo@example.com"


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("First Name", "first_name"),
        ("first_name", "first_name"),
        ("firstName", "first_name"),
        ("FIRST NAME", "first_name"),
        ("Last Name", "last_name"),
        ("Email", "email"),
        ("E-Mail", "email"),
        ("Company", "company_name"),
        ("company", "company_name"),
        ("Company Name", "company_name"),
        ("Job Title", "job_title"),
        ("jobTitle", "job_title"),
        ("LinkedIn URL", "linked_in_url"),
        (" Deal-Size (EUR) ", "deal_size_eur"),
        ("Größe", "grosse"),
        ("Prénom", "prenom"),
        ("2nd Phone", "2nd_phone"),
        ("a__b", "a_b"),
    ],
)
def test_a_name_travels_in_snake_case(name: str, wire: str) -> None:
    assert snake_case(name) == wire


@pytest.mark.parametrize("name", ["", "   ", "___", "名前", "!?"])
def test_a_name_of_which_nothing_is_left_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="Rename the column; nothing was sent"):
        snake_case(name)


def test_the_columns_of_an_add_travel_in_snake_case(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    client.prospects.add(
        campaign.id, {"First Name": "Bo", "Email": BO, "Company": "Northwind", "Job Title": "CTO", "Größe": 7}
    )

    (sent,) = (request for request in sandbox.requests if request.method == "POST")
    assert sent.body == {
        "list_id": sandbox.lists(campaign.id)[0].id,
        "contacts": [{"first_name": "Bo", "email": BO, "company_name": "Northwind", "job_title": "CTO", "grosse": 7}],
        "remove_duplicates": True,
    }


@pytest.mark.parametrize("lead_case", ["snake", "title"])
@pytest.mark.parametrize("lead_columns", ["flat", "custom_fields"])
def test_columns_answer_to_the_names_that_the_user_gave(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, lead_case: Any, lead_columns: Any
) -> None:
    sandbox.v1 = V1Rules(lead_case=lead_case, lead_columns=lead_columns, import_delay=0, dedupe_delay=0)
    given = {"Email": BO, "First Name": "Bo", "Company": "Northwind", "Job Title": "CTO", "Größe": "7"}
    added = client.prospects.add(campaign.id, given)

    assert added["fields"] == given
    (read,) = client.prospects.list(campaign.id)
    assert {name: read["fields"][name] for name in given} == given
    assert (read["fields"]["company_name"], read["fields"]["job_title"]) == ("Northwind", "CTO")
    assert [read["fields"].get(name) for name in ("Phone", "id", "list_id", "archived")] == [None] * 4
    assert not read["fields"].keys() & (API_KEYS | {"status"})


def test_values_of_a_lead() -> None:
    values = ColumnValues.of_lead(
        {"id": "1", "list_id": "l1", "email": BO, "company_name": "X", "deal_size": 7, "b": None}
    )

    assert dict(values) == {"Email": BO, "Company": "X", "deal_size": 7}
    assert (values["Deal Size"], values["company"], values["company_name"]) == (7, "X", "X")
    assert "Deal-Size" in values
    assert "Phone" not in values
    assert "名前" not in values
    assert 7 not in values
    assert (values.get("Phone"), values.get("Phone", "none"), values.get("deal size")) == (None, "none", 7)
    with pytest.raises(KeyError, match="Phone"):
        values["Phone"]


@pytest.mark.parametrize(
    "columns",
    [
        {"Job Title": "a", "job_title": "b"},
        {"Job Title": "a", "Job-Title": "b"},
        {"Größe": "a", "grosse": "b"},
        {"Prénom": "a", "prenom": "b"},
    ],
)
def test_two_names_that_fall_on_one_are_refused_before_anything_is_sent(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, columns: dict[str, str]
) -> None:
    first, second = columns
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})

    for call in (
        lambda: client.prospects.add(campaign.id, {"Email": BO, **columns}),
        lambda: client.prospects.send(campaign.id, [{"Email": BO, **columns}]),
        lambda: client.prospects.update(ana, columns),
        lambda: client.leads.add("l1", [{"Email": BO, **columns}]),
    ):
        with pytest.raises(
            InvalidInputError, match=f"two columns, '{first}' and '{second}'.*Nothing was sent"
        ) as caught:
            call()
        assert caught.value.permanent
    assert sandbox.requests == []


def test_the_system_fields_are_those_of_the_contract() -> None:
    description = str(contract()["paths"]["/leads/{id}"]["patch"])

    assert [name for name in SYSTEM_FIELDS if name not in description] == []


@pytest.mark.parametrize("name", sorted(API_KEYS))
def test_a_name_that_salesblink_uses_is_refused_before_anything_is_sent(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, name: str
) -> None:
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})

    for call in (
        lambda: client.prospects.add(campaign.id, {"Email": BO, name: "x"}),
        lambda: client.prospects.update(ana, {name: "x"}),
        lambda: client.leads.add("l1", [{"Email": BO, name: "x"}]),
        lambda: client.leads.update(ana, {name: "x"}),
    ):
        with pytest.raises(InvalidInputError, match=f"'{name}'.*SalesBlink uses this name itself"):
            call()
    assert sandbox.requests == []


@pytest.mark.parametrize("name", ["List ID", "Account-Id", "CUSTOM FIELDS", "Archived", " id "])
def test_another_spelling_of_a_system_field_is_refused(name: str) -> None:
    assert is_reserved(name)
    with pytest.raises(InvalidInputError, match="SalesBlink uses this name itself"):
        to_wire("data", {name: "x"})


@pytest.mark.parametrize("name", ["Email", "status", "Phone"])
def test_other_names_are_free(name: str) -> None:
    assert not is_reserved(name)
