"""Arguments that arrive in another type: numbers from native rendering, path objects, JSON text."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath, task

from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkClient
from airflow_provider_salesblink.links import CampaignLink, campaign_page
from airflow_provider_salesblink.notifications.campaigns import PauseCampaignNotifier
from airflow_provider_salesblink.operators.campaigns import (
    GetCampaignOperator,
    PauseCampaignOperator,
    SearchCampaignsOperator,
)
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    AddProspectsOperator,
    GetProspectOperator,
    ListProspectsOperator,
    SearchProspectOperator,
    UpdateProspectOperator,
)
from airflow_provider_salesblink.operators.team import ListMembersOperator
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

DIGITS = "20270401"
ANA = {"Email": "ana@example.com", "First Name": "Ana"}


@pytest.fixture
def native_dag() -> DAG:
    return DAG("native", schedule=None, start_date=datetime(2026, 1, 1), render_template_as_native_obj=True)  # noqa: DTZ001


@pytest.fixture
def dated(sandbox: Sandbox) -> Any:
    """A campaign whose id and name are digits, with one person in it."""
    campaign_id = sandbox.add_campaign("2027", id=DIGITS)
    return sandbox.add_person(campaign_id, {"Email": "ben@example.com"})


# Native rendering.


@pytest.mark.usefixtures("dated")
def test_an_id_of_digits_survives_native_rendering(
    sandbox: Sandbox, native_dag: DAG, run_dag: Callable[..., Any], connection: Callable[..., None]
) -> None:
    connection()
    native_dag.params["campaign"] = DIGITS
    with native_dag:
        add = AddProspectOperator(task_id="add", campaign_id=DIGITS, data=ANA)
        load = AddProspectsOperator(
            task_id="load", campaign_id="{{ params.campaign }}", rows=[{"Email": "cy@example.com"}]
        )
        people = ListProspectsOperator.partial(task_id="people").expand(campaign_id=[DIGITS])
        pause = PauseCampaignOperator(task_id="pause", campaign_name="2027")
        wait = CampaignSensor(task_id="wait", campaign_id=DIGITS, poke_interval=0.1)
        person = ProspectSensor(task_id="person", campaign_id=DIGITS, email="cy@example.com", poke_interval=0.1)
        add >> load >> people >> pause >> [wait, person]

    run = run_dag(native_dag)

    assert run.state == "success"
    assert {found.email for found in sandbox.people(DIGITS)} == {"ana@example.com", "ben@example.com", "cy@example.com"}
    assert sandbox.campaigns()[0].paused


@pytest.mark.usefixtures("dated")
def test_a_deferred_sensor_waits_for_an_id_of_digits(
    sandbox: Sandbox, native_dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with native_dag:
        PauseCampaignOperator(task_id="pause", campaign_id=DIGITS) >> CampaignSensor(
            task_id="wait", campaign_id=DIGITS, poke_interval=0.1, deferrable=True
        )

    assert run_dag(native_dag).state == "success"
    assert sandbox.campaigns()[0].paused


@pytest.mark.usefixtures("dated")
def test_the_notifier_pauses_a_campaign_whose_id_is_digits(
    sandbox: Sandbox, native_dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with native_dag:

        @task(on_failure_callback=PauseCampaignNotifier(campaign_id=DIGITS))
        def extract() -> None:
            raise AirflowFailException("The CRM is down.")

        extract()

    assert run_dag(native_dag).state == "failed"
    assert sandbox.campaigns()[0].paused


@pytest.mark.parametrize("campaign_id", ["2027_04", "0x1f", "+49", "00", "0b11", "007"])
def test_native_rendering_makes_no_other_id_of_one(
    campaign_id: str, sandbox: Sandbox, native_dag: DAG, run_dag: Callable[..., Any]
) -> None:
    for trap in ("202704", "31", "49", "0", "3", "7"):
        sandbox.add_campaign(trap, id=trap)
    sandbox.add_campaign("meant", id=campaign_id)
    native_dag.params["campaign"] = campaign_id
    with native_dag:
        PauseCampaignOperator(task_id="pause", campaign_id="{{ params.campaign }}")

    assert run_dag(native_dag).state == "success"
    assert [each.name for each in sandbox.campaigns() if each.paused] == ["meant"]


def test_native_rendering_changes_no_phone_number(
    sandbox: Sandbox, campaign: Any, native_dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with native_dag:
        AddProspectOperator(task_id="add", campaign_id=campaign.id, data={**ANA, "Phone": "+4915112345", "Zip": "12_3"})

    assert run_dag(native_dag).state == "success"
    (ana,) = sandbox.people(campaign.id)
    assert (ana.fields["Phone"], ana.fields["Zip"]) == ("+4915112345", "12_3")


NO_TEXTS = [1.5, True, ["c1"], {"id": "c1"}, ("c1",), b"c1"]


@pytest.mark.parametrize("value", NO_TEXTS, ids=repr)
@pytest.mark.parametrize(
    ("task_class", "arguments", "name"),
    [
        (GetCampaignOperator, {}, "campaign_id"),
        (PauseCampaignOperator, {}, "campaign_id"),
        (PauseCampaignOperator, {}, "campaign_name"),
        (SearchCampaignsOperator, {}, "term"),
        (AddProspectOperator, {"data": ANA}, "campaign_id"),
        (AddProspectsOperator, {"rows": [ANA]}, "campaign_id"),
        (AddProspectsOperator, {"campaign_id": "c"}, "rows_path"),
        (AddProspectsOperator, {"campaign_id": "c", "rows": [ANA]}, "rejected_path"),
        (GetProspectOperator, {}, "prospect_id"),
        (SearchProspectOperator, {}, "email"),
        (ListMembersOperator, {}, "output_path"),
        (ListMembersOperator, {}, "salesblink_conn_id"),
        (CampaignSensor, {}, "campaign_id"),
        (ProspectSensor, {"campaign_id": "c"}, "prospect_id"),
    ],
)
def test_what_cannot_be_meant_as_a_text_names_native_rendering(
    task_class: Any, arguments: dict[str, Any], name: str, value: Any, sandbox: Sandbox
) -> None:
    made = task_class(task_id="t", **arguments, **{name: value})

    with pytest.raises(AirflowFailException, match=rf"^{name} is a {type(value).__name__}, not text") as failed:
        made.execute({})

    assert "render_template_as_native_obj=True" in str(failed.value)
    assert "c1" not in str(failed.value)
    assert not sandbox.requests


def test_an_id_that_came_to_none_names_native_rendering() -> None:
    with pytest.raises(AirflowFailException, match=r"campaign_id is a NoneType.*render_template_as_native_obj=True"):
        GetCampaignOperator(task_id="t", campaign_id=None).execute({})


@pytest.mark.parametrize("value", [1.5, None, ["c1"], True])
def test_the_notifier_names_native_rendering_too(value: Any) -> None:
    notifier = PauseCampaignNotifier(campaign_id="c")
    notifier.campaign_id = value

    with pytest.raises(AirflowFailException, match="campaign_id"):
        notifier.notify({})


@pytest.mark.usefixtures("dated")
def test_the_client_takes_an_id_as_a_number(client: SalesBlinkClient) -> None:
    added = client.prospects.add(int(DIGITS), ANA)  # type: ignore[arg-type]

    assert added["campaign_id"] == DIGITS
    assert client.campaigns.get(int(DIGITS))["id"] == DIGITS  # type: ignore[arg-type]
    assert len(client.prospects.list(int(DIGITS))) == 2  # type: ignore[arg-type]
    assert client.campaigns.search(2027)[0]["id"] == DIGITS  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="campaign_id is a bool"):
        client.campaigns.get(True)  # type: ignore[arg-type]


def test_xcom_links_and_triggers_have_the_digits(dated: str) -> None:  # noqa: ARG001
    made = GetCampaignOperator(task_id="t", campaign_id=int(DIGITS))  # type: ignore[arg-type]

    assert CampaignLink().get_link(made, ti_key=None) == campaign_page(DIGITS)
    assert made.execute({})["campaign_id"] == DIGITS
    shared = {"salesblink_conn_id": "c", "poll_interval": 60, "max_consecutive_failures": 3}
    for trigger in (
        CampaignTrigger(state="paused", campaign_id=int(DIGITS), **shared),  # type: ignore[arg-type]
        ProspectTrigger(campaign_id=int(DIGITS), prospect_id="p", **shared),  # type: ignore[arg-type]
        ProspectEventTrigger(campaign_id=int(DIGITS)),  # type: ignore[arg-type]
    ):
        assert trigger.serialize()[1]["campaign_id"] == DIGITS


# Path objects.


@pytest.mark.parametrize("kind", [Path, lambda path: ObjectStoragePath(f"file://{path}")], ids=["Path", "Object"])
def test_every_path_may_be_an_object(kind: Any, sandbox: Sandbox, campaign: Any, tmp_path: Path) -> None:
    (tmp_path / "ana.json").write_text(json.dumps(ANA))
    (tmp_path / "people.csv").write_text("Email\nben@example.com\nnobody\n")

    AddProspectOperator(task_id="a", campaign_id=campaign.id, data=kind(tmp_path / "ana.json")).execute({})
    load = AddProspectsOperator(
        task_id="b",
        campaign_id=campaign.id,
        rows_path=kind(tmp_path / "people.csv"),
        rejected_path=kind(tmp_path / "rejected.jsonl"),
        max_rejected=1,
    )
    result = load.execute({})
    ListProspectsOperator(task_id="c", campaign_id=campaign.id, output_path=kind(tmp_path / "out.jsonl")).execute({})
    members = ListMembersOperator(task_id="d", output_path=kind(tmp_path / "members.jsonl")).execute({})

    assert {person.email for person in sandbox.people(campaign.id)} == {"ana@example.com", "ben@example.com"}
    assert (tmp_path / "rejected.jsonl").read_text()
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    json.dumps([result, members])
    assert result["rejected_path"].endswith("rejected.jsonl")


def test_a_path_object_is_a_template_and_may_come_from_a_task(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    dag.params["name"] = "people"
    with dag:

        @task
        def extract() -> ObjectStoragePath:
            (tmp_path / "people.csv").write_text("Email\nben@example.com\n")
            return ObjectStoragePath(f"file://{tmp_path}/people.csv")

        path = extract()
        load = AddProspectsOperator(task_id="load", campaign_id=campaign.id, rows_path=path)
        for number, folder in enumerate((tmp_path, ObjectStoragePath(f"file://{tmp_path}"))):
            out = folder / f"{{{{ params.name }}}}-{number}.jsonl"
            load >> ListProspectsOperator(task_id=f"out_{number}", campaign_id=campaign.id, output_path=out)
        load >> ListProspectsOperator.partial(task_id="mapped", campaign_id=campaign.id).expand(
            output_path=[str(tmp_path / "mapped.jsonl")]
        )

    assert run_dag(dag).state == "success"
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {"people-0.jsonl", "people-1.jsonl", "mapped.jsonl"}
    assert len(sandbox.people(campaign.id)) == 1


def test_an_object_path_keeps_its_connection() -> None:
    path = ObjectStoragePath("file:///data/people.csv", conn_id="store")

    assert AddProspectsOperator(task_id="t", campaign_id="c", rows_path=path).rows_path == str(path)
    assert "store@" in str(path)


# JSON text.


def test_json_text_is_taken_for_what_it_says(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with dag:

        @task
        def people() -> list[dict[str, str]]:
            return [{"Mail": "it's@example.com", "Name": '<Ana> & "Bo"'}, {"Mail": "cy@example.com", "Name": "Cy"}]

        got = people()
        load = AddProspectsOperator(
            task_id="load",
            campaign_id=campaign.id,
            rows="{{ ti.xcom_pull('people') | tojson }}",
            columns='{"Mail": "Email", "Name": "First Name"}',
        )
        add = AddProspectOperator(
            task_id="add", campaign_id=campaign.id, data="{{ {'Email': 'zoe@example.com'} | tojson }}"
        )
        update = UpdateProspectOperator(task_id="update", email="cy@example.com", fields='{"Plan": "Gold"}')
        wait = ProspectSensor(
            task_id="wait",
            campaign_id=campaign.id,
            email="cy@example.com",
            where='{"Plan": {"in": ["Gold"]}}',
            poke_interval=0.1,
        )
        got >> load >> add >> update >> wait

    assert run_dag(dag).state == "success"
    found = {person.email: person.fields for person in sandbox.people(campaign.id)}
    assert found.keys() == {"it's@example.com", "cy@example.com", "zoe@example.com"}
    assert found["it's@example.com"]["First Name"] == '<Ana> & "Bo"'
    assert found["cy@example.com"]["Plan"] == "Gold"


PYTHON_TEXTS = [
    str({"Email": "zoe@example.com", "First Name": "Zoe"}),
    str([{"Email": "zoe@example.com", "First Name": "Zoe"}]),
    "OrderedDict([('Email', 'zoe@example.com'), ('First Name', 'Zoe')])",
    "Person(email=zoe@example.com, name=Zoe)",
]


@pytest.mark.parametrize("text", PYTHON_TEXTS)
def test_the_python_text_of_an_object_names_the_remedy_and_shows_nothing(
    text: str, sandbox: Sandbox, campaign: Any
) -> None:
    made = [
        AddProspectOperator(task_id="a", campaign_id=campaign.id, data=text),
        AddProspectsOperator(task_id="b", campaign_id=campaign.id, rows=text),
        AddProspectsOperator(task_id="c", campaign_id=campaign.id, rows=[ANA], columns=text),
        UpdateProspectOperator(task_id="d", prospect_id="p", fields=text),
        ProspectSensor(task_id="e", campaign_id=campaign.id, prospect_id="p", where=text),
    ]
    for each in made:
        with pytest.raises(AirflowFailException, match=r"(?s)\.output.*\| tojson") as failed:
            each.execute({})
        assert "zoe" not in str(failed.value).lower()
    assert not sandbox.requests


@pytest.mark.parametrize("name", ["suppression_path", "rejected_path", "opt_out_columns", "columns", "csv_options"])
def test_an_argument_that_renders_to_nothing_is_not_taken_as_left_out(
    name: str, sandbox: Sandbox, campaign: CampaignUnderTest, run_dag: Callable[..., Any], native_dag: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "people.csv").write_text("Email,Unsubscribed\nana@example.com,yes\n")
    with native_dag:
        AddProspectsOperator(
            task_id="load",
            campaign_id=campaign.id,
            rows_path=tmp_path / "people.csv",
            **{name: "{{ dag_run.conf.get('nothing') }}"},
        )

    run = run_dag(native_dag)

    assert run.state == "failed"
    assert sandbox.requests == []


def test_one_opt_out_column_may_be_a_text(campaign: CampaignUnderTest, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("Email,Unsubscribed\nana@example.com,yes\nbo@example.com,no\n")

    result = AddProspectsOperator(
        task_id="load", campaign_id=campaign.id, rows_path=tmp_path / "people.csv", opt_out_columns="Unsubscribed"
    ).execute({})

    assert (result["added"], result["opted_out"]) == (1, 1)


@pytest.mark.parametrize("cell", ["12.50", "1e5", "1.10", "Zoé \U0001f600", "5E3"])
def test_native_rendering_changes_no_cell(
    cell: str, sandbox: Sandbox, campaign: CampaignUnderTest, native_dag: DAG, run_dag: Callable[..., Any],
    connection: Callable[..., None],
) -> None:  # fmt: skip
    connection()
    native_dag.params["row"] = {"Email": "ana@example.com", "Cell": cell}
    with native_dag:
        AddProspectOperator(task_id="as_json", campaign_id=campaign.id, data="{{ params.row | tojson }}")
        AddProspectOperator(
            task_id="by_cell",
            campaign_id=campaign.id,
            data={"Email": "bo@example.com", "Cell": "{{ params.row['Cell'] }}"},
        )

    assert run_dag(native_dag).state == "success"
    assert {person.fields["Cell"] for person in sandbox.people()} == {cell}


def test_a_row_as_text_is_not_shown_as_a_path(campaign: CampaignUnderTest) -> None:
    operator = AddProspectOperator(task_id="t", campaign_id=campaign.id, data="zoe@example.com;Zoe Miller;+49 151")

    with pytest.raises(AirflowFailException) as failed:
        operator.execute({})

    assert "Zoe" not in str(failed.value)
    assert "+49" not in str(failed.value)


def test_rows_that_are_a_number_are_an_error_that_says_so(campaign: CampaignUnderTest) -> None:
    operator = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=5)  # type: ignore[arg-type]
    operator.mask_personal_data()

    with pytest.raises(AirflowFailException, match="rows is a int"):
        operator.execute({})
