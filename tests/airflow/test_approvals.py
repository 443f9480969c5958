"""Plan, approve, load in a real Airflow: a person answers through its REST API."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo import ui
from demo.real_airflow import RealAirflow
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_server import Postgres

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]

EXAMPLE = ROOT / "dags_examples" / "plan_approve_load.py"
DAG_ID = EXAMPLE.stem
SHORT = "plan_approve_load_soon"


class Office:
    """An Airflow in which loads are planned and approved, each run with a file of its own."""

    def __init__(self, airflow: RealAirflow, sandbox: Sandbox) -> None:
        self.airflow = airflow
        self.sandbox = sandbox
        self._runs = 0

    def start(self, people: int, dag_id: str = DAG_ID) -> Run:
        """Start a run with a campaign and a file of its own, and wait until a person is asked."""
        self._runs += 1
        run = Run(self, dag_id, self.sandbox.add_campaign(f"Campaign {self._runs}"), self._runs)
        run.write(range(people))
        params = {"campaign_id": run.campaign_id, "people": f"file://{run.file}", "plans": f"file://{run.folder}"}
        run.run_id = self.airflow.trigger(dag_id, params)
        return run


class Run:
    """One run of the DAG."""

    def __init__(self, office: Office, dag_id: str, campaign_id: str, number: int) -> None:
        self.office = office
        self.dag_id = dag_id
        self.campaign_id = campaign_id
        self.folder = office.airflow.home / f"work-{number}"
        self.folder.mkdir()
        self.file = self.folder / "people.csv"
        self.run_id = ""
        self._workers: Counter[str] = Counter()

    def write(self, numbers: range) -> None:
        """Write the file: people with these numbers."""
        lines = [f"p{number}@{self.campaign_id}.example.com,P{number}," for number in numbers]
        self.file.write_text("\n".join(["Email,First Name,Unsubscribed", *lines]))

    def wait_for(self, task_id: str, *states: str) -> str:
        """Wait until a task has one of these states, and return it."""

        def reached() -> bool:
            return self.office.airflow.tasks(self.dag_id, self.run_id).get(task_id, ("", 0))[0] in states

        self.office.airflow.wait_until(f"{task_id} of {self.dag_id} is {states}", reached, 120)
        state = str(self.office.airflow.tasks(self.dag_id, self.run_id)[task_id][0])
        self._workers[task_id] += state != "upstream_failed"
        return state

    def end(self) -> None:
        """Wait until the run is over. A task that is cleared at that moment may stay behind."""
        over = {"success", "failed"}
        self.office.airflow.wait_until(
            "the run ends", lambda: self.office.airflow.run_state(self.dag_id, self.run_id) in over, 120
        )

    def _let_workers_end(self) -> None:
        """Wait until the scheduler knows that the workers ended: it takes a task that starts too soon for dead."""
        for task_id, workers in self._workers.items():
            line = f"task_id='{task_id}', run_id='{self.run_id}'"
            self.office.airflow.wait_until(
                f"the workers of {task_id} ended", partial(self._has_ended, line, workers), 120
            )

    def _has_ended(self, line: str, workers: int) -> bool:
        lines = self.office.airflow.log("scheduler").splitlines()
        return sum("Received executor event" in each and line in each for each in lines) >= workers

    def asked(self) -> dict[str, Any]:
        """Wait until a person is asked, and return the question."""
        self.wait_for("approve", "awaiting_input", "deferred")
        return self.question()

    def answer(self, option: int) -> None:
        """Choose the first option, which approves, or the second one, which rejects."""
        self._let_workers_end()
        chosen = {"chosen_options": [self.question()["options"][option]], "params_input": {}}
        self.office.airflow.api(f"{self._task('approve')}/-1/hitlDetails", chosen, method="PATCH")
        self._workers["approve"] += 1

    def question(self) -> dict[str, Any]:
        """Return the question as Airflow keeps it."""
        return self.office.airflow.api(f"{self._task('approve')}/-1/hitlDetails")

    def clear(self, *task_ids: str) -> None:
        self._let_workers_end()
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": task_ids, "only_failed": False}
        self.office.airflow.api(f"dags/{self.dag_id}/clearTaskInstances", {**body, "reset_dag_runs": True})

    def log(self, task_id: str) -> str:
        """Return the log of a task's last try."""
        last = self.office.airflow.tasks(self.dag_id, self.run_id)[task_id][1]
        return json.dumps(self.office.airflow.api(f"{self._task(task_id)}/logs/{last}?full_content=true"))

    def people(self) -> int:
        return len(self.office.sandbox.people(self.campaign_id))

    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.office.sandbox.requests)

    def _task(self, task_id: str) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{task_id}"


@pytest.fixture(scope="module")
def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    airflow = RealAirflow(tmp_path_factory.mktemp("airflow"), {}, postgres.new_database())
    for path in (EXAMPLE, EXAMPLE.with_name("suppressed.txt")):
        shutil.copy(path, airflow.dags)
    text = EXAMPLE.read_text().replace('"plan_approve_load"', f'"{SHORT}"')
    (airflow.dags / f"{SHORT}.py").write_text(text.replace("timedelta(hours=8)", "timedelta(seconds=1)"))
    with Sandbox() as sandbox, airflow:
        ui.connect(airflow, sandbox)
        yield Office(airflow, sandbox)


def test_what_was_approved_is_loaded_once(office: Office) -> None:
    run = office.start(3)
    question = run.asked()
    assert question["subject"].startswith(f"Add 3 people to campaign {run.campaign_id}, and change 0?")
    assert "@" not in question["subject"] + question["body"]
    assert run.people() == 0

    run.answer(0)

    assert run.wait_for("load", "success", "failed") == "success"
    assert run.people() == 3
    approved = office.airflow.xcom(DAG_ID, run.run_id, "approve")
    assert (approved["outcome"], approved["run"]) == ("approved", f"{DAG_ID}/{run.run_id}")

    run.write(range(4))
    writes = run.writes()
    run.end()
    run.clear("load")

    run.wait_for("load", "failed")
    assert "The approval was used: a load finished with it at" in run.log("load")
    assert (run.people(), run.writes()) == (3, writes)


@pytest.mark.parametrize("people", [range(1, 4), range(300)], ids=["another", "a hundred times"])
def test_a_file_that_changes_after_the_plan_stops_the_load_before_the_first_write(
    office: Office, people: range
) -> None:
    run = office.start(3)
    run.asked()
    run.write(people)
    writes = run.writes()

    run.answer(0)

    assert run.wait_for("load", "success", "failed") == "failed"
    assert "The load would do more than was approved: add " in run.log("load")
    assert (run.people(), run.writes()) == (0, writes)


def test_somebody_who_opts_out_after_the_plan_is_left_out(office: Office) -> None:
    run = office.start(3)
    run.asked()
    run.file.write_text(run.file.read_text().replace(",P1,", ",P1,yes"))

    run.answer(0)

    assert run.wait_for("load", "success", "failed") == "success"
    assert run.people() == 2


def test_a_rejected_load_sends_nothing_and_says_who_rejected(office: Office) -> None:
    run = office.start(3)
    run.asked()

    run.answer(1)

    assert run.wait_for("load", "upstream_failed", "success", "failed") == "upstream_failed"
    assert run.people() == 0
    assert "Rejected by " in run.log("approve")
    assert office.airflow.tasks(DAG_ID, run.run_id)["approve"] == ("failed", 1)


def test_without_an_answer_in_time_nothing_is_sent(office: Office) -> None:
    run = office.start(3, SHORT)

    assert run.wait_for("load", "upstream_failed", "success", "failed") == "upstream_failed"
    assert run.people() == 0
    assert "Nobody answered in time, so the load is rejected; nothing was sent." in run.log("approve")


def test_after_a_clear_the_text_of_the_first_plan_cannot_be_approved(office: Office) -> None:
    run = office.start(3)
    first = run.asked()
    run.write(range(30))
    run.clear("plan", "approve", "load")

    run.wait_for("approve", "failed")

    assert "Airflow still shows the text of an earlier plan of this run" in run.log("approve")
    assert run.question()["subject"] == first["subject"]
    assert run.people() == 0


def test_an_approval_is_void_after_the_plan_is_made_again(office: Office) -> None:
    run = office.start(3)
    run.asked()
    run.answer(0)
    assert run.wait_for("load", "success", "failed") == "success"
    run.write(range(30))
    run.end()
    run.clear("plan")
    run.wait_for("plan", "success")
    run.end()
    run.clear("load")

    run.wait_for("load", "failed")

    assert "The plan was made again after the approval" in run.log("load")
    assert run.people() == 3
