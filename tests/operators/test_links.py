"""The links from a task: to its campaign's page, and to its report."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset, mask_secret

from airflow_provider_salesblink.links import CampaignLink, ReportLink, campaign_page
from airflow_provider_salesblink.operators.campaigns import GetCampaignOperator, PauseCampaignOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    AddProspectsOperator,
    GetProspectOperator,
    ListProspectsOperator,
)
from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from airflow_provider_salesblink.operators.sequences import GetSequenceStatsOperator, SetSequenceStatusOperator
from airflow_provider_salesblink.operators.team import ListMembersOperator
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.results.report_events import row, write_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

AIRFLOW_2 = Asset.__name__ == "Dataset"
ROOT = "AIRFLOW__SALESBLINK__CAMPAIGN_PAGE_ROOT"
LINKED = (
    AddProspectOperator, AddProspectsOperator, CampaignSensor, GetCampaignOperator, GetProspectOperator,
    ListProspectsOperator, PauseCampaignOperator, ProspectSensor,
)  # fmt: skip


def test_every_task_with_a_campaign_links_to_it() -> None:
    for operator in LINKED:
        assert [type(link) for link in operator.operator_extra_links] == [CampaignLink]
    assert not ListMembersOperator.operator_extra_links


def test_an_id_stays_in_its_place() -> None:
    assert campaign_page("a/b?c#d e") == "https://run.salesblink.io/campaigns/a%2Fb%3Fc%23d%20e"


def test_the_root_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT, "https://app.example.com/campaign?id=")
    assert campaign_page("spring") == "https://app.example.com/campaign?id=spring"


@pytest.mark.parametrize("root", ["javascript:alert(1)//", "//example.com/", "campaigns/", "file:///etc/", "https://"])
def test_a_root_that_is_not_a_web_address_gives_no_link(
    root: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ROOT, root)
    assert campaign_page("spring") == ""
    assert "[salesblink] campaign_page_root is not an http(s) URL" in caplog.text


def test_a_rendered_id_needs_no_xcom() -> None:
    task = GetCampaignOperator(task_id="get", campaign_id="spring")
    assert CampaignLink().get_link(task, ti_key=None) == campaign_page("spring")


@pytest.mark.parametrize(
    "template", ["{{ params.c }}", "{% if true %}nope{% endif %}", "{%- set x = 1 %}nope", "{# which #}nope"]
)
def test_a_template_is_never_taken_for_an_id(template: str, run_dag: Callable[..., Any], dag: Any) -> None:
    """On Airflow 2 the webserver builds the link, and it has only the template of a task that failed."""
    dag.params["c"] = "nope"
    with dag:
        GetCampaignOperator(task_id="get", campaign_id=template)

    (task,) = run_dag(dag).get_task_instances()

    assert task.state == "failed"
    assert link_of(dag.get_task("get"), task) == ("" if AIRFLOW_2 else campaign_page("nope"))


def test_an_address_given_as_an_id_is_in_no_link() -> None:
    task = GetCampaignOperator(task_id="get", campaign_id="ana@example.com")
    assert CampaignLink().get_link(task, ti_key=None) == ""


def test_a_key_given_as_an_id_is_in_no_link() -> None:
    mask_secret("key-that-airflow-was-asked-to-mask")
    task = GetCampaignOperator(task_id="get", campaign_id="key-that-airflow-was-asked-to-mask")
    assert CampaignLink().get_link(task, ti_key=None) == ""


def test_after_a_run_each_task_has_its_link(
    sandbox: Sandbox, campaign: Any, run_dag: Callable[..., Any], dag: Any
) -> None:
    """Make tasks with a campaign by name, by a template, and without one."""
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    (ana,) = sandbox.people(campaign.id)
    with dag:
        PauseCampaignOperator(task_id="by_name", campaign_name=campaign.name)
        GetCampaignOperator(task_id="by_template", campaign_id="{{ params.campaign }}")
        GetCampaignOperator(
            task_id="by_condition", campaign_id="{% if params.campaign %}{{ params.campaign }}{% else %}none{% endif %}"
        )
        GetProspectOperator(task_id="of_person", prospect_id=ana.id)
        ListProspectsOperator.partial(task_id="mapped").expand(campaign_id=[campaign.id])

    run = run_dag(dag, run_conf={"campaign": campaign.id})

    links = {task.task_id: link_of(dag.get_task(task.task_id), task) for task in run.get_task_instances()}
    assert links == dict.fromkeys(
        ("by_name", "by_condition", "by_template", "mapped", "of_person"), campaign_page(campaign.id)
    )


def test_after_a_run_a_task_links_to_its_sequence(
    sandbox: Sandbox, campaign: Any, connection: Callable[..., None], run_dag: Callable[..., Any], dag: Any
) -> None:
    connection(extra={"api_version": "v1"})
    with dag:
        SetSequenceStatusOperator.partial(task_id="mapped", status="paused").expand(sequence_id=[campaign.id])
        GetSequenceStatsOperator(task_id="by_condition", sequence_id="{% if 1 %}{{ params.sequence }}{% endif %}")

    run = run_dag(dag, run_conf={"sequence": campaign.id})

    links = {task.task_id: link_of(dag.get_task(task.task_id), task) for task in run.get_task_instances()}
    assert links == dict.fromkeys(("mapped", "by_condition"), campaign_page(campaign.id))
    assert sandbox.campaigns()[0].paused


@pytest.mark.generation(3)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_report_in_the_folder_of_the_ui_has_a_link(
    tmp_path: Path, run_dag: Callable[..., Any], dag: Any, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("AIRFLOW__SALESBLINK__REPORTS_PATH", f"{prefix}{tmp_path}/shown/")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team/")
    events = write_events(tmp_path / "events", [row("sent", 1)])
    with dag:
        for task_id, folder in (("shown", "shown"), ("elsewhere", "shown/below")):
            CampaignReportOperator(task_id=task_id, events_path=events, output_path=f"{tmp_path}/{folder}/all #1.html")

    run = run_dag(dag)

    links = {task.task_id: link_of(dag.get_task(task.task_id), task, ReportLink) for task in run.get_task_instances()}
    assert links == {"shown": "https://airflow.example.com/team/salesblink/reports/all%20%231.html", "elsewhere": ""}


def link_of(operator: Any, instance: Any, link: type = CampaignLink) -> str:
    """Return the link in Airflow's UI: from Airflow 3 on the worker's, before that the webserver's."""
    key = instance.key
    if AIRFLOW_2:
        return CampaignLink().get_link(operator, ti_key=key)
    stored = f"_link_{link.__name__}"
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
        ((value,),) = database.execute(
            "SELECT value FROM xcom WHERE key = ? AND run_id = ? AND task_id = ? AND map_index = ?",
            (stored, key.run_id, key.task_id, key.map_index),
        ).fetchall()
    return str(json.loads(value))
