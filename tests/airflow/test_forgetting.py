"""After a person was forgotten, no file, no log and no table of Airflow's database has their address."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.conftest import ROOT
from tests.forgetting.search import forms, found_in

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

ANA, BO = "ana.lund@example.com", "bo.holm@example.com"

DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator, ListProspectsOperator
from airflow_provider_salesblink.operators.results import ExtractEventsOperator

with DAG("load_and_read", schedule=None, start_date=datetime(2026, 1, 1)):
    load = AddProspectsOperator(
        task_id="load", campaign_id="spring-2027", rows_path="file://HOME/leads.csv", max_rejected=9, settle=1,
        rejected_path="file://HOME/out/rejected.jsonl", outcomes_path="file://HOME/out/outcomes.jsonl")
    people = ListProspectsOperator(
        task_id="people", campaign_id="spring-2027", output_path="file://HOME/out/people.jsonl", changes_only=True)
    snapshot = ListProspectsOperator(
        task_id="snapshot", campaign_id="spring-2027", output_path="file://HOME/out/people.parquet",
        file_format="parquet")
    extract = ExtractEventsOperator(
        task_id="extract", feeds=["sent", "replies"], output_path="file://HOME/out/events", people="address",
        bodies=True)
    load >> people >> snapshot >> extract
"""


def _run(sandbox: Sandbox, home: Path, *runs: tuple[str, Path, dict[str, Any]]) -> str:
    """Run DAGs, one after the other, and return what was printed."""
    extra = {"api_version": "v1", "reads_per_minute": 0, "writes_per_minute": 0, "hash_key": "of-this-test"}
    connection = {"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key, "extra": extra}
    environment = {
        **os.environ,
        "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    arguments = [(str(home), dag_id, str(folder), json.dumps(conf)) for dag_id, folder, conf in runs]
    code = "import json, sys; from demo.run_dag import main; sys.exit(any([main(*a) for a in json.loads(sys.argv[1])]))"
    command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout + done.stderr


def _everything(home: Path, printed: list[str]) -> Path:
    """Write what was printed, and all tables of the database as text, into the home, to be searched too."""
    for number, text in enumerate(printed):
        # Airflow 3's dag.test() logs the secrets to mask at DEBUG; the supervisor of a real task does not.
        lines = [line for line in text.splitlines() if "MaskSecret(" not in line]
        (home / f"printed-{number}.log").write_text("\n".join(lines))
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        (home / "tables.sql").write_text("\n".join(database.iterdump()))
    return home


def test_after_forgetting_a_search_finds_no_address(sandbox: Sandbox, tmp_path: Path) -> None:
    home, dags = tmp_path / "home", tmp_path / "dags"
    for folder in (home, dags):
        folder.mkdir()
    (dags / "load_and_read.py").write_text(DAG_FILE.replace("HOME", str(home)))
    (home / "leads.csv").write_text(f"Email,First Name\nAna.Lund@example.com,Ana\n{BO},Bo\n{ANA} (Ana),Ana\n")
    (home / "request.txt").write_text("Ana.Lund@example.com\n")
    sandbox.add_campaign("Spring", id="spring-2027", paused=True)
    for email in (ANA, BO):
        for message in ("Sent", "Replied"):
            sandbox.add_event(message, email=email, sequence_id="spring-2027", time_ms=1_790_000_000_000, arrives_ms=0)
    load_and_read = ("load_and_read", dags, dict[str, Any]())
    printed = [_run(sandbox, home, load_and_read)]
    # What is the user's own is not touched.
    (home / "leads.csv").unlink()
    before = found_in(_everything(home, printed), ANA)
    assert {path.partition("/")[0] for path in before} == {"out", "request.txt"}
    assert len(before) >= 6

    conf = {
        "request": f"file://{home}/request.txt",
        "folders": [f"file://{home}/out"],
        "receipts": f"file://{home}/receipts",
    }
    # The run after it brings nobody back.
    (home / "leads.csv").write_text(f"Email,First Name\n{BO},Bo\n")
    printed.append(_run(sandbox, home, ("forget_person", ROOT / "dags_examples", conf), load_and_read))

    (receipt,) = (home / "receipts").iterdir()
    assert json.loads(receipt.read_text())["complete"]
    assert [person.email for person in sandbox.people()] == [BO]
    assert sandbox.blocked() == [ANA]
    found = {who: found_in(_everything(home, printed), who) for who in (ANA, BO)}
    assert found[ANA] == []
    assert {path.partition("/")[0] for path in found[BO]} == {"out", "leads.csv"}


def test_the_search_finds_an_address_in_any_form(tmp_path: Path) -> None:
    for number, form in enumerate(forms(ANA)):
        (tmp_path / f"{number}.txt").write_bytes(b"some " + form + b" text")

    assert len(found_in(tmp_path, ANA)) == len(forms(ANA)) == 7
    assert found_in(tmp_path, BO) == []
