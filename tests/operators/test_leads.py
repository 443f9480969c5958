"""Operators for leads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_salesblink.operators.leads import MoveLeadOperator, RemoveLeadOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.fixture
def spring(sandbox: Sandbox) -> str:
    """Return the id of a list with Ana on it."""
    list_id = sandbox.add_list("Spring")
    sandbox.add_lead(list_id, {"email": "ana@example.com"})
    return list_id


def test_removing_takes_the_address_off_this_list_only(sandbox: Sandbox, spring: str) -> None:
    winter = sandbox.add_list("Winter")
    sandbox.add_lead(winter, {"email": "ana@example.com"})

    result = RemoveLeadOperator(task_id="t", list_id=spring, email="Ana@Example.com").execute({})

    assert result == {"outcome": "removed", "list_id": spring}
    assert not sandbox.leads(spring)
    assert len(sandbox.leads(winter)) == 1


def test_removing_somebody_who_is_not_on_the_list_is_a_success(sandbox: Sandbox, spring: str) -> None:
    result = RemoveLeadOperator(task_id="t", list_id=spring, email="ben@example.com").execute({})

    assert result == {"outcome": "missing", "list_id": spring}
    assert len(sandbox.leads(spring)) == 1


def test_removing_from_a_list_that_does_not_exist_fails_the_task() -> None:
    with pytest.raises(AirflowFailException, match="404"):
        RemoveLeadOperator(task_id="t", list_id="nobody", email="ana@example.com").execute({})


def test_a_removal_whose_answer_is_lost_is_a_removal(sandbox: Sandbox, spring: str) -> None:
    sandbox.fault("v1.removeContact", "reset", when="after")

    result = RemoveLeadOperator(task_id="t", list_id=spring, email="ana@example.com").execute({})

    assert result == {"outcome": "removed", "list_id": spring}
    assert not sandbox.leads(spring)


@pytest.mark.parametrize("email", [None, "", "ana", "@example.com"])
def test_a_bad_address_fails_before_anything_is_sent(email: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="email"):
        RemoveLeadOperator(task_id="t", list_id="l1", email=email).execute({})

    assert not sandbox.requests


def test_the_recipient_of_the_alerts_is_not_taken_for_the_person(sandbox: Sandbox) -> None:
    alerts = {"email": "oncall@example.com", "email_on_failure": True}
    with DAG("alerts", schedule=None, start_date=datetime(2026, 1, 1), default_args=alerts):  # noqa: DTZ001
        made = RemoveLeadOperator(task_id="t", list_id="l1", email="ana@example.com")
        mapped = RemoveLeadOperator.partial(task_id="m", list_id="l1").expand(email=["ana@example.com"])

    assert (made.email, made.email_on_failure) == ("ana@example.com", False)
    assert "email" not in mapped.partial_kwargs
    assert not sandbox.requests


def test_a_dry_run_removes_nobody(sandbox: Sandbox, spring: str, connection: Callable[..., None]) -> None:
    connection(extra={"dry_run": True})

    result = RemoveLeadOperator(task_id="t", list_id=spring, email="ana@example.com").execute({})

    assert result == {"outcome": "dry_run", "would_be": "removed", "list_id": spring}
    assert len(sandbox.leads(spring)) == 1


def test_moving_changes_the_list(sandbox: Sandbox, spring: str) -> None:
    winter = sandbox.add_list("Winter")
    (ana,) = sandbox.leads(spring)

    result = MoveLeadOperator(task_id="t", lead_id=ana.id, list_id=winter).execute({})

    assert result == {"outcome": "moved", "lead_id": ana.id, "list_id": winter}
    assert [each.id for each in sandbox.leads(winter)] == [ana.id]
    assert not sandbox.leads(spring)


def test_nobody_is_moved_to_where_a_running_sequence_would_mail_them(
    sandbox: Sandbox, spring: str, changes: Changes
) -> None:
    winter = sandbox.add_list("Winter")
    sequence_id = sandbox.add_campaign("Winter mails", lists=[winter])
    (ana,) = sandbox.leads(spring)

    with pytest.raises(AirflowFailException, match=f"'Winter mails' .{sequence_id}..*allow_running=True"):
        MoveLeadOperator(task_id="t", lead_id=ana.id, list_id=winter).execute({})

    assert changes() == []
    assert not sandbox.started


def test_a_paused_sequence_is_no_reason_to_refuse(sandbox: Sandbox, spring: str) -> None:
    winter = sandbox.add_list("Winter")
    sandbox.add_campaign("Winter mails", paused=True, lists=[winter])
    (ana,) = sandbox.leads(spring)

    result = MoveLeadOperator(task_id="t", lead_id=ana.id, list_id=winter).execute({})

    assert result["outcome"] == "moved"


def test_the_user_may_allow_a_running_sequence(sandbox: Sandbox, spring: str) -> None:
    winter = sandbox.add_list("Winter")
    sandbox.add_campaign("Winter mails", lists=[winter])
    (ana,) = sandbox.leads(spring)

    MoveLeadOperator(task_id="t", lead_id=ana.id, list_id=winter, allow_running=True).execute({})

    assert [each.id for each in sandbox.leads(winter)] == [ana.id]
    assert [each.reason for each in sandbox.started] == ["moved"]


def test_a_lead_that_does_not_exist_fails_the_task(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="404"):
        MoveLeadOperator(task_id="t", lead_id="nobody", list_id=sandbox.add_list("Winter")).execute({})


def test_a_dry_run_moves_nobody(sandbox: Sandbox, spring: str, connection: Callable[..., None]) -> None:
    connection(extra={"dry_run": True})
    (ana,) = sandbox.leads(spring)
    winter = sandbox.add_list("Winter")

    result = MoveLeadOperator(task_id="t", lead_id=ana.id, list_id=winter).execute({})

    assert result == {"outcome": "dry_run", "would_be": "moved", "lead_id": ana.id, "list_id": winter}
    assert len(sandbox.leads(spring)) == 1


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    "task",
    [
        RemoveLeadOperator(task_id="t", list_id="l1", email="ana@example.com"),
        MoveLeadOperator(task_id="t", lead_id="p1", list_id="l1"),
        MoveLeadOperator(task_id="t", lead_id="p1", list_id="l1", allow_running=True),
    ],
)
def test_on_the_classic_api_the_task_fails_and_says_what_to_set(task: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="Set the connection's extra api_version to 'v1'"):
        task.execute({})

    assert not sandbox.requests
