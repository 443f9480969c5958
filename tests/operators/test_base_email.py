"""``email`` is the person to act on, never the recipient of Airflow's alert mails, nor the other way round."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_salesblink.operators.prospects import (
    SearchProspectOperator,
    UnsubscribeOperator,
    UpdateProspectOperator,
)
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

PERSON_OPERATORS = [
    (UpdateProspectOperator, {"fields": {"A": "b"}}),
    (UnsubscribeOperator, {}),
    (SearchProspectOperator, {}),
]


def dag_with_alerts(email: Any = ("oncall@example.com",)) -> DAG:
    alerts = {"email": email if isinstance(email, str) else [*email], "email_on_failure": True, "email_on_retry": True}
    return DAG("alerts", schedule=None, start_date=datetime(2026, 1, 1), default_args=alerts)  # noqa: DTZ001


@pytest.mark.parametrize(("operator", "arguments"), PERSON_OPERATORS)
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
def test_the_recipient_of_the_alerts_is_not_taken_for_the_person(operator: Any) -> None:
    arguments = {"fields": {"A": "b"}} if operator is UpdateProspectOperator else {}
    with dag_with_alerts():
        made = operator(task_id="t", prospect_id="p1", **arguments)
        mapped = operator.partial(task_id="m", **arguments).expand(prospect_id=["p1"])

    assert made.email is None
    assert mapped.partial_kwargs.get("email") is None


@pytest.mark.apis(*BOTH)
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


@pytest.mark.parametrize(("operator", "arguments"), [*PERSON_OPERATORS, (ProspectSensor, {"campaign_id": "c"})])
def test_a_person_who_gets_the_alerts_too_may_be_given(operator: Any, arguments: dict[str, Any]) -> None:
    with dag_with_alerts("boss@example.com"):
        made = operator(task_id="t", email="boss@example.com", **arguments)
        mapped = operator.partial(task_id="m", email="boss@example.com", **arguments).expand(salesblink_conn_id=["a"])

    assert made.email == "boss@example.com"
    assert mapped.partial_kwargs["email"] == "boss@example.com"
    assert (made.email_on_failure, made.email_on_retry) == (False, False)


def test_a_person_who_gets_the_alerts_too_is_unsubscribed(
    sandbox: Sandbox, run_dag: Callable[..., Any], campaign: Any
) -> None:
    for name in ("boss", "ana", "ben"):
        sandbox.add_person(campaign.id, {"Email": f"{name}@example.com"})
    with dag_with_alerts("boss@example.com") as dag:
        UnsubscribeOperator(task_id="one", email="boss@example.com")
        UnsubscribeOperator.partial(task_id="mapped").expand(email=["ana@example.com", "boss@example.com"])

    assert run_dag(dag).state == "success"
    assert [person.email for person in sandbox.people() if not person.unsubscribed] == ["ben@example.com"]


class Leave(UnsubscribeOperator):
    """A subclass that passes on an address of its own."""

    def __init__(self, *, who: str, **kwargs: Any) -> None:
        super().__init__(email=who, **kwargs)


def test_where_it_cannot_be_known_who_gave_the_address_the_error_says_so(sandbox: Sandbox) -> None:
    with dag_with_alerts("boss@example.com"):
        other = Leave(task_id="other", who="ana@example.com")
        same = Leave(task_id="same", who="boss@example.com")
        search = SearchProspectOperator(task_id="search")
    assert other.email == "ana@example.com"

    for made in (same, search):
        with pytest.raises(
            AirflowFailException, match=r"equals default_args\['email'\].*pass email= to the operator itself"
        ) as failed:
            made.execute({})
        assert "boss@" not in str(failed.value)
    assert not sandbox.requests
