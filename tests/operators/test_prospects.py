"""Operators for prospects: they add nobody twice, add nobody who opted out, and send only what differs."""

from __future__ import annotations

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_salesblink.client import AmbiguousWriteError, ServerError
from airflow_provider_salesblink.operators.blocklist import UnblockOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    GetProspectOperator,
    ListProspectsOperator,
    SearchProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)
from airflow_provider_salesblink.sandbox import Shapes
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api, Write
    from tests.conftest import CampaignUnderTest

    Writes = Callable[[], list[Write]]

pytestmark = pytest.mark.apis(*BOTH)

ANA = {"Email": "ana@example.com", "First Name": "Ana", "Company": "Northwind"}


def add(campaign: CampaignUnderTest, data: Any = ANA, **options: Any) -> dict[str, Any]:
    operator = AddProspectOperator(task_id="t", campaign_id=campaign.id, data=data, **options)
    return operator.execute({})


def test_a_person_is_added_with_their_columns(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    result = add(campaign)

    (person,) = sandbox.people(campaign.id)
    assert result == {"outcome": "added", "campaign_id": campaign.id, "prospect_id": person.id}
    assert person.fields == ANA


@pytest.mark.parametrize("spelling", ["ana@example.com", " Ana@Example.COM "])
def test_an_existing_person_is_skipped_however_the_address_is_written(
    spelling: str, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, ANA)

    result = add(campaign, {"Email": spelling})

    assert result == {"outcome": "skipped", "campaign_id": campaign.id, "prospect_id": there}
    assert writes() == []


def test_an_airflow_retry_adds_nobody_twice(api: Api, sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    api.fault("prospect-add", "reset", when="after")
    api.fault("prospects", "status", status=503, times=None)
    with pytest.raises((AmbiguousWriteError, ServerError)):
        add(campaign)  # the first try cannot know whether it added the person, or cannot look them up
    sandbox.clear_faults()

    assert add(campaign)["outcome"] in ("added", "skipped")
    assert len(sandbox.people(campaign.id)) == 1


def test_an_ambiguous_write_fails_the_try_and_the_next_try_looks_first(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    # The look-up before the add succeeds, the one after it does not.
    api.fault("prospects", "slow", seconds=0, times=api.reads_of_look_up)
    api.fault("prospects", "status", status=500, times=None)
    api.fault("prospect-add", "reset", when="after")
    with pytest.raises(AmbiguousWriteError):
        add(campaign)
    sandbox.clear_faults()

    assert add(campaign)["outcome"] == "skipped"
    assert len(sandbox.people(campaign.id)) == 1


def test_a_retry_is_not_kept_out_by_the_reservation_of_the_try_before_it(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None]
) -> None:
    connection(extra={"timeout": 1})
    context = {"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)}
    api.fault("prospects", "slow", seconds=0, times=api.reads_of_look_up)
    api.fault("prospects", "status", status=500, times=None)
    api.fault("prospect-add", "reset", when="before")
    with pytest.raises(AmbiguousWriteError):
        AddProspectOperator(task_id="t", campaign_id=campaign.id, data=ANA).execute(context)
    sandbox.clear_faults()

    result = AddProspectOperator(task_id="t", campaign_id=campaign.id, data=ANA).execute(context)

    assert result["outcome"] == "added"
    assert len(sandbox.people()) == 1


def test_an_ambiguous_write_fails_the_task_where_a_retry_could_add_twice(api: Api, campaign: CampaignUnderTest) -> None:
    api.fault("prospects", "slow", seconds=0, times=api.reads_of_look_up)
    api.fault("prospects", "status", status=500, times=None)
    api.fault("prospect-add", "reset", when="after")

    with pytest.raises(AirflowFailException, match="or a person may be mailed twice"):
        add(campaign, on_existing="add")


# On v1, SalesBlink removes a person who is on the list already: on_existing="add" raises UnsupportedByApiError.
@pytest.mark.apis("classic")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_second_enrolment_with_a_lost_answer_is_one_more_and_not_the_first(
    when: str, api: Api, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    first = sandbox.add_person(campaign.id, ANA)
    api.fault("prospect-add", "reset", when=when)

    result = add(campaign, on_existing="add")

    assert [person.id for person in sandbox.people()] == [first, result["prospect_id"]]


def test_the_same_person_in_two_tasks_at_once_is_added_once(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    api.fault("prospect-add", "slow", when="before", seconds=0.3, times=None)
    operators = [
        AddProspectOperator(task_id="t", campaign_id=campaign.id, data={"Email": spelling})
        for spelling in ("ana@x.yz", "ANA@x.yz", "Ana@x.yz")
    ]

    with ThreadPoolExecutor(len(operators)) as pool:
        # Airflow 2.11 lets only its own thread call execute().
        results = list(pool.map(lambda operator: operator.call_salesblink(operator.hook.get_conn()), operators))

    assert sorted(each["outcome"] for each in results) == ["added", "skipped", "skipped"]
    assert len(sandbox.people()) == 1


def test_somebody_who_was_taken_out_of_the_campaign_can_be_added_again(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    add(campaign)
    sandbox.reset()
    sandbox.add_campaign(campaign.name, id=campaign.id)

    assert add(campaign)["outcome"] == "added"
    assert len(sandbox.people()) == 1


def test_an_add_that_was_refused_does_not_keep_the_next_one_out(api: Api, campaign: CampaignUnderTest) -> None:
    api.fault("prospect-add", "status", status=400)
    with pytest.raises(AirflowFailException):
        add(campaign)

    assert add(campaign)["outcome"] == "added"


# Shapes are those of the classic API.
@pytest.mark.apis("classic")
def test_a_person_who_may_have_opted_out_is_not_added_unless_the_task_allows_it(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(sandbox.add_campaign("Other"), ANA, unsubscribed=True)
    sandbox.shapes = Shapes(state="none")

    with pytest.raises(AirflowFailException, match="does not say whether they opted out"):
        add(campaign)
    assert writes() == []
    assert add(campaign, opt_out_unknown="add")["outcome"] == "added"


def test_somebody_in_another_campaign_is_added_to_this_one(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    sandbox.add_person(sandbox.add_campaign("Other"), ANA)

    assert add(campaign)["outcome"] == "added"


def test_the_campaign_is_searched_even_when_the_search_does_not_know_the_person(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(campaign.id, ANA)
    api.fault("prospect", "status", status=404)

    assert add(campaign)["outcome"] == "skipped"
    assert writes() == []


@pytest.mark.parametrize("on_existing", ["skip", "update", "add"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_person_who_opted_out_is_never_added_or_touched_again(
    on_existing: Any, elsewhere: bool, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    where = sandbox.add_campaign("Other") if elsewhere else campaign.id
    there = sandbox.add_person(where, {"Email": "ANA@example.com"}, unsubscribed=True)

    result = add(campaign, on_existing=on_existing)

    assert result == {"outcome": "opted_out", "campaign_id": campaign.id, "prospect_id": there}
    assert writes() == []


def test_update_sets_just_the_columns_that_differ(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, {**ANA, "Company": "Contoso", "Size": "5"})

    result = add(campaign, {**ANA, "Size": 5, "Note": None}, on_existing="update")

    assert result["outcome"] == "updated"
    assert writes() == [("update", there, {"Company": "Northwind"})]


def test_update_of_somebody_who_is_as_wanted_sends_nothing(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(campaign.id, ANA)

    assert add(campaign, on_existing="update")["outcome"] == "unchanged"
    assert writes() == []


@pytest.mark.apis("v1")
def test_v1_refuses_a_second_enrolment(sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes) -> None:
    sandbox.add_person(campaign.id, ANA)

    with pytest.raises(AirflowFailException, match="nobody can be enrolled a second time"):
        add(campaign, on_existing="add")
    assert writes() == []


# On v1, SalesBlink removes a person who is on the list already: on_existing="add" raises UnsupportedByApiError.
@pytest.mark.apis("classic")
def test_add_enrols_a_second_time_where_that_is_asked_for(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    sandbox.add_person(campaign.id, ANA)

    assert add(campaign, on_existing="add")["outcome"] == "added"
    assert len(sandbox.people(campaign.id)) == 2


def test_another_word_for_on_existing_is_refused_when_the_dag_is_read(campaign: CampaignUnderTest) -> None:
    with pytest.raises(ValueError, match="on_existing is 'replace'; it takes 'skip', 'update', 'add'"):
        AddProspectOperator(task_id="t", campaign_id=campaign.id, data=ANA, on_existing="replace")  # type: ignore[arg-type]


def test_a_person_s_values_are_those_that_a_load_would_send(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    since = datetime.date(2026, 11, 25)

    add(campaign, {**ANA, "Size": 12, "Vip": True, "Since": since, "Phone": None})

    assert sandbox.people(campaign.id)[0].fields == api.columns(
        {**ANA, "Size": "12", "Vip": "true", "Since": "2026-11-25"}
    )


def test_what_is_empty_changes_nothing_of_a_person_who_is_there(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(campaign.id, {**ANA, "Company": "Acme", "Phone": "1"})

    assert add(campaign, {**ANA, "Company": "", "Phone": None}, on_existing="update")["outcome"] == "unchanged"
    assert writes() == []


def test_a_person_may_come_in_a_file(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    path.write_text(json.dumps(ANA))

    assert add(campaign, f"file://{path}")["outcome"] == "added"
    assert sandbox.people(campaign.id)[0].fields == ANA


def test_a_person_may_come_as_json_text(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    assert add(campaign, json.dumps(ANA))["outcome"] == "added"
    assert sandbox.people(campaign.id)[0].fields == ANA


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"First Name": "Ana"}, "data has no 'Email' column; its columns: First Name"),
        ({}, "data has no 'Email' column; its columns: none"),
        ({"Email": "ana.example.com"}, "data['Email'] is not an e-mail address"),
        ({"Email": ""}, "data['Email'] is empty"),
        ({"Email": None}, "data['Email'] is a NoneType, not text"),
        ({"Email": "a@b.c", "email": "d@e.f"}, "data has two columns for 'Email'"),
        ({"Email": "a@b.c", "Since": {1, 2}}, "data is not a person. 'Since' is a set: give a text or a number."),
        ({"Email": "a@b.c", "Owner": {"Name": "Bo"}}, "'Owner' is a dict: give a text or a number."),
        ({"Email": "a@b.c", "Score": float("inf")}, "'Score' is a float: give a text or a number."),
        ({"Email": "a@b.c", "Note": "a\x00b"}, "'Note' holds a NUL character"),
        ({"Email": "a@b.c", 7: "x"}, "data has a column whose name is empty or not text"),
        (["ana@example.com"], "data is a list, not a mapping"),
        ("{broken", "data is a text, but not the JSON of an object"),
        ("no/such/file.json", "'no/such/file.json' cannot be read (FileNotFoundError)"),
        ("ana@example.com", "the file cannot be read"),
    ],
)
def test_bad_data_is_an_error_before_anything_is_sent(
    data: Any, sentence: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(AirflowFailException) as refused:
        add(campaign, data)

    assert sentence in str(refused.value)
    assert "POST" not in [request.method for request in sandbox.requests]
    assert sandbox.people() == []


def test_fields_that_differ_are_set_and_the_others_are_not_sent(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, ANA)

    result = UpdateProspectOperator(
        task_id="t", prospect_id=there, fields={"First Name": "Ana", "Company": "Acme", "Size": 12}
    ).execute({})

    assert result == {"outcome": "updated", "prospect_ids": [there], "fields": ["Company", "Size"]}
    assert writes() == [("update", there, api.columns({"Company": "Acme", "Size": "12"}))]


def test_an_address_stands_for_every_prospect_that_has_it(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    ids = [sandbox.add_person(campaign.id, ANA), sandbox.add_person(sandbox.add_campaign("Other"), ANA)]

    result = UpdateProspectOperator(task_id="t", email="ANA@example.com", fields={"Company": "Acme"}).execute({})

    assert (result["outcome"], sorted(result["prospect_ids"]), result["fields"]) == (
        "updated",
        sorted(ids),
        ["Company"],
    )
    assert {person.fields["Company"] for person in sandbox.people()} == {"Acme"}


def test_nothing_to_change_sends_nothing(sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes) -> None:
    there = sandbox.add_person(campaign.id, ANA)

    result = UpdateProspectOperator(task_id="t", prospect_id=there, fields={"company": "Northwind"}).execute({})

    assert result == {"outcome": "unchanged", "prospect_ids": [there], "fields": []}
    assert writes() == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fields": {"A": "b"}}, "exactly one of prospect_id or email; got neither"),
        ({"fields": {"A": "b"}, "prospect_id": "p", "email": "a@b.c"}, "exactly one of prospect_id or email; got both"),
        ({"fields": {}, "prospect_id": "p"}, "fields is empty"),
        ({"fields": {"A": ["b"]}, "prospect_id": "p"}, "fields['A'] is a list"),
        ({"fields": {"A": None}, "prospect_id": "p"}, "fields['A'] is a NoneType"),
        ({"fields": {"Email": "nobody"}, "prospect_id": "p"}, "fields['Email'] is not an e-mail address"),
        ({"fields": {"A": "b"}, "email": "nobody"}, "email is not an e-mail address"),
        ({"fields": {"A": "b"}, "email": ["a@b.c"]}, "email is a list, not text"),
        ({"fields": {"A": "b"}, "prospect_id": ""}, "prospect_id is empty"),
    ],
)
def test_a_bad_update_is_an_error_before_anything_is_sent(
    given: dict[str, Any], sentence: str, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException) as refused:
        UpdateProspectOperator(task_id="t", **given).execute({})

    assert sentence in str(refused.value)
    assert not sandbox.requests


def test_an_update_of_nobody_fails_and_does_not_name_them() -> None:
    with pytest.raises(AirflowFailException, match="No prospect has this address"):
        UpdateProspectOperator(task_id="t", email="ana@example.com", fields={"A": "b"}).execute({})


def test_an_address_is_unsubscribed_in_every_campaign(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    ids = [sandbox.add_person(campaign.id, ANA), sandbox.add_person(sandbox.add_campaign("Other"), ANA)]
    bob = sandbox.add_person(campaign.id, {"Email": "bob@example.com"})

    result = UnsubscribeOperator(task_id="t", email=" Ana@example.com").execute({})

    assert (result["outcome"], sorted(result["prospect_ids"])) == ("unsubscribed", sorted(ids))
    assert [person.id for person in sandbox.people() if not person.unsubscribed] == [bob]


def test_a_prospect_is_unsubscribed_by_id_with_one_call(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, ANA)

    result = UnsubscribeOperator(task_id="t", prospect_id=there).execute({})

    assert result == {"outcome": "unsubscribed", "prospect_ids": [there]}
    assert writes() == [("unsubscribe", there, None)]


def test_a_person_who_is_unsubscribed_already_is_left_alone(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, ANA, unsubscribed=True)

    result = UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})

    assert result == {"outcome": "unchanged", "prospect_ids": [there]}
    assert writes() == []


# Only the API v1 has a blocklist.
@pytest.mark.apis("v1")
@pytest.mark.parametrize(
    "was_unsubscribed", [True, False], ids=["taken off the blocklist", "only the domain is blocked"]
)
def test_a_person_who_may_get_mails_again_is_unsubscribed(
    was_unsubscribed: bool, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, ANA, unsubscribed=was_unsubscribed)
    UnblockOperator(task_id="u", entry="ana@example.com").execute({})
    if not was_unsubscribed:
        sandbox.block("example.com")

    result = UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})

    assert result["outcome"] == "unsubscribed"
    assert "ana@example.com" in sandbox.blocked()


# Shapes are those of the classic API.
@pytest.mark.apis("classic")
def test_where_salesblink_does_not_return_the_state_the_unsubscribe_is_sent(
    sandbox: Sandbox, campaign: CampaignUnderTest, writes: Writes
) -> None:
    sandbox.add_person(campaign.id, ANA, unsubscribed=True)
    sandbox.shapes = Shapes(state="none")

    assert UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})["outcome"] == "unsubscribed"
    assert len(writes()) == 1


@pytest.mark.parametrize("who", [{"email": "ana@example.com"}, {"prospect_id": "nobody"}])
def test_nobody_to_unsubscribe_fails_unless_that_is_fine(who: dict[str, str]) -> None:
    with pytest.raises(AirflowFailException):
        UnsubscribeOperator(task_id="t", **who).execute({})

    result = UnsubscribeOperator(task_id="t", missing_ok=True, **who).execute({})
    assert result == {"outcome": "missing", "prospect_ids": []}


@pytest.mark.parametrize("given", [{}, {"prospect_id": "p", "email": "a@b.c"}])
def test_unsubscribe_wants_exactly_one_of_id_and_address(given: dict[str, str], sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="exactly one of prospect_id or email"):
        UnsubscribeOperator(task_id="t", **given).execute({})

    assert not sandbox.requests


def test_a_search_returns_ids_and_whether_the_person_opted_out(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    there = sandbox.add_person(campaign.id, ANA, unsubscribed=True)

    assert SearchProspectOperator(task_id="t", email="ana@example.com").execute({}) == {
        "outcome": "found",
        "count": 1,
        "prospect_ids": [there],
        "campaign_ids": [campaign.id],
        "unsubscribed": True,
    }


def test_a_search_without_a_hit_does_not_know_of_an_opt_out() -> None:
    result = SearchProspectOperator(task_id="t", email="ana@example.com").execute({})

    assert (result["count"], result["unsubscribed"]) == (0, None)


def test_people_go_into_a_file_and_only_ids_into_xcom(
    sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path
) -> None:
    ids = [sandbox.add_person(campaign.id, ANA), sandbox.add_person(campaign.id, {"Email": "b@x.y"}, unsubscribed=True)]
    path = f"file://{tmp_path}/new/people.jsonl"

    result = ListProspectsOperator(task_id="t", campaign_id=campaign.id, output_path=path).execute({})

    assert result == {
        "outcome": "found",
        "campaign_id": campaign.id,
        "count": 2,
        "unsubscribed": 1,
        "prospect_ids": ids,
        "path": path,
    }
    lines = [json.loads(line) for line in (tmp_path / "new" / "people.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "id": ids[0],
        "email": "ana@example.com",
        "campaign_id": campaign.id,
        "unsubscribed": False,
        "fields": ANA,
    }
    assert lines[1]["unsubscribed"] is True


def test_one_prospect_is_returned_without_values(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    there = sandbox.add_person(campaign.id, ANA)

    assert GetProspectOperator(task_id="t", prospect_id=there).execute({}) == {
        "outcome": "found",
        "prospect_id": there,
        "campaign_id": campaign.id,
        "unsubscribed": False,
        "fields": ["Company", "Email", "First Name"],
    }


def test_a_prospect_that_is_not_there_fails_the_task() -> None:
    with pytest.raises(AirflowFailException, match=r"404 on GET /api/(prospect|public/v1\.0\.0/leads)/nobody"):
        GetProspectOperator(task_id="t", prospect_id="nobody").execute({})


def test_a_dry_run_reads_and_writes_nothing(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], writes: Writes
) -> None:
    there = sandbox.add_person(campaign.id, ANA)
    connection(extra={"dry_run": True})

    results = [
        add(campaign, {"Email": "new@example.com"}),
        UpdateProspectOperator(task_id="t2", prospect_id=there, fields={"Company": "Acme"}).execute({}),
        UnsubscribeOperator(task_id="t3", email="ana@example.com").execute({}),
    ]

    assert [(each["outcome"], each["would_be"]) for each in results] == [
        ("dry_run", "added"),
        ("dry_run", "updated"),
        ("dry_run", "unsubscribed"),
    ]
    assert writes() == []


def test_a_missing_prospect_does_not_keep_the_others_subscribed(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    ids = [sandbox.add_person(campaign.id, ANA) for _ in range(3)]
    api.fault("prospect-unsubscribe", "status", status=404)

    with pytest.raises(AirflowFailException):
        UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})

    # On v1, unsubscribing one of the person's leads is for the whole account.
    assert [person.unsubscribed for person in sandbox.people()] == [api.is_v1, True, True]
    assert len(ids) == 3


@pytest.mark.parametrize("prospect_id", ["None", "nan", "null", "ana@example.com"])
def test_an_id_that_a_template_did_not_find_fails_the_opt_out(prospect_id: str, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="prospect_id"):
        UnsubscribeOperator(task_id="t", prospect_id=prospect_id, missing_ok=True).execute({})

    assert not sandbox.requests


@pytest.mark.parametrize("path", ["", "None"])
def test_a_path_that_a_template_did_not_find_is_refused(
    path: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(AirflowFailException, match="output_path"):
        ListProspectsOperator(task_id="t", campaign_id=campaign.id, output_path=path).execute({})

    assert not sandbox.requests


def test_people_are_not_written_to_a_folder(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="output_path is a folder"):
        ListProspectsOperator(task_id="t", campaign_id=campaign.id, output_path=f"file://{tmp_path}").execute({})


def test_a_file_of_people_is_for_its_owner_only(sandbox: Sandbox, campaign: CampaignUnderTest, tmp_path: Path) -> None:
    sandbox.add_person(campaign.id, ANA)
    path = tmp_path / "people.jsonl"

    ListProspectsOperator(task_id="t", campaign_id=campaign.id, output_path=f"file://{path}").execute({})

    assert path.stat().st_mode & 0o077 == 0


def test_a_failure_that_may_pass_is_not_hidden_by_one_that_will_not(api: Api, sandbox: Sandbox) -> None:
    for name in ("One", "Two"):
        sandbox.add_person(sandbox.add_campaign(name), ANA)
    api.fault("prospect-unsubscribe", "status", status=503, times=5)
    api.fault("prospect-unsubscribe", "status", status=400, times=1)

    with pytest.raises(ServerError):
        UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})

    UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})
    assert all(person.unsubscribed for person in sandbox.people())


def test_a_429_stops_the_other_unsubscribes(api: Api, sandbox: Sandbox) -> None:
    for number in range(4):
        sandbox.add_person(sandbox.add_campaign(f"No. {number}"), {"Email": "ana@example.com"})
    api.fault("prospect-unsubscribe", "429", retry_after=1800, times=None)

    with pytest.raises(TaskDeferred):
        UnsubscribeOperator(task_id="t", email="ana@example.com").execute({})

    assert len([request for request in sandbox.requests if request.method == "POST"]) == 1
