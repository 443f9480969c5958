"""The claims of the page 'Coming from a reverse-ETL service' about its DAG."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from demo import airflow_home
from tests.docs.conftest import CAMPAIGN
from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

(DAG_FILE,) = (block.text for block in blocks(DOCS / "from-reverse-etl.md", "python"))


@pytest.fixture
def sync(place: Path, conf: dict[str, str], run_dag: Callable[..., Any]) -> Callable[[], str]:
    """Return a function that runs the page's DAG and returns the state of the run."""
    (place / "dags").mkdir()
    (place / "dags" / "sync.py").write_text(DAG_FILE)

    def run() -> str:
        (dag,) = airflow_home.dags_of(place / "dags").values()
        # With retries, failing tasks would wait for the next try.
        for task in dag.tasks:
            task.retries = 0
        return str(run_dag(dag, run_conf={name: conf[name] for name in ("warehouse", "folder")}).state)

    return run


@pytest.fixture
def query(place: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Return a function that queries the warehouse."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(place / "warehouse.db")) as warehouse, warehouse:
            return warehouse.execute(sql).fetchall()

    return ask


def in_campaign(sandbox: Sandbox) -> list[str]:
    return sorted(person.email for person in sandbox.people(CAMPAIGN))


def test_it_adds_the_people_of_the_model_and_writes_back_the_results(
    sandbox: Sandbox, sync: Callable[[], str], query: Callable[[str], list[Any]]
) -> None:
    assert sync() == "success"

    assert in_campaign(sandbox) == ["eve@example.com", "gita@example.com", "jun@example.com"]
    gita = next(person for person in sandbox.people(CAMPAIGN) if person.email == "gita@example.com")
    assert (gita.fields["First Name"], gita.fields["Company"]) == ("Gita", "Hooli")
    assert query("SELECT added, updated, opted_out, rejected FROM sync_log") == [(2, 0, 1, 1)]
    ((mail, reason),) = query("SELECT mail, reason FROM sync_rejected")
    assert mail == "kai(at)example.com"
    assert "Email" in reason


def test_the_next_night_it_sends_only_what_differs(
    sandbox: Sandbox, sync: Callable[[], str], query: Callable[[str], list[Any]]
) -> None:
    sync()
    query("UPDATE people SET company = 'Tyrell' WHERE mail = 'jun@example.com'")
    before = len([request for request in sandbox.requests if request.method == "POST"])

    assert sync() == "success"

    posted = [request.body for request in sandbox.requests if request.method == "POST"][before:]
    assert [(body["key"], body["value"]) for body in posted] == [("Company", "Tyrell")]
    assert query("SELECT added, updated FROM sync_log") == [(2, 0), (0, 1)]


def test_a_night_on_which_answers_are_lost_adds_nobody_twice(sandbox: Sandbox, sync: Callable[[], str]) -> None:
    sandbox.fault("prospect-add", "reset", when="after", times=2)

    assert sync() == "success"
    assert in_campaign(sandbox) == ["eve@example.com", "gita@example.com", "jun@example.com"]


def test_a_sync_that_fails_stops_the_campaign(sandbox: Sandbox, sync: Callable[[], str]) -> None:
    sandbox.fault("prospect-add", "status", status=403)

    assert sync() == "failed"
    assert sandbox.campaigns()[0].paused
