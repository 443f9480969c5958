"""A task's outlets: the events of campaigns' assets carry the task's result."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset, task

from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.operators.campaigns import PauseCampaignOperator
from airflow_provider_salesblink.operators.plans import PlanLoadOperator
from airflow_provider_salesblink.operators.prospects import AddProspectOperator, AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

AIRFLOW_2 = Asset.__name__ == "Dataset"
KIND = "dataset" if AIRFLOW_2 else "asset"
EVENTS = f"SELECT a.uri, e.extra FROM {KIND}_event e JOIN {KIND} a ON a.id = e.{KIND}_id ORDER BY e.id"  # noqa: S608


@pytest.fixture
def run(run_dag: Callable[..., Any], dag: Any) -> Callable[[], list[tuple[str, Any]]]:
    """Return a function that runs the DAG in a real Airflow and returns the new events in its database."""

    def run() -> list[tuple[str, Any]]:
        if AIRFLOW_2:
            dag.sync_to_db()  # as the scheduler does: Airflow 2 stores no events of datasets that it does not know
        before = len(_events())
        assert run_dag(dag).state == "success"
        return _events()[before:]

    return run


def _events() -> list[tuple[str, Any]]:
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
        return [(uri, json.loads(extra)) for uri, extra in database.execute(EVENTS)]


@pytest.mark.apis(*BOTH)
def test_the_event_of_a_campaigns_asset_carries_the_result(
    sandbox: Sandbox, campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    asset = campaign_asset("Acme", campaign.id)
    with dag:
        AddProspectOperator(task_id="add", campaign_id=campaign.id, data={"Email": "ana@example.com"}, outlets=[asset])

    events = run()

    (person,) = sandbox.people(campaign.id)
    assert events == [
        (
            f"salesblink://acme/campaign/{campaign.id}",
            {"outcome": "added", "campaign_id": campaign.id, "prospect_id": person.id},
        )
    ]


@pytest.mark.apis(*BOTH)
def test_the_event_of_a_load_has_counts_and_no_addresses(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    with dag:
        AddProspectsOperator(
            task_id="load",
            campaign_id=campaign.id,
            rows=[{"Email": f"p{number}@example.com"} for number in range(3)],
            outlets=[campaign_asset("acme", campaign.id)],
        )

    ((_, extra),) = run()

    assert (extra["outcome"], extra["rows"], extra["added"]) == ("loaded", 3, 3)
    assert "example.com" not in json.dumps(extra)


def test_other_outlets_are_left_alone(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    with dag:
        PauseCampaignOperator(
            task_id="pause",
            campaign_id=campaign.id,
            outlets=[Asset(uri="x-crm://leads"), campaign_asset("acme", campaign.id)],
        )

    events = dict(run())

    assert events.keys() == {"x-crm://leads", f"salesblink://acme/campaign/{campaign.id}"}
    assert "outcome" not in events["x-crm://leads"]
    assert events[f"salesblink://acme/campaign/{campaign.id}"]["outcome"] == "paused"


def test_each_mapped_task_publishes_its_own_result(
    campaign: Any, dag: Any, run: Callable[[], Any], sandbox: Sandbox
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    with dag:
        AddProspectOperator.partial(
            task_id="add", campaign_id=campaign.id, outlets=[campaign_asset("acme", campaign.id)]
        ).expand(data=[{"Email": "ana@example.com"}, {"Email": "ben@example.com"}])

    assert sorted(extra["outcome"] for _, extra in run()) == ["added", "skipped"]


def test_a_deferred_task_publishes_its_result_too(
    sandbox: Sandbox, connection: Callable[..., None], campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    connection(extra={"max_attempts": 1})
    sandbox.fault("campaign-status", "429", retry_after=1)
    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[campaign_asset("acme", campaign.id)])

    events = run()

    assert len(sandbox.requests) == 2
    assert events == [(f"salesblink://acme/campaign/{campaign.id}", {"outcome": "paused", "campaign_id": campaign.id})]


def test_a_dry_run_gives_campaigns_no_event(
    connection: Callable[..., None], campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    connection(extra={"dry_run": True})
    with dag:
        PauseCampaignOperator(
            task_id="pause",
            campaign_id=campaign.id,
            outlets=[campaign_asset("acme", campaign.id), Asset(uri="x-crm://leads")],
        )

    assert [uri for uri, _ in run()] == ["x-crm://leads"]
    connection()
    assert sorted(uri for uri, _ in run()) == [f"salesblink://acme/campaign/{campaign.id}", "x-crm://leads"]


def test_a_plan_gives_campaigns_no_event(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    outlets = [campaign_asset("acme", campaign.id), Asset(uri="x-crm://plans")]
    with dag:
        PlanLoadOperator(task_id="plan", campaign_id=campaign.id, rows=[], outlets=outlets)

    assert [uri for uri, _ in run()] == ["x-crm://plans"]


def test_what_the_user_put_into_the_event_stays(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    asset = campaign_asset("acme", campaign.id)

    def note(context: Any) -> None:
        context["outlet_events"][asset].extra["batch"] = 7

    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[asset], pre_execute=note)

    assert [extra for _, extra in run()] == [{"batch": 7, "outcome": "paused", "campaign_id": campaign.id}]


@pytest.mark.generation(3)  # datasets have no names
def test_an_outlet_by_another_name_carries_the_result_too(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    uri = campaign_asset("acme", campaign.id).uri
    with dag:
        first = PauseCampaignOperator(task_id="a", campaign_id=campaign.id, outlets=[Asset(name="spring", uri=uri)])
        second = PauseCampaignOperator(task_id="b", campaign_id=campaign.id, outlets=[Asset.ref(uri=uri)])
        first >> second

    assert [(uri, extra["outcome"]) for uri, extra in run()] == [(uri, "paused"), (uri, "paused")]


def test_an_alias_among_the_outlets_gets_no_event_of_ours(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    if AIRFLOW_2:
        from airflow.datasets import DatasetAlias as AssetAlias
    else:
        from airflow.sdk import AssetAlias
    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[AssetAlias("campaigns")])

    assert run() == []


def test_a_consumer_reads_the_outcome(campaign: Any, dag: Any, run: Callable[[], Any], tmp_path: Path) -> None:
    asset = campaign_asset("acme", campaign.id)
    with dag:

        @task(inlets=[asset])
        def consume(inlet_events: Any) -> None:
            (tmp_path / "read").write_text(inlet_events[asset][-1].extra["outcome"])

        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[asset]) >> consume()

    run()

    assert (tmp_path / "read").read_text() == "paused"


def test_outside_a_run_there_are_no_events_to_fill(campaign: Any) -> None:
    asset = campaign_asset("acme", campaign.id)
    operator = PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[asset])

    assert operator.execute({})["outcome"] == "paused"
    assert operator.outlets == [asset]


# Outlets that only refer to the asset.

SPRING_URI = "salesblink://acme/campaign/{}"


@pytest.mark.generation(3)
@pytest.mark.parametrize("by", ["name", "uri"])
def test_a_dry_run_gives_a_referenced_campaign_no_event_and_a_real_run_one_with_the_result(
    by: str, connection: Callable[..., None], campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    uri = SPRING_URI.format(campaign.id)
    ours, other = Asset(name=f"spring {campaign.id}", uri=uri), Asset(name="by reference", uri="x-crm://by-reference")
    refs = [Asset.ref(**{by: getattr(asset, by)}) for asset in (ours, other)]
    with dag:
        # Airflow knows an asset only if a DAG has it.
        known = task(task_id="known", outlets=[other], inlets=[ours])(lambda: None)()
        known >> PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=refs)
        PauseCampaignOperator(task_id="whole", campaign_id=campaign.id, outlets=[ours])

    connection(extra={"dry_run": True})
    assert [found for found, _ in run()] == [other.uri, other.uri]
    connection()
    events = [each for each in run() if each[0] == uri]

    assert [extra["outcome"] for _, extra in events] == ["paused", "paused"]
    assert [extra["campaign_id"] for _, extra in events] == [campaign.id, campaign.id]


def test_a_dry_run_gives_no_event_by_an_alias_either(
    connection: Callable[..., None], campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    if AIRFLOW_2:
        from airflow.datasets import DatasetAlias as AssetAlias
    else:
        from airflow.sdk import AssetAlias
    alias, ours, other = AssetAlias("a"), campaign_asset("acme", campaign.id), Asset(uri="x-crm://others")

    def note(context: Any) -> None:
        for asset in (ours, other):
            context["outlet_events"][alias].add(asset, extra={"batch": 7})

    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[alias], pre_execute=note)

    connection(extra={"dry_run": True})
    assert [uri for uri, _ in run()] == ["x-crm://others"]
    connection()
    events = dict(run())
    assert events["x-crm://others"] == {"batch": 7}
    assert events[ours.uri] == {"batch": 7, "outcome": "paused", "campaign_id": campaign.id}
