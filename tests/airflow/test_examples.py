"""Each example DAG runs to success in a real Airflow, and does what it says."""

from __future__ import annotations

import asyncio
import csv
import json
import runpy
import sqlite3
import time
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.results import report_numbers as numbers
from airflow_provider_salesblink.sandbox import Sandbox
from airflow_provider_salesblink.triggers import events
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from demo import airflow_home, ui
from tests.apis import BOTH
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.apis import Api
    from tests.polls import Polls
    from tests.postgres_server import Postgres

pytestmark = pytest.mark.apis(*BOTH)

EXAMPLES = ROOT / "dags_examples"
WATCHES_ASSETS = find_spec("airflow.sdk") is not None
"""True from Airflow 3 on. tests/airflow/test_triggerer.py runs the example that watches an asset, and
tests/airflow/test_results_by_day.py the one that is scheduled by partitions."""
FILES = [path for path in EXAMPLES.glob("*.py") if WATCHES_ASSETS or path.name not in ui.AIRFLOW_3_ONLY]


@pytest.fixture(scope="module")
def examples(airflow_database: None) -> dict[str, Any]:  # noqa: ARG001
    return {name: dag for path in FILES for name, dag in airflow_home.dags_of(path).items()}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed="demo") as sandbox:
        yield sandbox


def test_every_example_is_a_dag_of_the_same_name(examples: dict[str, Any]) -> None:
    assert sorted(examples) == sorted(path.stem for path in FILES)


def states(run: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in run.get_task_instances():
        found.setdefault(task.task_id, set()).add(task.state)
    return found


def test_leads_to_campaign(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    run = run_dag(examples["leads_to_campaign"], run_conf={"work_folder": f"file://{tmp_path}/work"})

    assert run.state == "success"
    assert states(run)["pause_on_failure"] == {"skipped"}
    people = sandbox.people("spring-2027")
    assert sorted(person.email.split("@")[0] for person in people) == [
        "ana", "ben", "chloe", "dai", "eve", "gita", "hugo", "ines", "jun"
    ]  # fmt: skip
    assert sorted(person.email for person in people if person.unsubscribed) == ["ben@example.com", "eve@example.com"]
    assert [api.columns({"Lead Source": "Airflow"}).items() <= person.fields.items() for person in people].count(
        True
    ) == 1
    assert not sandbox.campaigns()[0].paused
    assert list((tmp_path / "work").iterdir()) == []


def test_leads_to_campaign_again_adds_nobody(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    conf = {"work_folder": f"file://{tmp_path}/work"}
    run_dag(examples["leads_to_campaign"], run_conf=conf)
    before = sandbox.people("spring-2027")

    again = run_dag(examples["leads_to_campaign"], run_conf=conf)

    assert again.state == "success"
    assert sandbox.people("spring-2027") == before


def test_leads_to_campaign_pauses_the_campaign_when_something_fails(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    api.fault("prospect-add", "status", status=403)

    run = run_dag(examples["leads_to_campaign"], run_conf={"work_folder": f"file://{tmp_path}/work"})

    assert run.state == "failed"
    assert states(run)["pause_on_failure"] == {"success"}
    assert sandbox.campaigns()[0].paused
    assert states(run)["unsubscribe"] == {"success"}
    assert list((tmp_path / "work").rglob("*.json")), "for the tasks that are cleared"


def test_leads_to_campaign_burns_no_retry_on_a_wrong_key(
    examples: dict[str, Any], connection: Callable[..., None], run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    connection(password="wrong-key")

    run = run_dag(examples["leads_to_campaign"], run_conf={"work_folder": f"file://{tmp_path}/work"})

    assert run.state == "failed"
    assert states(run)["find_opted_out"] == states(run)["add"] == {"failed"}
    assert {task.try_number for task in run.get_task_instances() if task.state == "failed"} == {1}


@pytest.mark.apis("v1")
def test_weekly_report(examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    for days, message in ((1, "Sent"), (7, "Sent"), (1, "Replied"), (8, "Sent"), (0, "Sent")):
        at = now - days * 24 * 3600 * 1000
        sandbox.add_event(message, email=f"p{days}@x.yz", sequence_id="spring-2027", time_ms=at)

    runs = [run_dag(examples["weekly_report"], run_conf={"folder": f"file://{tmp_path}"}) for _ in range(2)]

    assert [run.state for run in runs] == ["success", "success"]
    (page,) = (tmp_path / "reports").glob("*.html")
    (total,) = [
        row for row in csv.DictReader(page.with_suffix(".csv").read_text().splitlines()) if row["table"] == "total"
    ]
    assert (total["sent"], total["replies"], total["people_mailed"]) == ("2", "1", "2")
    assert "@" not in page.read_text().split("</style>")[1]
    day = datetime.now(UTC).date()
    assert page.stem == day.isoformat()
    first, last = (numbers.day(day - timedelta(days=each)) for each in (7, 1))
    assert first.rpartition(" ")[0] in page.read_text()
    assert f"to {last}. " in page.read_text()


def test_two_examples_do_not_extract_to_the_same_folder(examples: dict[str, Any]) -> None:
    folders = []
    for name in ("results_to_warehouse", "weekly_report"):
        template = examples[name].get_task("extract").output_path
        folders.append(template.replace("{{ params.folder }}", examples[name].params["folder"]))

    assert folders[0] != folders[1]


def test_a_person_who_wants_no_mail_in_any_row_gets_none(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    sandbox.add_person("spring-2027", {"Email": "ana@x.yz"})
    leads = tmp_path / "leads.csv"
    rows = {"ana@x.yz": "yes", "ANA@x.yz": " No ", "zoe@x.yz": "NO", "yan@x.yz": "perhaps", "xia@x.yz": "yes"}
    lines = [f"A,B,{email},C,{answer}" for email, answer in rows.items()]
    leads.write_text("\n".join(["First Name,Last Name,Email,Company,Wants mail", *lines]))

    run = run_dag(
        examples["leads_to_campaign"],
        run_conf={"work_folder": f"file://{tmp_path}/work", "leads": f"file://{leads}"},
    )

    assert run.state == "success"
    people = {person.email.casefold(): person for person in sandbox.people() if person.campaign_id == "spring-2027"}
    assert people["ana@x.yz"].unsubscribed
    assert not {"zoe@x.yz", "yan@x.yz"} & set(people)
    assert "xia@x.yz" in people


def test_leads_to_campaign_runs_dry(
    examples: dict[str, Any],
    api: Api,
    connection: Callable[..., None],
    run_dag: Callable[..., Any],
    tmp_path: Path,
) -> None:
    connection(extra={"dry_run": True})

    run = run_dag(examples["leads_to_campaign"], run_conf={"work_folder": f"file://{tmp_path}/work"})

    assert run.state == "success"
    assert api.writes() == []


def test_the_maintenance_window_pauses_works_and_unpauses(
    examples: dict[str, Any], api: Api, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(examples["campaign_maintenance_window"])

    assert run.state == "success"
    assert api.writes() == [("pause", "spring-2027", None), ("unpause", "spring-2027", None)]


def test_the_maintenance_window_unpauses_after_work_that_failed(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    api.fault("prospects", "status", status=403)

    run = run_dag(examples["campaign_maintenance_window"])

    assert run.state == "failed"
    assert not sandbox.campaigns()[0].paused


def test_the_maintenance_window_fails_when_the_campaign_stays_paused(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    api.fault("campaign-status", "slow", seconds=0)  # the pause succeeds, the unpause fails
    api.fault("campaign-status", "status", status=403)

    run = run_dag(examples["campaign_maintenance_window"])

    assert run.state == "failed"
    assert sandbox.campaigns()[0].paused


def test_the_maintenance_window_leaves_a_paused_campaign_paused(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(examples["campaign_maintenance_window"], run_conf={"campaign_id": "win-back"})

    assert run.state == "success"
    assert [request.method for request in sandbox.requests] == ["GET"]


def test_the_team_report_counts(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    run = run_dag(examples["team_report"], run_conf={"output": f"file://{tmp_path}/team.jsonl"})

    assert run.state == "success"
    assert len((tmp_path / "team.jsonl").read_text().splitlines()) == 2
    assert len(sandbox.requests) == 2


def test_the_nightly_upsert_loads_the_good_rows_and_hands_over_the_others(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    rejected = tmp_path / "rejected.jsonl"

    run = run_dag(examples["nightly_upsert"], run_conf={"rejected": f"file://{rejected}"})

    assert run.state == "success"
    assert states(run)["hand_over"] == {"success"}
    people = {person.email: person for person in sandbox.people("spring-2027")}
    assert len(people) == 7
    assert people["chloe@example.org"].fields["Company"] == "Globex"
    assert {who for who, person in people.items() if person.unsubscribed} == {"eve@example.com", "dai@example.org"}
    assert "jun@example.org" in people
    assert not any("competitor" in who for who in people)
    assert [json.loads(line)["row"] for line in rejected.read_text().splitlines()] == [4]


def test_a_night_without_refused_rows_bothers_nobody(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("Email,Unsubscribed\ngita@example.com,\njun@example.org,no\n")

    run = run_dag(examples["nightly_upsert"], run_conf={"people": f"file://{tmp_path}/people.csv"})

    assert run.state == "success"
    assert states(run)["hand_over"] == {"skipped"}
    assert len(sandbox.people("spring-2027")) == 7


LEADS = [
    (1, "gita@example.com", "Gita", "Initech", False, "spring-2027"),
    (2, "hugo@example.com", "Hugo", None, True, "spring-2027"),
    (3, "no address", "Ina", None, False, "spring-2027"),
    (4, "GITA@example.com", "Gita", "Initech", False, "spring-2027"),
    (5, "otto@example.com", "Otto", None, False, "win-back"),
]


@pytest.fixture
def warehouse(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A database with leads, as the connection ``warehouse``."""
    postgres.run(
        "DROP TABLE IF EXISTS lead, salesblink_outcome",
        "CREATE TABLE lead (id int, email text, first_name text, company text, do_not_mail bool, campaign text)",
    )
    with closing(postgres.connect()) as database, database.cursor() as cursor:
        cursor.executemany("INSERT INTO lead VALUES (%s, %s, %s, %s, %s, %s)", LEADS)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(postgres.airflow_connection()))
    return postgres


def test_warehouse_to_campaign_loads_the_leads_and_stores_what_became_of_them(
    examples: dict[str, Any],
    sandbox: Sandbox,
    warehouse: Postgres,
    run_dag: Callable[..., Any],
    tmp_path: Path,
) -> None:
    before = {person.email for person in sandbox.people("spring-2027")}
    outcomes = tmp_path / "outcomes.jsonl"

    run = run_dag(examples["warehouse_to_campaign"], run_conf={"outcomes": f"file://{outcomes}"})

    assert run.state == "success"
    assert {person.email for person in sandbox.people("spring-2027")} - before == {"gita@example.com"}
    stored = warehouse.run("SELECT row, outcome, length(person), run FROM salesblink_outcome ORDER BY row")
    assert stored == [
        (1, "added", 64, run.run_id), (2, "opted_out", 64, run.run_id), (3, "rejected", None, run.run_id),
        (4, "repeats", 64, run.run_id),
    ]  # fmt: skip
    (first, *_, last) = warehouse.run("SELECT person FROM salesblink_outcome WHERE person IS NOT NULL ORDER BY row")
    assert first == last, "one person in two spellings"
    assert "example.com" not in str(warehouse.run("SELECT * FROM salesblink_outcome"))


def test_warehouse_to_campaign_stores_the_outcomes_of_a_load_that_fails_too(
    examples: dict[str, Any],
    sandbox: Sandbox,
    warehouse: Postgres,
    run_dag: Callable[..., Any],
    tmp_path: Path,
) -> None:
    before = sandbox.people("spring-2027")
    warehouse.run(
        "INSERT INTO lead SELECT n, 'p' || n || '@example.com', NULL, NULL, false, 'spring-2027' "
        "FROM generate_series(10, 5010) AS series(n)"
    )

    run = run_dag(examples["warehouse_to_campaign"], run_conf={"outcomes": f"file://{tmp_path}/outcomes.jsonl"})

    assert run.state == "failed"
    assert states(run) == {"load": {"failed"}, "finish": {"upstream_failed"}, "store_outcomes": {"success"}}
    assert sandbox.people("spring-2027") == before
    counts = dict(warehouse.run("SELECT outcome, count(*) FROM salesblink_outcome GROUP BY outcome"))
    assert counts == {"not_sent": 5_002, "opted_out": 1, "rejected": 1, "repeats": 1}


# A parameter for each run, because dag.test() keeps the conf of one run in the params of the next.
NORTH = {"people": f"file://{EXAMPLES}/regions/north.csv"}


def test_pause_on_failure_loads_and_pauses_nothing(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(examples["pause_on_failure"], run_conf=NORTH)

    assert run.state == "success"
    assert len(sandbox.people("spring-2027")) == 8
    assert not sandbox.campaigns()[0].paused


def test_pause_on_failure_stops_the_campaign_whose_data_is_broken(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "short.csv").write_text("First Name,Email\n")

    run = run_dag(examples["pause_on_failure"], run_conf={"people": f"file://{tmp_path}/short.csv"})

    assert states(run) == {"check_export": {"failed"}, "load": {"upstream_failed"}}
    assert api.writes() == [("pause", "spring-2027", None)]
    assert sandbox.campaigns()[0].paused


def test_pause_on_failure_stops_the_campaign_that_cannot_be_loaded(
    examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    api.fault("prospect-add", "status", status=403)

    run = run_dag(examples["pause_on_failure"], run_conf=NORTH)

    assert states(run)["load"] == {"failed"}
    assert sandbox.campaigns()[0].paused


def test_the_regions_are_loaded_side_by_side_and_nobody_twice(
    examples: dict[str, Any], sandbox: Sandbox, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(examples["regions_fan_out"])

    assert run.state == "success"
    emails = [person.email.casefold() for person in sandbox.people("spring-2027")]
    assert len(emails) == len(set(emails)) == 9


def test_answered_to_crm(examples: dict[str, Any], api: Api, sandbox: Sandbox, run_dag: Callable[..., Any]) -> None:
    (lead,) = [person for person in sandbox.people("spring-2027") if not person.unsubscribed][:1]
    sandbox.happen("reply", to=lead.id)

    run = run_dag(examples["answered_to_crm"], run_conf={"campaign_id": "spring-2027", "prospect_id": lead.id})

    assert run.state == "success"
    (after,) = [person for person in sandbox.people("spring-2027") if person.id == lead.id]
    assert api.columns({"Stage": "With sales"}).items() <= after.fields.items()


@pytest.mark.generation(3)  # from Airflow 3.0 on, an asset can be watched
def test_unsubscribes_to_warehouse(
    polls: Polls, sandbox: Sandbox, connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 0.0)
    connection()
    example = runpy.run_path(str(EXAMPLES / "unsubscribes_to_warehouse.py"))
    (watcher,) = example["unsubscribes"].watchers
    watched = ProspectEventTrigger(**{**watcher.trigger.serialize()[1], "poll_interval": 0.1})
    (lead, *_) = [person for person in sandbox.people("spring-2027") if not person.unsubscribed]

    payload = asyncio.run(
        _first_event(
            watched,
            # The second poll begins when the first one, which changes are compared with, is complete.
            once=lambda: len(polls.looks) > 1,
            happens=lambda: sandbox.happen("unsubscribe", to=lead.id),
        )
    )

    warehouse = tmp_path / "warehouse.sqlite"
    triggering = {example["unsubscribes"]: [SimpleNamespace(extra={"payload": payload})]}
    assert example["store_opt_outs"].function({"warehouse": str(warehouse)}, triggering) == 1
    with closing(sqlite3.connect(warehouse)) as database:
        assert database.execute("SELECT campaign, prospect FROM opt_out").fetchall() == [("spring-2027", lead.id)]


async def _first_event(trigger: Any, *, once: Callable[[], bool], happens: Callable[[], Any]) -> Any:
    """Return the payload of a trigger's first event, after something that happens once it is time."""
    async with aclosing(trigger.run()) as stream, asyncio.timeout(30):
        first = asyncio.ensure_future(anext(stream))
        while True:
            if once():
                break
            await asyncio.sleep(0.01)
        await asyncio.to_thread(happens)
        return (await first).payload
