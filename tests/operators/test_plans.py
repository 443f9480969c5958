"""Planning a load, and holding the load to what a person approved."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred, task
from pyarrow import parquet

from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.loading.reservations_retry import open_reservations
from airflow_provider_salesblink.operators.approvals import Approval
from airflow_provider_salesblink.operators.plans import PlanLoadOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api, Write
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

ROWS = [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(6)]
FOREVER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


class Loads:
    """Plans loads into one campaign, and runs them with an approval of such a plan."""

    def __init__(self, campaign_id: str, folder: Path) -> None:
        self.options: dict[str, Any] = {"campaign_id": campaign_id, "rows": ROWS}
        self.plan_path = folder / "plan.txt"
        self.context: Any = {}

    def plan(self, **changed: Any) -> dict[str, Any]:
        options = {"plan_path": f"file://{self.plan_path}", **self.options, **changed}
        return PlanLoadOperator(task_id="plan", **options).execute({})

    def approved(self, plan: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """Return what the approve task leaves in XCom; test_approve_load tests that it does."""
        bound = {name: plan[name] for name in ("campaign_id", "digest", "plan_path", "planned_at")}
        answer = {"approved_by": "Ana (id 1)", "approved_at": "2026-11-26T12:00:00+00:00", "expires_at": FOREVER}
        return {"outcome": "approved", **bound, **answer, "run": None, **changed}

    def load(self, approved: Any, **changed: Any) -> dict[str, Any]:
        options = {**self.options, **changed}
        return AddProspectsOperator(task_id="load", approved_plan=approved, **options).execute(self.context)

    def refused(self, approved: Any, **changed: Any) -> str:
        with pytest.raises(AirflowFailException) as failed:
            self.load(approved, **changed)
        return str(failed.value)


@pytest.fixture
def loads(campaign: CampaignUnderTest, tmp_path: Path) -> Loads:
    return Loads(campaign.id, tmp_path)


def test_a_plan_says_what_the_load_would_do_and_writes_nothing(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Callable[[], list[Write]]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "there@example.com", "First Name": "Same"})
    sandbox.add_person(campaign.id, {"Email": "old@example.com", "First Name": "Old"})
    sandbox.add_person(campaign.id, {"Email": "out@example.com"}, unsubscribed=True)
    rows = [
        *ROWS,
        {"Email": "there@example.com", "First Name": "Same"},
        {"Email": "old@example.com", "First Name": "New"},
        {"Email": "out@example.com", "First Name": "Out"},
        {"Email": "P1@example.com"},
        {"Email": "nobody"},
    ]

    plan = loads.plan(rows=rows, mode="upsert")

    counts = {name: plan[name] for name in ("add", "update", "there", "opted_out", "repeats", "rejected", "rows")}
    assert counts == {"add": 6, "update": 1, "there": 1, "opted_out": 1, "repeats": 1, "rejected": 1, "rows": 11}
    assert plan["outcome"] == "planned"
    assert plan["stops"] == [
        "1 of 11 rows are refused, more than max_rejected=0: the load sends the other rows, and then fails."
    ]
    assert writes() == []


def test_a_plan_shows_a_sample_and_no_address(loads: Loads) -> None:
    plan = loads.plan(mode="upsert")

    assert plan["sample"][0] == {
        "action": "add", "row": 1, "address": "p*** at e***.com", "columns": ["First Name"],
    }  # fmt: skip
    for row in ROWS:
        assert row["Email"] not in json.dumps(plan) + loads.plan_path.read_text()
        assert "example" not in json.dumps(plan["sample"]) + loads.plan_path.read_text()


def test_a_plan_estimates_requests_and_hours(loads: Loads, api: Api, connection: Callable[..., None]) -> None:
    connection(extra={"writes_per_minute": 2, "reads_per_minute": 0})

    plan = loads.plan()

    assert plan["writes"] == (1 if api.is_v1 else 6)
    assert plan["look_ups"] == (0 if api.is_v1 else 6)
    assert plan["hours"] == (0 if api.is_v1 else pytest.approx(2 / 60, abs=0.01))


@pytest.mark.parametrize(("guard", "sentence"), [
    ({"max_adds": 5}, "The load would add 6 people, more than max_adds=5 allows"),
    ({"mode": "mirror", "rows": []}, "The input is empty, so a mirror would unsubscribe everybody"),
])  # fmt: skip
def test_a_plan_says_which_guard_would_stop_the_load(loads: Loads, guard: dict[str, Any], sentence: str) -> None:
    (stop,) = loads.plan(**guard)["stops"]

    assert stop.startswith(sentence)


def test_a_plan_without_a_path_can_be_looked_at(loads: Loads) -> None:
    plan = loads.plan(plan_path=None)

    assert (plan["add"], plan["plan_path"]) == (6, None)


def test_the_digest_does_not_depend_on_the_order_of_rows(loads: Loads) -> None:
    assert loads.plan()["digest"] == loads.plan(rows=ROWS[::-1])["digest"]
    assert loads.plan()["digest"] != loads.plan(rows=ROWS[1:])["digest"]


def test_an_approved_load_runs(loads: Loads, sandbox: Sandbox) -> None:
    xcom = loads.load(loads.approved(loads.plan()))

    assert (xcom["added"], xcom["approved_by"]) == (6, "Ana (id 1)")
    assert len(sandbox.people()) == 6


@pytest.mark.parametrize("as_text", [str, json.dumps])
def test_a_template_may_make_a_text_of_the_approval(loads: Loads, as_text: Callable[[Any], str]) -> None:
    assert loads.load(as_text(loads.approved(loads.plan())))["added"] == 6


@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
@pytest.mark.parametrize("rows", [
    [*ROWS, {"Email": "new@example.com", "First Name": "New"}],
    [*ROWS[1:], {"Email": "new@example.com", "First Name": "New"}],
    [*ROWS[1:], {**ROWS[0], "First Name": "Other"}],
    [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(600)],
], ids=["one more", "another person", "other columns", "a hundred times as many"])  # fmt: skip
def test_a_load_of_more_stops_before_the_first_write(
    loads: Loads, mode: str, rows: list[dict[str, str]], writes: Callable[[], list[Write]]
) -> None:
    approved = loads.approved(loads.plan(mode=mode))

    refused = loads.refused(approved, mode=mode, rows=rows)

    assert refused.startswith("The load would do more than was approved: add ")
    assert refused.endswith("Nothing was sent.")
    assert writes() == []


def test_an_update_of_more_stops_before_the_first_write(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Callable[[], list[Write]]
) -> None:
    for row in ROWS:
        sandbox.add_person(campaign.id, {**row, "Company": "Old"})
    rows = [{**row, "First Name": "New"} for row in ROWS]
    approved = loads.approved(loads.plan(mode="upsert", rows=rows[:3]))

    refused = loads.refused(approved, mode="upsert", rows=[{**rows[0], "Company": "New"}, *rows[1:4]])

    assert "The load would do more than was approved: update 2 people (rows 1, 4)." in refused
    assert writes() == []
    assert loads.load(approved, mode="upsert", rows=rows[:2])["updated"] == 2


@pytest.mark.parametrize("rows", [
    [{"Email": "p0@example.com", "Company": "New"}, {"Email": "p3@example.com", "Company": "New"}],
    [{"Email": "p0@example.com", "Company": "NEW"}],
    [{"Email": "p0@example.com", "Company": "New", "First Name": "Other"}],
], ids=["another person", "another cell", "another column"])  # fmt: skip
def test_an_approved_update_sets_no_other_cell_and_adds_nobody(
    loads: Loads, rows: list[dict[str, str]], sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    for row in ROWS:
        sandbox.add_person(campaign.id, {**row, "Company": "Old"})
    wanted = [{"Email": row["Email"], "Company": "New"} for row in ROWS[:3]]
    approved = loads.approved(loads.plan(mode="update", rows=[*wanted, {"Email": "new@example.com"}]))

    assert "The load would do more than was approved: update 1 person" in loads.refused(
        approved, mode="update", rows=rows
    )
    assert api.writes() == []
    xcom = loads.load(approved, mode="update", rows=[{"Email": "new@example.com"}, *wanted[1::-1]])
    assert (xcom["updated"], xcom["added"], len(sandbox.people())) == (2, 0, 6)
    assert {columns["Company"] for _, _, columns in api.writes()} == {"New"}


def test_a_mirror_unsubscribes_only_who_was_approved(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest, writes: Callable[[], list[Write]]
) -> None:
    for row in ROWS:
        sandbox.add_person(campaign.id, row)
    options = {"mode": "mirror", "max_unsubscribes": 1.0}
    approved = loads.approved(loads.plan(rows=ROWS[2:], **options))

    assert "unsubscribe 1 person." in loads.refused(approved, rows=ROWS[3:], **options)
    assert writes() == []
    assert loads.load(approved, rows=ROWS[1:], **options)["unsubscribed"] == 1


def test_an_opt_out_of_the_plan_may_become_an_unsubscribe_of_the_mirror(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for row in ROWS:
        sandbox.add_person(campaign.id, row)
    options = {"mode": "mirror", "max_unsubscribes": 1.0, "opt_out_columns": ["Out"]}
    rows = [{**row, "Out": "yes" if row is ROWS[0] else ""} for row in ROWS]
    plan = loads.plan(rows=rows, **options)

    assert (plan["opt_out"], plan["unsubscribe"]) == (1, 0)
    assert loads.load(loads.approved(plan), rows=rows[1:], **options)["unsubscribed"] == 1


def test_a_plan_names_no_campaign_as_its_output(loads: Loads) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    plan = PlanLoadOperator(task_id="plan", **{**loads.options, "rows": []})
    plan.execute({})

    assert plan.get_openlineage_facets_on_complete(None).outputs == []


def test_an_approval_that_cannot_be_marked_as_used_is_an_error(loads: Loads, tmp_path: Path) -> None:
    approval = Approval.of(loads.approved(loads.plan(), plan_path=f"file://{tmp_path}"))

    with pytest.raises(AirflowFailException, match="The load is done, but its approval could not be marked as used"):
        approval.mark_used(datetime.now(UTC))


def test_a_load_goes_on_without_those_who_opted_out_meanwhile(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    rows = [{**row, "Out": ""} for row in ROWS]
    approved = loads.approved(loads.plan(rows=rows, opt_out_columns=["Out"], mode="upsert"))
    sandbox.add_person(campaign.id, ROWS[0], unsubscribed=True)
    rows[1]["Out"] = "yes"

    xcom = loads.load(approved, rows=rows, opt_out_columns=["Out"], mode="upsert")

    assert (xcom["added"], xcom["opted_out"]) == (4, 2)
    assert sorted(each.email for each in sandbox.people() if not each.unsubscribed) == [
        row["Email"] for row in ROWS[2:]
    ]


@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_a_load_goes_on_with_those_who_were_added_meanwhile(
    loads: Loads, mode: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    approved = loads.approved(loads.plan(mode=mode))
    sandbox.add_person(campaign.id, {**ROWS[0], "First Name": "Other"})

    xcom = loads.load(approved, mode=mode)

    assert (xcom["added"], xcom["updated"]) == (5, 0 if mode == "insert" else 1)
    assert len(sandbox.people()) == 6


def test_people_who_opted_out_in_the_source_need_no_approval(
    loads: Loads, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, ROWS[0])
    rows = [{**row, "Out": ""} for row in ROWS]
    approved = loads.approved(loads.plan(rows=rows, opt_out_columns=["Out"], mode="upsert"))
    rows[0]["Out"] = "yes"

    assert loads.load(approved, rows=rows, opt_out_columns=["Out"], mode="upsert")["unsubscribed"] == 1


@pytest.mark.parametrize("changed", [
    {"mode": "upsert"}, {"opt_out_scope": "campaign"}, {"max_adds": 1000}, {"max_rejected": 5},
    {"columns": {"Email": "Email", "First Name": "First Name"}}, {"opt_out_columns": []},
], ids=str)  # fmt: skip
def test_other_options_stop_the_load(loads: Loads, changed: dict[str, Any], writes: Callable[[], list[Write]]) -> None:
    refused = loads.refused(loads.approved(loads.plan()), **changed)

    (name,) = changed
    assert refused.startswith(f"The load has other options than the approved plan: {name}.")
    assert writes() == []


def test_another_campaign_stops_the_load(loads: Loads, sandbox: Sandbox, writes: Callable[[], list[Write]]) -> None:
    refused = loads.refused(loads.approved(loads.plan()), campaign_id=sandbox.add_campaign("Summer"))

    assert refused.startswith("The load has other options than the approved plan: campaign_id.")
    assert writes() == []


@pytest.mark.apis("v1")
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_another_list_of_the_campaign_stops_the_load(
    loads: Loads, mode: str, sandbox: Sandbox, campaign: CampaignUnderTest, client: SalesBlinkClient
) -> None:
    (list_id,) = (each.id for each in sandbox.lists(campaign.id))
    plan = loads.plan(mode=mode)
    client.sequences.update(campaign.id, lists=[sandbox.add_list("Everybody")])
    requests = len(sandbox.requests)

    assert plan["list_id"] == list_id
    assert loads.refused(loads.approved(plan), mode=mode).startswith("The campaign has another list than when the plan")
    assert {request.method for request in sandbox.requests[requests:]} == {"GET"}
    assert loads.load(loads.approved(plan), mode=mode, rows=[])["added"] == 0


def test_another_connection_stops_the_load(
    loads: Loads, sandbox: Sandbox, connection: Callable[..., None], writes: Callable[[], list[Write]]
) -> None:
    approved = loads.approved(loads.plan())
    connection(host=sandbox.url.replace("127.0.0.1", "localhost"))

    refused = loads.refused(approved)

    assert refused.startswith("The load has other options than the approved plan: connection, API key or hash_key.")
    assert writes() == []


def test_an_approval_is_for_one_load(loads: Loads, sandbox: Sandbox) -> None:
    approved = loads.approved(loads.plan())
    loads.load(approved)
    requests = len(sandbox.requests)

    refused = loads.refused(approved)

    assert refused.startswith("The approval was used: a load finished with it at 20")
    assert {request.method for request in sandbox.requests[requests:]} == {"GET"}


def test_a_load_that_failed_midway_goes_on_with_its_approval(loads: Loads, api: Api, sandbox: Sandbox) -> None:
    rows = [{"Email": f"p{number}@example.com"} for number in range(600 if api.is_v1 else 6)]
    approved = loads.approved(loads.plan(rows=rows), run="d/r")
    loads.context = {"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="load", map_index=-1)}
    api.fault("prospect-add", "slow", seconds=0.0, times=1)
    api.fault("prospect-add", "status", status=401)

    with pytest.raises(AirflowFailException, match="SalesBlink refused the key"):
        loads.load(approved, rows=rows, max_in_flight=1)

    sandbox.finish_imports()
    before = len(sandbox.people())
    assert 0 < before < len(rows)
    assert loads.load(approved, rows=rows)["added"] == len(rows) - before
    assert sorted(each.email for each in sandbox.people()) == sorted(row["Email"] for row in rows)


LOAD = """
import sys, json
from types import SimpleNamespace
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

ti = SimpleNamespace(dag_id="d", run_id="r", task_id="load", map_index=-1)
AddProspectsOperator(task_id="load", max_in_flight=1, **json.load(sys.stdin)).execute({"ti": ti})
"""


def test_a_load_whose_worker_was_killed_goes_on_with_its_approval(loads: Loads, api: Api, sandbox: Sandbox) -> None:
    rows = [{"Email": f"p{number}@example.com"} for number in range(1200 if api.is_v1 else 6)]
    approved = loads.approved(loads.plan(rows=rows), run="d/r")
    options = {**loads.options, "rows": rows, "approved_plan": approved}
    api.fault("prospect-add", "slow", seconds=0.0, times=1)
    api.fault("prospect-add", "slow", seconds=30.0, times=1)
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", LOAD], stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdin
        worker.stdin.write(json.dumps(options))
        worker.stdin.close()
        deadline = time.monotonic() + 60
        while not sandbox.people() and time.monotonic() < deadline:
            time.sleep(0.05)  # noqa: TID251  # waits for no request
        worker.kill()

    sandbox.clear_faults()
    sandbox.finish_imports()
    assert 0 < len(sandbox.people()) < len(rows)
    loads.context = {"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="load", map_index=-1)}
    # The worker's last request may be under way for as long as the connection's timeout.
    xcom = loads.load(approved, rows=rows, max_in_flight=1)
    assert xcom["added"] + xcom["there"] == len(rows)
    assert sorted(each.email for each in sandbox.people()) == sorted(row["Email"] for row in rows)


@pytest.mark.apis("classic")  # on v1, one call adds them all
def test_a_deferred_load_goes_on_after_the_approval_expired_and_is_checked_again(
    loads: Loads, sandbox: Sandbox, connection: Callable[..., None], tmp_path: Path
) -> None:
    approved = loads.approved(loads.plan())
    connection(extra={"writes_per_minute": 2, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    options = {**loads.options, "task_id": "load", "approved_plan": approved, "defer_after": 5}
    with pytest.raises(TaskDeferred) as deferred:
        AddProspectsOperator(**options).execute({})
    assert len(sandbox.people()) == 2
    connection()  # a minute later
    options["approved_plan"] = {**approved, "expires_at": "2026-01-01T00:00:00+00:00"}

    with pytest.raises(AirflowFailException, match=r"add 1 person \(row 7\).* Nothing more was sent"):
        AddProspectsOperator(**{**options, "rows": [*ROWS, {"Email": "new@example.com"}]}).resume(
            {}, None, **deferred.value.kwargs
        )

    assert len(sandbox.people()) == 2
    assert AddProspectsOperator(**options).resume({}, None, **deferred.value.kwargs)["added"] == 6


def test_the_order_of_the_opt_out_columns_means_nothing(loads: Loads) -> None:
    rows = [{**row, "Out": "", "Gone": ""} for row in ROWS]
    approved = loads.approved(loads.plan(rows=rows, opt_out_columns=["Out", "Gone"]))

    assert loads.load(approved, rows=rows, opt_out_columns=["Gone", "Out"])["added"] == 6


@pytest.mark.parametrize("argument", ["rejected_path", "outcomes_path"])
def test_a_plan_that_would_overwrite_another_file_of_the_task_says_so(loads: Loads, argument: str) -> None:
    with pytest.raises(AirflowFailException, match=f"plan_path is {argument}: the .* would be overwritten"):
        loads.plan(**{argument: f"file://{loads.plan_path}"})


def test_a_query_is_planned_and_loaded(loads: Loads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "leads.sqlite")) as database:
        database.execute("CREATE TABLE lead (email TEXT, region TEXT)")
        database.executemany("INSERT INTO lead VALUES (?, ?)", [("a@example.com", "eu"), ("b@example.com", "us")])
        database.commit()
    warehouse = {"conn_type": "sqlite", "host": f"{tmp_path}/leads.sqlite"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    query = {"rows": None, "sql": "SELECT email FROM lead WHERE region = ?", "sql_conn_id": "warehouse"}
    approved = loads.approved(loads.plan(**query, sql_parameters=["eu"]))

    assert "add 1 person" in loads.refused(approved, **query, sql_parameters=["us"])
    assert loads.load(approved, **query, sql_parameters=["eu"])["added"] == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_that_changed_stops_the_load(
    loads: Loads, kind: str, tmp_path: Path, writes: Callable[[], list[Write]]
) -> None:
    path = tmp_path / f"people.{kind}"
    options = {"rows": None, "rows_path": f"file://{path}"}
    write_rows(path, ROWS[:5])
    approved = loads.approved(loads.plan(**options))

    write_rows(path, ROWS)

    assert "The load would do more than was approved: add 1 person" in loads.refused(approved, **options)
    assert writes() == []
    write_rows(path, ROWS[1:5])
    assert loads.load(approved, **options)["added"] == 4


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        path.write_text("\n".join(["Email,First Name", *(",".join(row.values()) for row in rows)]))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))


def test_a_plan_counts_people_that_another_load_is_adding(
    loads: Loads, campaign: CampaignUnderTest, client: SalesBlinkClient
) -> None:
    scope = client.prospects.reservation_scope(campaign.id)
    other = open_reservations(client.shared, scope, "another load", settling_time=0.0)
    other.acquire([fingerprint(row["Email"]) for row in ROWS[:2]])

    plan = loads.plan()

    assert (plan["add"], plan["held_by_others"]) == (6, 2)
    other.finish()
    assert loads.plan()["held_by_others"] == 0


def test_a_plan_writes_the_refused_rows_also_if_a_guard_would_stop_the_load(loads: Loads, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"

    plan = loads.plan(rows=[*ROWS, {"Email": "nobody"}], max_adds=1, rejected_path=f"file://{rejected}")

    assert len(plan["stops"]) == 2
    assert plan["rejected_path"] == f"file://{rejected}"
    assert json.loads(rejected.read_text())["row"] == 7


def test_an_approval_that_comes_through_xcom_is_for_its_run(
    loads: Loads, sandbox: Sandbox, dag: Any, run_dag: Callable[..., Any]
) -> None:
    def approve(plan: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        return loads.approved(plan, run=f"{dag_run.dag_id}/{dag_run.run_id}")

    with dag:
        plan = PlanLoadOperator(task_id="plan", plan_path=f"file://{loads.plan_path}", **loads.options)
        approved = task(approve)(plan.output)
        template = "{{ ti.xcom_pull('approve') }}"
        load = AddProspectsOperator(task_id="load", approved_plan=template, **loads.options)
        again = AddProspectsOperator(task_id="again", approved_plan=approved, trigger_rule="all_done", **loads.options)
        approved >> load >> again

    run = run_dag(dag)

    assert {each.task_id: each.state for each in run.get_task_instances()} == {
        "plan": "success", "approve": "success", "load": "success", "again": "failed",
    }  # fmt: skip
    assert len(sandbox.people()) == 6


def test_a_mapped_load_whose_list_of_approvals_has_a_gap_sends_nothing(
    loads: Loads, dag: Any, run_dag: Callable[..., Any], writes: Callable[[], list[Write]]
) -> None:
    with dag:
        approvals = task(lambda: [None], task_id="approvals")()
        AddProspectsOperator.partial(task_id="load", **loads.options).expand(approved_plan=approvals)

    assert {each.state for each in run_dag(dag).get_task_instances() if each.task_id == "load"} == {"failed"}
    assert writes() == []


def test_a_dry_run_leaves_the_approval_valid(loads: Loads, connection: Callable[..., None]) -> None:
    approved = loads.approved(loads.plan())
    connection(extra={"dry_run": True})
    loads.load(approved)
    connection()

    assert loads.load(approved)["added"] == 6


def test_a_plan_that_is_made_again_ends_the_approval(loads: Loads, writes: Callable[[], list[Write]]) -> None:
    approved = loads.approved(loads.plan())
    again = loads.plan()

    assert again["digest"] == approved["digest"]
    assert loads.refused(approved).startswith("The plan was made again after the approval")
    assert writes() == []
    assert loads.load(loads.approved(again))["added"] == 6


def test_a_plan_file_that_was_changed_stops_the_load(loads: Loads, writes: Callable[[], list[Write]]) -> None:
    approved = loads.approved(loads.plan(rows=ROWS[:5]))
    few = loads.plan_path.read_text()
    loads.plan()
    head = few.splitlines()[0]
    loads.plan_path.write_text("\n".join([head, *loads.plan_path.read_text().splitlines()[1:]]) + "\n")

    assert loads.refused(approved).startswith("The plan file of the approval has changed since")
    assert writes() == []


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"run": "dag/yesterday"}, "approved_plan was approved for the run 'dag/yesterday', and this is None"),
    ({"expires_at": "2026-01-01T00:00:00+00:00"}, "The approval expired at 2026-01-01T00:00:00+00:00; nothing was"),
    ({"outcome": "planned"}, "approved_plan is a plan that nobody has approved; nothing was sent."),
    ({"outcome": "rejected"}, "approved_plan is not what ApproveLoadOperator leaves in XCom; nothing was sent."),
    ({"digest": None}, "approved_plan has no valid digest; nothing was sent."),
    ({"expires_at": "soon"}, "expires_at of approved_plan is not a time"),
    ({"plan_path": "file:///no/such/plan.txt"}, "plan_path 'file:///no/such/plan.txt' cannot be used"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")  # fmt: skip
def test_an_approval_that_is_not_valid_stops_the_load(
    loads: Loads, changed: dict[str, Any], sentence: str, writes: Callable[[], list[Write]]
) -> None:
    assert loads.refused(loads.approved(loads.plan(), **changed)).startswith(sentence)
    assert writes() == []


@pytest.mark.parametrize("nothing", ["None", "", "[]", "{}", 7, []])
def test_a_template_that_finds_nothing_stops_the_load(
    loads: Loads, nothing: Any, writes: Callable[[], list[Write]]
) -> None:
    assert "approved_plan is not what ApproveLoadOperator leaves in XCom" in loads.refused(nothing)
    assert writes() == []
