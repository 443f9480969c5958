"""Letting a person approve a plan: what they see, and what follows from each answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowOptionalProviderFeatureException

from airflow_provider_salesblink.operators.plans import ApproveLoadOperator, PlanLoadOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = [pytest.mark.apis(*BOTH), pytest.mark.generation(3)]

ROWS = [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(6)]
ANA = {"id": "1", "name": "ana"}


class Questions:
    """Stands for Airflow's store of questions, which keeps the first text of a task, as 3.3.2 does."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def send(self, msg: Any) -> Any:
        assert msg.assigned_users is not None, "Airflow answers 422"
        return self.kept.setdefault(msg.ti_id, msg)


class Run:
    """The approve task of one run."""

    def __init__(self, questions: Questions, campaign_id: str, folder: Path) -> None:
        self._questions = questions
        self.load_options: dict[str, Any] = {"campaign_id": campaign_id, "rows": ROWS}
        self.plan_path = f"file://{folder}/plan.txt"
        ti = SimpleNamespace(id=uuid4(), dag_id="d", run_id="r", task_id="approve", map_index=-1)
        self.context: Any = {"ti": ti, "task_instance": ti}

    def plan(self, **changed: Any) -> dict[str, Any]:
        options = {**self.load_options, "plan_path": self.plan_path, **changed}
        return PlanLoadOperator(task_id="plan", **options).execute(self.context)

    def ask(self, plan: Any, **options: Any) -> Any:
        """Run the task until it waits, and return the question that Airflow keeps."""
        from airflow.sdk.exceptions import TaskAwaitingInput

        with pytest.raises(TaskAwaitingInput):
            ApproveLoadOperator(task_id="approve", plan=plan, **options).execute(self.context)
        return self._questions.kept[self.context["ti"].id]

    def answer(self, plan: Any, option: str, user: Any = ANA, **options: Any) -> dict[str, Any]:
        event = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC)}
        return self.go_on(plan, {**event, "responded_by_user": user}, **options)

    def go_on(self, plan: Any, event: dict[str, Any], **options: Any) -> dict[str, Any]:
        return ApproveLoadOperator(task_id="approve", plan=plan, **options).execute_complete(self.context, event)

    def load(self, approved: Any, **changed: Any) -> dict[str, Any]:
        options = {**self.load_options, **changed}
        return AddProspectsOperator(task_id="load", approved_plan=approved, **options).execute(self.context)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Questions:
    from airflow.sdk.execution_time import task_runner

    questions = Questions()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", questions, raising=False)
    return questions


@pytest.fixture
def run(questions: Questions, campaign: CampaignUnderTest, tmp_path: Path) -> Run:
    return Run(questions, campaign.id, tmp_path)


def test_a_plan_is_shown_approved_and_loaded(run: Run, sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    plan = run.plan(max_adds=10)
    question = run.ask(plan)

    approved = run.answer(plan, question.options[0])

    digest = plan["digest"][:12]
    assert question.subject == f"Add 6 people to campaign {campaign.id}, and change 0? (plan {digest})"
    assert question.options == [f"Approve {digest}", "Reject"]
    assert "| 6 | add |" in question.body
    assert "| `add` | 1 | `p*** at e***.com` | `First Name` |" in question.body
    assert approved["approved_by"] == "ana (id 1)"
    assert run.load(approved, max_adds=10)["added"] == 6
    assert len(sandbox.people()) == 6


def test_nothing_that_a_person_sees_has_an_address(run: Run) -> None:
    rows = [{**row, "me@example.com|`x`": "1"} for row in ROWS]

    question = run.ask(run.plan(rows=rows, columns=None))

    assert "@" not in question.subject + question.body
    assert "`<address>" in question.body
    assert len(json.dumps(run.plan(rows=rows))) < 4000


def test_a_guard_that_would_stop_the_load_comes_first(run: Run) -> None:
    question = run.ask(run.plan(max_adds=5))

    assert question.body.startswith("**The load would fail:** The load would add 6 people, more than max\\_adds=5")


def test_a_rejection_fails_the_task_and_says_who_rejected(run: Run) -> None:
    plan = run.plan()
    run.ask(plan)

    with pytest.raises(AirflowFailException, match=r"Rejected by ana \(id 1\); nothing was sent"):
        run.answer(plan, "Reject")


@pytest.mark.parametrize("event", [
    {"error": "The response timeout has passed.", "error_type": "timeout"},
    {"chosen_options": ["Reject"], "responded_by_user": None, "responded_at": datetime.now(UTC)},
], ids=["no default", "default"])  # fmt: skip
def test_a_time_out_rejects(run: Run, event: dict[str, Any]) -> None:
    plan = run.plan()
    run.ask(plan)

    with pytest.raises(AirflowFailException, match="Nobody answered in time, so the load is rejected; nothing was se"):
        run.go_on(plan, event)


def test_an_answer_that_airflow_cannot_read_rejects(run: Run) -> None:
    plan = run.plan()

    with pytest.raises(AirflowFailException, match="Airflow could not read the answer"):
        run.go_on(plan, {"error": "bad", "error_type": "validation"})


def test_a_text_of_an_earlier_plan_cannot_be_approved(run: Run) -> None:
    run.ask(run.plan(rows=ROWS[:1]))
    plan = run.plan()

    with pytest.raises(AirflowFailException, match="Airflow still shows the text of an earlier plan of this run"):
        ApproveLoadOperator(task_id="approve", plan=plan).execute(run.context)


def test_the_same_plan_may_be_asked_about_again(run: Run) -> None:
    first = run.ask(run.plan())

    assert run.ask(run.plan()).options == first.options


def test_a_plan_that_changes_while_the_task_waits_is_not_approved(run: Run) -> None:
    question = run.ask(run.plan(rows=ROWS[:1]))

    with pytest.raises(AirflowFailException, match=r"ana \(id 1\) approved the text of another plan"):
        run.answer(run.plan(), question.options[0])


def test_an_approval_expires(run: Run, sandbox: Sandbox) -> None:
    plan = run.plan()
    approved = run.answer(plan, run.ask(plan).options[0], valid_for="0s")

    with pytest.raises(AirflowFailException, match="The approval expired at"):
        run.load(approved)
    assert sandbox.people() == []
    assert datetime.fromisoformat(run.answer(plan, run.ask(plan).options[0])["expires_at"]) > (
        datetime.now(UTC) + timedelta(hours=23, minutes=59)
    )


def test_an_approval_of_another_run_is_worth_nothing(run: Run, sandbox: Sandbox) -> None:
    plan = run.plan()
    approved = run.answer(plan, run.ask(plan).options[0])
    run.context["ti"].run_id = "tomorrow"

    with pytest.raises(AirflowFailException, match="was approved for the run 'd/r', and this is 'd/tomorrow'"):
        run.load(approved)
    assert sandbox.people() == []


def test_the_notifiers_are_called_and_the_users_are_passed_on(run: Run) -> None:
    from airflow.providers.common.compat.sdk import BaseNotifier

    class Noted(BaseNotifier):
        calls = 0

        def notify(self, context: Any) -> None:  # noqa: ARG002
            Noted.calls += 1

    question = run.ask(run.plan(), notifiers=[Noted()], assigned_users=[ANA])

    assert Noted.calls == 1
    assert [user.id for user in question.assigned_users] == ["1"]


def test_only_the_assigned_users_can_approve_even_if_airflow_lets_others_answer(run: Run) -> None:
    plan = run.plan()
    option = run.ask(plan).options[0]

    with pytest.raises(AirflowFailException, match=r"ana \(id 1\) is not among the assigned_users of the DAG"):
        run.answer(plan, option, assigned_users={"id": "2", "name": "bob"})
    assert run.answer(plan, option, assigned_users=[ANA])["outcome"] == "approved"


@pytest.mark.parametrize(("options", "sentence"), [
    ({"assigned_users": "ana"}, "assigned_users has something else than users: give a dict such as"),
    ({"assigned_users": [{"name": "ana"}]}, "assigned_users has something else than users: give a dict such as"),
    ({"defaults": ["Approve"]}, "ApproveLoadOperator takes no defaults: it asks one question, and silence rejects"),
], ids=str)  # fmt: skip
def test_arguments_that_make_no_sense_fail_when_the_dag_is_read(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ApproveLoadOperator(task_id="t", plan={}, **options)


def test_the_task_waits_for_a_day_unless_the_dag_says_more(run: Run) -> None:
    assert ApproveLoadOperator(task_id="t", plan=run.plan()).response_timeout == timedelta(hours=24)


@pytest.mark.parametrize(("plan", "sentence"), [
    ({"outcome": "planned", "plan_path": None, "digest": "1"}, "The plan has no plan_path"),
    ({"outcome": "loaded"}, "plan is not what PlanLoadOperator leaves in XCom"),
    ("None", "plan is not what PlanLoadOperator leaves in XCom"),
], ids=str)  # fmt: skip
def test_what_is_not_a_plan_cannot_be_approved(run: Run, plan: Any, sentence: str) -> None:
    with pytest.raises(AirflowFailException, match=sentence):
        ApproveLoadOperator(task_id="t", plan=plan).execute(run.context)


def test_valid_for_must_be_a_length_of_time(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="valid_for is 'a day': give a number with a unit"):
        ApproveLoadOperator(task_id="t", plan=run.plan(), valid_for="a day").execute(run.context)


@pytest.mark.apis("classic")
@pytest.mark.generation(2)
@pytest.mark.usefixtures("api")
def test_an_older_airflow_says_what_is_needed() -> None:
    with pytest.raises(
        AirflowOptionalProviderFeatureException, match=r"ApproveLoadOperator needs Airflow 3\.1 or later"
    ):
        ApproveLoadOperator(task_id="t", plan={})
