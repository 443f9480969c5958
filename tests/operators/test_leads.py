"""Operators for leads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_salesblink.operators.leads import AddLeadsOperator, MoveLeadOperator, RemoveLeadOperator

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


# Adding

ROWS = [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(700)]


def add(**options: Any) -> dict[str, Any]:
    return AddLeadsOperator(task_id="t", **options).execute({})


@pytest.mark.parametrize("by", ["list_id", "list_name"])
def test_people_are_added_to_a_list_once(sandbox: Sandbox, spring: str, by: str) -> None:
    target = {by: spring if by == "list_id" else "Spring"}

    result = add(**target, rows=[*ROWS, {"Email": "ANA@example.com"}])

    assert (result["list_id"], result["added"], result["there"]) == (spring, 700, 1)
    assert "campaign_id" not in result
    assert len(sandbox.leads(spring)) == 701
    assert add(**target, rows=ROWS)["there"] == 700
    assert [request.path.rpartition("/")[2] for request in sandbox.requests if request.method == "POST"] == [
        "contacts",
        "contacts",
    ]


def test_a_list_that_a_paused_campaign_uses_gets_a_warning(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    list_id = sandbox.add_list("Autumn")
    sandbox.add_campaign("Later", paused=True, lists=[list_id])

    assert add(list_id=list_id, rows=ROWS[:2])["added"] == 2

    assert "is used by sequence 'Later'" in caplog.text


def test_people_are_updated_and_blocked_people_left_out(sandbox: Sandbox, spring: str) -> None:
    sandbox.block("bob@example.com")

    result = add(
        list_id=spring, mode="upsert",
        rows=[{"Email": "ana@example.com", "Company": "Acme"}, {"Email": "bob@example.com"}, ROWS[0]],
    )  # fmt: skip

    assert (result["updated"], result["added"], result["opted_out"]) == (1, 1, 1)


@pytest.mark.parametrize("running", [True, False])
def test_a_list_that_a_running_sequence_uses_is_refused_unless_that_is_wanted(sandbox: Sandbox, running: bool) -> None:
    list_id = sandbox.add_list("Autumn")
    sandbox.add_campaign("Mails", paused=not running, lists=[list_id])

    if running:
        with pytest.raises(AirflowFailException, match=r"is used by sequence 'Mails'.*which runs.*allow_running=True"):
            add(list_id=list_id, rows=ROWS)
        assert {request.method for request in sandbox.requests} == {"GET"}
        assert sandbox.leads(list_id) == []
    assert add(list_id=list_id, rows=ROWS, allow_running=running)["added"] == 700
    assert len(sandbox.started) == (700 if running else 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "Pass exactly one of"),
        ({"list_id": "a", "list_name": "b"}, "Pass exactly one of"),
        ({"list_name": "Nobody"}, "No lists are called 'Nobody'.*CreateListOperator"),
        ({"list_name": "twice"}, "No lists are called 'twice': check its spelling, which counts upper and lower case"),
        ({"list_name": "Twice"}, "2 lists are called 'Twice': pass the list_id of one: "),
        ({"list_name": ""}, "list_name is empty"),
        ({"list_id": "unknown"}, "404"),
    ],
    ids=str,
)
def test_a_list_that_is_unclear_or_unknown_fails_the_task(
    sandbox: Sandbox, options: dict[str, str], sentence: str
) -> None:
    for _ in range(2):
        sandbox.add_list("Twice")

    with pytest.raises(AirflowFailException, match=sentence):
        add(**options, rows=ROWS[:3])

    assert {request.method for request in sandbox.requests} <= {"GET"}


@pytest.mark.apis("classic")
def test_the_classic_api_has_no_lists(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="classic API"):
        add(list_id="l1", rows=ROWS[:3])

    assert sandbox.requests == []


# Removing


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
