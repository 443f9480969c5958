"""A task's outlets: campaigns as assets, whose events carry what the task did."""

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
from airflow_provider_salesblink.operators.prospects import AddProspectOperator, AddProspectsOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

AIRFLOW_2 = Asset.__name__ == "Dataset"
KIND = "dataset" if AIRFLOW_2 else "asset"
EVENTS = f"SELECT a.uri, e.extra FROM {KIND}_event e JOIN {KIND} a ON a.id = e.{KIND}_id ORDER BY e.id"  # noqa: S608


@pytest.fixture
def run(run_dag: Callable[..., Any], dag: Any) -> Callable[[], list[tuple[str, Any]]]:
    """Runs the DAG in a real Airflow; gives the events that it then has in its database and had not before."""

    def run() -> list[tuple[str, Any]]:
        if AIRFLOW_2:
            dag.sync_to_db()  # as the scheduler does: Airflow 2 has no events of datasets it does not know
        before = len(_events())
        assert run_dag(dag).state == "success"
        return _events()[before:]

    return run


def _events() -> list[tuple[str, Any]]:
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
        return [(uri, json.loads(extra)) for uri, extra in database.execute(EVENTS)]


def test_the_event_of_a_campaigns_asset_carries_the_result(
    sandbox: Sandbox, campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    asset = campaign_asset("Acme", campaign.id)
    with dag:
        AddProspectOperator(task_id="add", campaign_id=campaign.id, data={"Email": "ana@example.com"}, outlets=[asset])

    told = run()

    (person,) = sandbox.people(campaign.id)
    assert told == [
        (
            f"salesblink://acme/campaign/{campaign.id}",
            {"outcome": "added", "campaign_id": campaign.id, "prospect_id": person.id},
        )
    ]


def test_the_event_of_a_load_has_counts_and_no_addresses(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    with dag:
        AddProspectsOperator(
            task_id="load",
            campaign_id=campaign.id,
            rows=[{"Email": f"p{number}@example.com"} for number in range(3)],
            outlets=[campaign_asset("acme", campaign.id)],
        )

    ((_, told),) = run()

    assert (told["outcome"], told["rows"], told["added"]) == ("loaded", 3, 3)
    assert "example.com" not in json.dumps(told)


def test_other_outlets_are_left_alone(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    with dag:
        PauseCampaignOperator(
            task_id="pause",
            campaign_id=campaign.id,
            outlets=[Asset(uri="x-crm://leads"), campaign_asset("acme", campaign.id)],
        )

    told = dict(run())

    assert told.keys() == {"x-crm://leads", f"salesblink://acme/campaign/{campaign.id}"}
    assert "outcome" not in told["x-crm://leads"]
    assert told[f"salesblink://acme/campaign/{campaign.id}"]["outcome"] == "paused"


def test_each_mapped_task_tells_of_its_own(campaign: Any, dag: Any, run: Callable[[], Any], sandbox: Sandbox) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    with dag:
        AddProspectOperator.partial(
            task_id="add", campaign_id=campaign.id, outlets=[campaign_asset("acme", campaign.id)]
        ).expand(data=[{"Email": "ana@example.com"}, {"Email": "ben@example.com"}])

    assert sorted(told["outcome"] for _, told in run()) == ["added", "skipped"]


def test_a_task_that_was_deferred_tells_too(
    sandbox: Sandbox, connection: Callable[..., None], campaign: Any, dag: Any, run: Callable[[], Any]
) -> None:
    connection(extra={"max_attempts": 1})
    sandbox.fault("campaign-status", "429", retry_after=1)
    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[campaign_asset("acme", campaign.id)])

    told = run()

    assert len(sandbox.requests) == 2
    assert told == [(f"salesblink://acme/campaign/{campaign.id}", {"outcome": "paused", "campaign_id": campaign.id})]


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


def test_what_the_user_put_into_the_event_stays(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    asset = campaign_asset("acme", campaign.id)

    def note(context: Any) -> None:
        context["outlet_events"][asset].extra["batch"] = 7

    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[asset], pre_execute=note)

    assert [told for _, told in run()] == [{"batch": 7, "outcome": "paused", "campaign_id": campaign.id}]


@pytest.mark.generation(3)  # datasets have no names
def test_an_outlet_by_another_name_tells_too(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
    uri = campaign_asset("acme", campaign.id).uri
    with dag:
        first = PauseCampaignOperator(task_id="a", campaign_id=campaign.id, outlets=[Asset(name="spring", uri=uri)])
        second = PauseCampaignOperator(task_id="b", campaign_id=campaign.id, outlets=[Asset.ref(uri=uri)])
        first >> second

    assert [(uri, told["outcome"]) for uri, told in run()] == [(uri, "paused"), (uri, "paused")]


def test_an_alias_among_the_outlets_is_the_users(campaign: Any, dag: Any, run: Callable[[], Any]) -> None:
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


def test_outside_a_run_there_is_nobody_to_tell(campaign: Any) -> None:
    asset = campaign_asset("acme", campaign.id)
    operator = PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=[asset])

    assert operator.execute({})["outcome"] == "paused"
    assert operator.outlets == [asset]


# Outlets that only name the asset.

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
        # Airflow knows an asset only from a DAG that has it.
        known = task(task_id="known", outlets=[other], inlets=[ours])(lambda: None)()
        known >> PauseCampaignOperator(task_id="pause", campaign_id=campaign.id, outlets=refs)
        PauseCampaignOperator(task_id="whole", campaign_id=campaign.id, outlets=[ours])

    connection(extra={"dry_run": True})
    assert [found for found, _ in run()] == [other.uri, other.uri]
    connection()
    told = [each for each in run() if each[0] == uri]

    assert [extra["outcome"] for _, extra in told] == ["paused", "paused"]
    assert [extra["campaign_id"] for _, extra in told] == [campaign.id, campaign.id]


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
    told = dict(run())
    assert told["x-crm://others"] == {"batch": 7}
    assert told[ours.uri] == {"batch": 7, "outcome": "paused", "campaign_id": campaign.id}
