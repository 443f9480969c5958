"""``email`` is the person to act on: never whom Airflow tells of a failure, nor the other way round."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_salesblink.operators.prospects import (
    SearchProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

ADDRESSED = [
    (UpdateProspectOperator, {"fields": {"A": "b"}}),
    (UnsubscribeOperator, {}),
    (SearchProspectOperator, {}),
]


def dag_with_alerts() -> DAG:
    alerts = {"email": ["oncall@example.com"], "email_on_failure": True, "email_on_retry": True}
    return DAG("alerts", schedule=None, start_date=datetime(2026, 1, 1), default_args=alerts)  # noqa: DTZ001


@pytest.mark.parametrize(("operator", "arguments"), ADDRESSED)
def test_the_person_gets_no_mail_when_the_task_fails(operator: Any, arguments: dict[str, Any]) -> None:
    with dag_with_alerts():
        made = operator(task_id="t", email="ana@example.com", **arguments)
        mapped = operator.partial(task_id="m", email="ana@example.com", **arguments).expand(
            salesblink_conn_id=["a", "b"]
        )

    assert made.email == "ana@example.com"
    assert (made.email_on_failure, made.email_on_retry) == (False, False)
    assert (mapped.partial_kwargs["email_on_failure"], mapped.partial_kwargs["email_on_retry"]) == (False, False)


@pytest.mark.parametrize("operator", [UpdateProspectOperator, UnsubscribeOperator])
def test_whom_the_alerts_go_to_is_not_taken_for_the_person(operator: Any) -> None:
    arguments = {"fields": {"A": "b"}} if operator is UpdateProspectOperator else {}
    with dag_with_alerts():
        made = operator(task_id="t", prospect_id="p1", **arguments)
        mapped = operator.partial(task_id="m", **arguments).expand(prospect_id=["p1"])

    assert made.email is None
    assert mapped.partial_kwargs.get("email") is None


def test_a_mapped_address_works_in_a_dag_with_alerts(
    sandbox: Sandbox, run_dag: Callable[..., Any], campaign: Any
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.add_person(campaign.id, {"Email": "oncall@example.com"})
    with dag_with_alerts() as dag:
        UnsubscribeOperator.partial(task_id="t").expand(email=["ana@example.com"])

    assert run_dag(dag).state == "success"
    assert [(person.email, person.unsubscribed) for person in sandbox.people()] == [
        ("ana@example.com", True),
        ("oncall@example.com", False),
    ]
