"""The example results_to_warehouse loads each event into PostgreSQL once, in a real Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from demo import airflow_home
from tests.conftest import ROOT
from tests.docs.pages import DOCS, blocks
from tests.results.extracting import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.sandbox.event_store import Event
    from tests.postgres_server import Postgres

pytestmark = [pytest.mark.apis("v1"), pytest.mark.usefixtures("connection")]

MESSAGES = {
    "Sent": "sent", "Opened": "opens", "Clicked": "clicks", "Replied": "replies",
    "Bounced": "reports", "Unsubscribed": "reports", "Error": "reports",
}  # fmt: skip
EVERYTHING = "SELECT xmin::text, event::text FROM salesblink_event AS event ORDER BY feed, id"
"""With the transaction that wrote each row: a row that is written again differs."""


@pytest.fixture(scope="module")
def example(airflow_database: None) -> Any:  # noqa: ARG001
    return airflow_home.dags_of(ROOT / "dags_examples" / "results_to_warehouse.py")["results_to_warehouse"]


@pytest.fixture
def warehouse(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """An empty database, as the connection ``warehouse``."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(postgres.airflow_connection()))
    yield postgres
    # Other tests use the same database.
    postgres.run("DROP TABLE IF EXISTS salesblink_event, salesblink_file, salesblink_outcome CASCADE")


@pytest.fixture
def run(example: Any, run_dag: Callable[..., Any], warehouse: Postgres, tmp_path: Path) -> Callable[[], Any]:  # noqa: ARG001
    """Return a function that runs the example, and returns what its load returned."""

    def run_once() -> Any:
        done = run_dag(example, run_conf={"folder": f"file://{tmp_path}/events"})
        assert done.state == "success"
        return _loaded(done)

    return run_once


def _loaded(run: Any) -> Any:
    (load,) = [task for task in run.get_task_instances() if task.task_id == "load"]
    return load.xcom_pull(task_ids="load")


def days_ago(days: float) -> int:
    return ms(datetime.now(UTC) - timedelta(days=days))


def add_past(sandbox: Sandbox) -> None:
    """Add an event of each kind for each of the last four days."""
    for day in range(1, 5):
        for message in MESSAGES:
            sandbox.add_event(message, email=f"p{day}@example.com", sequence_id="s1", time_ms=days_ago(day))


def keys(events: list[Event]) -> set[tuple[str, str]]:
    return {(MESSAGES[event.message], event.id) for event in events}


def stored(warehouse: Postgres) -> set[tuple[Any, ...]]:
    return set(warehouse.run("SELECT feed, id FROM salesblink_event"))


def test_the_table_has_each_event_once_and_late_ones_after_the_next_run(
    sandbox: Sandbox, warehouse: Postgres, run: Callable[[], Any]
) -> None:
    add_past(sandbox)

    first = run()

    assert stored(warehouse) == keys(sandbox.events)
    assert sum(first.values()) == len(sandbox.events) == 28
    before = warehouse.run(EVERYTHING)
    late = [
        sandbox.add_event("Sent", email="late@example.com", sequence_id="s1", time_ms=days_ago(2)),
        sandbox.add_event("Replied", email="p1@example.com", sequence_id="s1", time_ms=days_ago(1)),
    ]
    second = run()

    assert stored(warehouse) == keys(sandbox.events)
    assert set(before) < set(warehouse.run(EVERYTHING)), "the other rows are not written again"
    assert second == {f"{MESSAGES[event.message]}/{_day(event)}.jsonl": 1 for event in late}
    before = warehouse.run(EVERYTHING)
    assert run() == {}
    assert warehouse.run(EVERYTHING) == before


def _day(event: Event) -> str:
    return datetime.fromtimestamp(event.time / 1000, UTC).date().isoformat()


def test_a_row_has_what_the_event_has_and_no_address(
    sandbox: Sandbox, warehouse: Postgres, run: Callable[[], Any]
) -> None:
    event = sandbox.add_event(
        "Clicked", email="zoe@example.com", sequence_id="s1", time_ms=days_ago(1),
        link='https://acme.example/?q="a\\b"\t,é', browser={"name": "Fox"},
    )  # fmt: skip

    run()

    ((time, sequence, link, browser),) = warehouse.run(
        "SELECT time, sequence_id, link, extra -> 'browser' ->> 'name' FROM salesblink_event"
    )
    assert (ms(time), sequence, link, browser) == (event.time, "s1", event.extra["link"], "Fox")
    assert "zoe" not in str(warehouse.run("SELECT event::text FROM salesblink_event AS event"))


def test_characters_that_postgresql_cannot_hold_stop_no_load(
    sandbox: Sandbox, warehouse: Postgres, run: Callable[[], Any], tmp_path: Path
) -> None:
    sandbox.add_event("Clicked", email="zoe@example.com", time_ms=days_ago(1), link="a\0\0b")
    # The sandbox has no halves of surrogate pairs: it replaces them.
    for number, link in enumerate(("a\ud83db\U0001f600", r"a\u0000", "a\\\0")):
        row = {"feed": "clicks", "id": str(number), "time": None, "link": link}
        file = tmp_path / "events" / "clicks" / f"2026-01-0{number + 1}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json_line(row))

    run()

    links = {link for (link,) in warehouse.run("SELECT link FROM salesblink_event")}
    assert links == {"a\ufffd\ufffdb", "a\ufffdb\U0001f600", r"a\u0000", "a\\\ufffd"}


def test_what_one_run_could_not_load_the_next_one_loads(
    example: Any,
    sandbox: Sandbox,
    warehouse: Postgres,
    run: Callable[[], Any],
    run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    add_past(sandbox)
    with monkeypatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse.airflow_connection(password="wrong")))
        for task in example.tasks:
            patch.setattr(task, "retries", 0)
        failed = run_dag(example, run_conf={"folder": f"file://{tmp_path}/events"})
    assert failed.state == "failed"

    run()

    assert stored(warehouse) == keys(sandbox.events)


def test_the_events_join_with_the_outcomes_of_the_last_load_into_the_campaign(
    sandbox: Sandbox, warehouse: Postgres, run: Callable[[], Any], tmp_path: Path
) -> None:
    campaign = sandbox.add_campaign("Spring", lists=[sandbox.add_list("People")], paused=True)
    other = sandbox.add_campaign("Autumn", paused=True)
    AddProspectsOperator(
        task_id="load", campaign_id=campaign, rows=[{"Email": "Ana@Example.com"}, {"Email": "ben@example.com"}],
        outcomes_path=f"{tmp_path}/outcomes.jsonl", settle=1,
    ).execute({})  # fmt: skip
    outcomes = [json.loads(line) for line in (tmp_path / "outcomes.jsonl").read_text().splitlines()]
    for sequence, days in ((campaign, 1), (other, 1), (campaign, 5)):
        sandbox.add_event("Sent", email="ana@example.com", sequence_id=sequence, time_ms=days_ago(days))
    sandbox.add_event("Bounced", email="cleo@example.com", sequence_id=campaign, time_ms=days_ago(1))

    run()

    outcomes.append({**outcomes[0], "row": 3, "outcome": "repeats"})
    rows = ", ".join(
        f"('run {run}', {each['row']}, '{each['person']}', '{each['outcome']}', now() - interval '{5 - run} days')"
        for run in (1, 2)
        for each in outcomes
    )
    (view,) = blocks(DOCS / "results.md", "sql")
    joined = warehouse.run(
        "DROP TABLE IF EXISTS salesblink_outcome",
        "CREATE TABLE salesblink_outcome (run text, row int, person text, outcome text, time timestamptz)",
        f"INSERT INTO salesblink_outcome VALUES {rows}",  # noqa: S608
        view.text.replace("spring-2027", campaign),
        "SELECT row, outcome, message FROM salesblink_result ORDER BY row",
    )
    assert joined == [(1, "added", "Sent"), (2, "added", None)]
