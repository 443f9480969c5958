"""What all operators share: which errors fail a task at once, and waiting without a worker slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_salesblink.client import ConnectionFailedError, RateLimitedError, ServerError
from airflow_provider_salesblink.operators.api import SalesBlinkApiOperator
from airflow_provider_salesblink.operators.blocklist import BlockOperator, SyncSuppressionsOperator, UnblockOperator
from airflow_provider_salesblink.operators.campaigns import ListCampaignsOperator, PauseCampaignOperator
from airflow_provider_salesblink.operators.leads import MoveLeadOperator, RemoveLeadOperator
from airflow_provider_salesblink.operators.lists import ArchiveListOperator, CreateListOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator,
    GetProspectOperator,
    ListProspectsOperator,
    SearchProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)
from airflow_provider_salesblink.operators.sequences import (
    CloneSequenceOperator,
    GetSequenceStatsOperator,
    SetSequenceStatusOperator,
)
from airflow_provider_salesblink.operators.team import ListMembersOperator
from tests.apis import BOTH
from tests.conftest import without_probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api

pytestmark = pytest.mark.apis(*BOTH)

ONE_ATTEMPT = {"max_attempts": 1}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "status", "status": 400}, "SalesBlink cannot use the request"),
        ({"kind": "status", "status": 401}, "refused the key of connection 'salesblink_default'"),
        ({"kind": "status", "status": 403}, "allows this for administrators only"),
        ({"kind": "status", "status": 404}, "did not find it"),
        ({"kind": "status", "status": 405}, "does not accept this method here"),
        ({"kind": "status", "status": 406}, "a format other than JSON"),
        ({"kind": "refused"}, "answered that the call failed"),
    ],
)
def test_what_would_fail_again_fails_the_task_at_once(
    fault: dict[str, Any], sentence: str, api: Api, sandbox: Sandbox
) -> None:
    api.fault("campaigns", **fault)

    with pytest.raises(AirflowFailException) as failed:
        ListCampaignsOperator(task_id="t").execute({})

    assert sentence in str(failed.value)
    assert len(without_probes(sandbox.requests)) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 500}, ServerError),
        ({"kind": "status", "status": 503}, ServerError),
        ({"kind": "reset"}, ConnectionFailedError),
    ],
)
def test_what_may_pass_is_left_to_the_tasks_retries(
    fault: dict[str, Any], error: type[Exception], api: Api, connection: Callable[..., None]
) -> None:
    connection(extra=ONE_ATTEMPT)
    api.fault("campaigns", times=None, **fault)

    with pytest.raises(error):
        ListCampaignsOperator(task_id="t").execute({})


@pytest.mark.parametrize("password", [None, "a b"])
def test_a_connection_that_cannot_work_fails_the_task_at_once(
    password: str | None, connection: Callable[..., None], sandbox: Sandbox
) -> None:
    connection(password=password)

    with pytest.raises(AirflowFailException, match="Connection 'salesblink_default'"):
        ListCampaignsOperator(task_id="t").execute({})
    assert not sandbox.requests


def test_a_connection_that_is_not_there_fails_the_task_at_once() -> None:
    with pytest.raises(AirflowFailException, match="There is no connection 'nope': create one of type SalesBlink"):
        ListCampaignsOperator(task_id="t", salesblink_conn_id="nope").execute({})


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"retry_after": 1800}, 1800),
        ({"retry_after": 1800, "retry_after_form": "date"}, 1800),
        ({"retry_after": None}, 60),
        ({"retry_after": 0}, 60),
    ],
)
def test_a_429_that_outlasts_the_attempts_defers_until_the_servers_own_time(
    fault: dict[str, Any], seconds: int, api: Api, connection: Callable[..., None]
) -> None:
    connection(extra=ONE_ATTEMPT)
    api.fault("campaigns", "429", times=None, **fault)

    with pytest.raises(TaskDeferred) as deferred:
        ListCampaignsOperator(task_id="t").execute({})

    wait = deferred.value.trigger.moment - datetime.now(UTC)
    assert timedelta(seconds=seconds - 3) < wait < timedelta(seconds=seconds + 2)
    assert deferred.value.method_name == "resume"
    assert deferred.value.kwargs["waited"] == pytest.approx(seconds, abs=1)


def test_a_long_retry_after_defers_without_sleeping_in_the_worker(api: Api, sandbox: Sandbox) -> None:
    api.fault("campaigns", "429", retry_after=1800, times=None)

    with pytest.raises(TaskDeferred):
        ListCampaignsOperator(task_id="t").execute({})

    assert len(sandbox.requests) == 1


def test_deferring_ends_at_max_wait(api: Api, connection: Callable[..., None]) -> None:
    connection(extra=ONE_ATTEMPT)
    api.fault("campaigns", "429", retry_after=1800, times=None)
    operator = ListCampaignsOperator(task_id="t")

    with pytest.raises(TaskDeferred):
        operator.resume({}, None, waited=1800)
    with pytest.raises(RateLimitedError):
        operator.resume({}, None, waited=1801)
    with pytest.raises(RateLimitedError):
        ListCampaignsOperator(task_id="t2", max_wait=60).execute({})


def test_a_deferred_task_ends_well_in_a_real_run(
    api: Api, sandbox: Sandbox, connection: Callable[..., None], run_dag: Callable[..., Any], dag: Any
) -> None:
    connection(extra=ONE_ATTEMPT)
    campaign_id = sandbox.add_campaign("Spring")
    api.fault("campaign-status", "429", retry_after=2)
    with dag:
        PauseCampaignOperator(task_id="pause", campaign_id=campaign_id)

    run = run_dag(dag)

    (task,) = run.get_task_instances()
    assert (run.state, task.try_number) == ("success", 1)
    first, second = sandbox.requests[:2]
    assert second.at - first.at >= 2
    assert sandbox.campaigns()[0].paused


OPERATORS = [
    (ListCampaignsOperator, {}),
    (PauseCampaignOperator, {"campaign_id": "c", "campaign_name": "n"}),
    (AddProspectOperator, {"campaign_id": "c", "data": {}}),
    (UpdateProspectOperator, {"prospect_id": "p", "email": "e", "fields": {}}),
    (UnsubscribeOperator, {"prospect_id": "p", "email": "e"}),
    (SearchProspectOperator, {"email": "e"}),
    (ListProspectsOperator, {"campaign_id": "c", "output_path": "o", "previous_path": "p"}),
    (GetProspectOperator, {"prospect_id": "p"}),
    (ListMembersOperator, {}),
    (CreateListOperator, {"name": "n", "settings": {}}),
    (ArchiveListOperator, {"list_id": "l", "list_name": "n"}),
    (RemoveLeadOperator, {"list_id": "l", "email": "e"}),
    (MoveLeadOperator, {"lead_id": "p", "list_id": "l"}),
    (SetSequenceStatusOperator, {"sequence_id": "s", "status": "paused"}),
    (CloneSequenceOperator, {"sequence_id": "s"}),
    (GetSequenceStatsOperator, {"sequence_id": "s"}),
    (BlockOperator, {"entries": []}),
    (UnblockOperator, {"entry": "e"}),
    (SyncSuppressionsOperator, {"path": "p", "sql": "s", "sql_conn_id": "c", "sql_parameters": [], "insert_sql": "i"}),
    (SalesBlinkApiOperator, {"endpoint": "/lists", "query": {}, "body": {}, "output_path": "p"}),
]


@pytest.mark.parametrize(("operator", "arguments"), OPERATORS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_argument_that_says_what_to_act_on_is_templated(operator: Any, arguments: dict[str, Any]) -> None:
    made = operator(task_id="t", **arguments)

    assert {*arguments, "salesblink_conn_id"} <= set(made.template_fields)
    for name, value in arguments.items():
        assert getattr(made, name) == value


def test_templates_are_rendered_and_mapped_in_a_real_run(
    api: Api, sandbox: Sandbox, run_dag: Callable[..., Any], dag: Any, campaign: Any
) -> None:
    people = [{"Email": f"p{number}@example.com"} for number in range(3)]
    dag.params["campaign"] = campaign.id
    with dag:
        adds = AddProspectOperator.partial(task_id="add", campaign_id="{{ params.campaign }}").expand(data=people)
        update = UpdateProspectOperator(
            task_id="update",
            prospect_id="{{ ti.xcom_pull(task_ids='add', map_indexes=1)['prospect_id'] }}",
            fields={"Run": "{{ run_id }}"},
        )
        unsubscribe = UnsubscribeOperator.partial(task_id="unsubscribe").expand(
            email=["{{ 'P0@example.com' }}", "p2@example.com"]
        )
        members = ListMembersOperator(task_id="members")
        adds >> update >> unsubscribe >> members

    run = run_dag(dag)

    assert run.state == "success"
    found = {person.email: person for person in sandbox.people(campaign.id)}
    assert len(found) == 3
    assert api.columns({"Run": run.run_id}).items() <= found["p1@example.com"].fields.items()
    assert {email for email, person in found.items() if person.unsubscribed} == {"p0@example.com", "p2@example.com"}


class Asking(ListCampaignsOperator):
    """A subclass that renders a text of its own."""

    def call_salesblink(self, client: Any) -> dict[str, Any]:
        with pytest.raises(Exception, match="'nothing' is undefined"):
            self.render_template("{{ nothing.there }}", {})
        return super().call_salesblink(client)


def test_a_subclass_may_render_by_itself() -> None:
    assert Asking(task_id="t").execute({})["outcome"] == "found"
