"""Nobody is added if workers on other machines could not see who is being added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.loading import load
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from airflow_provider_salesblink.operators.campaigns import PauseCampaignOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    AddProspectsOperator,
    UpdateProspectOperator,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

LOCAL = [
    "LocalExecutor",
    "SequentialExecutor",
    " LocalExecutor ",
    "airflow.executors.local_executor.LocalExecutor",
    "quick:LocalExecutor",
    "quick:airflow.executors.local_executor.LocalExecutor",
    "LocalExecutor;team1=LocalExecutor",
    "=LocalExecutor",
]
REMOTE = {
    "CeleryExecutor": "CeleryExecutor",
    "KubernetesExecutor": "KubernetesExecutor",
    "LocalKubernetesExecutor": "LocalKubernetesExecutor",
    "CeleryKubernetesExecutor": "CeleryKubernetesExecutor",
    "LocalExecutor,CeleryExecutor": "CeleryExecutor",
    "LocalExecutor , far:CeleryExecutor": "CeleryExecutor",
    "LocalExecutor;team1=CeleryExecutor": "CeleryExecutor",
    "LocalExecutor;team1=LocalExecutor,far:my.module.FarExecutor;team2=LocalExecutor": "my.module.FarExecutor",
    "airflow.providers.celery.executors.celery_executor.CeleryExecutor": "CeleryExecutor",
    "airflow.providers.edge3.executors.EdgeExecutor": "EdgeExecutor",
    "LocalExecutor:airflow.providers.amazon.aws.executors.ecs.AwsEcsExecutor": "AwsEcsExecutor",
    "my.own.LocalExecutor": "my.own.LocalExecutor",
}


def adders(campaign: Any, **options: Any) -> list[Any]:
    data = {"Email": "ana@example.com"}
    return [
        AddProspectOperator(task_id="one", campaign_id=campaign.id, data=data, **options),
        *(
            AddProspectsOperator(task_id=mode, campaign_id=campaign.id, rows=[data], mode=mode, **options)
            for mode in ("insert", "upsert", "mirror")
        ),
    ]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that configures Airflow's executors."""
    return lambda names: monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", names)


@pytest.mark.parametrize(("names", "shown"), REMOTE.items())
def test_nobody_is_added_by_an_executor_that_is_not_local_without_a_shared_store(
    names: str, shown: str, executor: Callable[[str], None], campaign: Any, sandbox: Sandbox
) -> None:
    executor(names)

    for add in adders(campaign):
        with pytest.raises(AirflowFailException, match="has no pacing_url") as refused:
            add.execute({})
        sentence = str(refused.value)
        assert shown in sentence
        assert "'salesblink_default'" in sentence
        assert "redis://" in sentence
        assert "file:///" in sentence
    assert not sandbox.requests


@pytest.mark.parametrize("names", LOCAL)
def test_an_executor_of_this_machine_needs_no_shared_store(
    names: str, executor: Callable[[str], None], campaign: Any, sandbox: Sandbox
) -> None:
    executor(names)

    assert [add.execute({})["outcome"] for add in adders(campaign)] == ["added", "loaded", "loaded", "loaded"]
    assert len(sandbox.people(campaign.id)) == 1


@pytest.mark.parametrize("variable", ["AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER"])
def test_a_worker_in_a_container_is_not_local_though_it_is_configured_so(
    variable: str, executor: Callable[[str], None], campaign: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor("LocalExecutor")
    monkeypatch.setenv(variable, "True")

    for add in adders(campaign):
        with pytest.raises(AirflowFailException, match="has no pacing_url"):
            add.execute({})
    assert not sandbox.requests


def test_the_executor_of_the_task_counts_too(executor: Callable[[str], None], campaign: Any, sandbox: Sandbox) -> None:
    executor("LocalExecutor,quick:airflow.executors.sequential_executor.SequentialExecutor")

    for add in adders(campaign, executor="far"):
        with pytest.raises(AirflowFailException, match="Airflow is configured with far, whose workers"):
            add.execute({})
    assert not sandbox.requests
    for name in ("quick", "LocalExecutor"):
        assert adders(campaign, executor=name)[0].execute({})["outcome"] in ("added", "skipped")


@pytest.mark.parametrize("store", ["redis", "file"])
def test_with_a_shared_store_people_are_added(
    store: str,
    executor: Callable[[str], None],
    campaign: Any,
    sandbox: Sandbox,
    connection: Callable[..., None],
    redis_url: str,
    tmp_path: Path,
) -> None:
    executor("CeleryExecutor")
    connection(extra={"pacing_url": redis_url if store == "redis" else f"file://{tmp_path}/shared.sqlite"})

    assert adders(campaign)[0].execute({})["outcome"] == "added"
    assert len(sandbox.people(campaign.id)) == 1


def test_a_dry_run_and_tasks_that_add_nobody_need_no_shared_store(
    executor: Callable[[str], None], campaign: Any, sandbox: Sandbox, connection: Callable[..., None]
) -> None:
    executor("CeleryExecutor")
    person = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})

    assert (
        UpdateProspectOperator(task_id="u", prospect_id=person, fields={"A": "b"}).execute({})["outcome"] == "updated"
    )
    assert PauseCampaignOperator(task_id="p", campaign_id=campaign.id).execute({})["outcome"] == "paused"
    connection(extra={"dry_run": True})
    assert [add.execute({})["outcome"] for add in adders(campaign)[:2]] == ["dry_run", "dry_run"]
    assert len(sandbox.people(campaign.id)) == 1


def test_a_users_own_task_adds_nobody_either(
    sandbox: Sandbox, campaign: CampaignUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    connection: Callable[..., None],
) -> None:  # fmt: skip
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    rows = [{"Email": "ana@example.com"}]

    client = SalesBlinkHook().get_conn()
    for add in (
        lambda: client.prospects.add(campaign.id, rows[0]),
        lambda: load(client, campaign.id, from_mappings(rows, ColumnNames())),
    ):
        with pytest.raises(InvalidInputError, match="has no pacing_url"):
            add()
    assert sandbox.people() == []

    connection(extra={"pacing_url": f"file://{tmp_path}/shared.sqlite"})
    assert SalesBlinkHook().get_conn().prospects.add(campaign.id, rows[0])["email"] == "ana@example.com"
