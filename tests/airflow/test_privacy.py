"""After runs with faults and DEBUG logs, no key or address is in logs, exceptions, XCom or rendered templates."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api

from tests.apis import BOTH
from tests.conftest import ROOT

DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.operators.campaigns import ListCampaignsOperator
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator, SearchProspectOperator, UnsubscribeOperator, UpdateProspectOperator)

with DAG("direct", schedule=None, start_date=datetime(2026, 1, 1), render_template_as_native_obj=True):
    add = AddProspectOperator(
        task_id="add", campaign_id="spring-2027", data={"Email": "{{ 'zoe' }}@example.com", "First Name": "Zoe"})
    update = UpdateProspectOperator(task_id="update", email="Zoe@example.com", fields={"Company": "Acme"})
    search = SearchProspectOperator(task_id="search", email="zoe@example.com")
    leave = UnsubscribeOperator.partial(task_id="leave").expand(email=["zoe@example.com", "ana@example.com"])
    nobody = UnsubscribeOperator(task_id="nobody", email="nobody@example.com")
    wrong = AddProspectOperator(task_id="wrong", campaign_id="eve@example.com", data={"Email": "finn@example.com"})
    twice = UnsubscribeOperator(task_id="twice", email="eve@example.com", prospect_id="ben@example.com")
    add >> update >> search >> leave >> [nobody, wrong, twice]
"""

WAITING_DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor

SOON = {"poke_interval": 0.05}
SPRING = {"campaign_id": "spring-2027", **SOON}

with DAG("waiting", schedule=None, start_date=datetime(2026, 1, 1), render_template_as_native_obj=True):
    for way in ({"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}):
        name = way.get("mode", "deferrable")
        ProspectSensor(task_id="one_" + name, email="{{ 'Ana' }}@example.com", **SPRING, **way)
        ProspectSensor.partial(task_id="mapped_" + name, **SPRING, **way).expand(
            email=["ana@example.com", "{{ 'ben' }}@example.com"])
        ProspectSensor(task_id="wrong_" + name, prospect_id="ben@example.com", **SPRING, **way)
        ProspectSensor(task_id="both_" + name, prospect_id="p", email="ben@example.com", **SPRING, **way)
        ProspectSensor(task_id="nowhere_" + name, email="ben@example.com", campaign_id="eve@example.com", **SOON, **way)
        CampaignSensor(task_id="wrongly_named_" + name, campaign_id="For finn@example.com", **SOON, **way)
        # The awaited value and the campaign's name are arguments of the trigger: Airflow 3 logs them at DEBUG.
        if name != "deferrable":
            where = {"Owner": "{{ 'owner' }}@example.com"}
            ProspectSensor(task_id="where_" + name, email="eve@example.com", where=where, **SPRING, **way)
            CampaignSensor(task_id="named_" + name, campaign_name="For finn@example.com", **SOON, **way)
            CampaignSensor(task_id="unnamed_" + name, campaign_name="For nobody@example.com", **SOON, **way)
"""

FAILING_DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_salesblink.notifications.campaigns import PauseCampaignNotifier
from airflow_provider_salesblink.operators.prospects import (
    AddProspectOperator, AddProspectsOperator, UpdateProspectOperator)
from airflow_provider_salesblink.sensors.prospects import ProspectSensor

def explode(*args):
    raise ValueError("about " + str(args))

ZOE = {"Email": "zoe@example.com", "First Name": "Zoe-Private", "Tags": ["Tag-Private"]}
SPRING = {"campaign_id": "spring-2027"}

with DAG("failing", schedule=None, start_date=datetime(2026, 1, 1), user_defined_macros={"explode": explode}):
    AddProspectOperator(task_id="undefined", data={**ZOE, "Opener": "Hi {{first_name}} of Private"}, **SPRING)
    AddProspectOperator(task_id="syntax", data={**ZOE, "Opener": "Hi {{first name}} of Private"}, **SPRING)
    AddProspectOperator(task_id="filter", data={**ZOE, "Opener": "{{ 'Private' | nope }}"}, **SPRING)
    AddProspectOperator(task_id="file", data={**ZOE, "Opener": "{% include 'Private.sql' %}"}, **SPRING)
    AddProspectOperator(task_id="macro", data={**ZOE, "Opener": "{{ explode('Private') }}"}, **SPRING)
    AddProspectOperator(task_id="fetched", data={**ZOE, "Opener": "{{ var.value.nowhere }}"}, **SPRING)
    AddProspectOperator.partial(task_id="mapped", **SPRING).expand(data=[{**ZOE, "Opener": "{% if Private %}"}])
    AddProspectOperator.partial(task_id="half", data={**ZOE, "Opener": "{{ x.y }}"}).expand(campaign_id=["a"])
    AddProspectsOperator(task_id="rows", rows=[{"Email": "a@example.com"}, {**ZOE, "Opener": "{{ x }}"}], **SPRING)
    UpdateProspectOperator(task_id="fields", email="zoe@example.com", fields={"Phone {{": "+49{{ 'Private }}"})
    UpdateProspectOperator(task_id="nested", email="zoe@example.com", fields={"A": {"B": ["Private", "{{ x }}"]}})
    ProspectSensor(task_id="where", email="zoe@example.com", where={"Owner": {"in": ["Private", "{{ x }}"]}}, **SPRING)
    ProspectSensor(task_id="deferred", email="{{ x }} Private", deferrable=True, **SPRING)

    @task(on_failure_callback=PauseCampaignNotifier(campaign_name="Spring {{ nope }}", salesblink_conn_id="{{ x }}"))
    def notified():
        raise ValueError("The CRM is down.")
    notified()
"""


V1_DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.operators.api import SalesBlinkApiOperator
from airflow_provider_salesblink.operators.blocklist import BlockOperator, SyncSuppressionsOperator, UnblockOperator
from airflow_provider_salesblink.operators.leads import MoveLeadOperator, RemoveLeadOperator
from airflow_provider_salesblink.operators.lists import ArchiveListOperator, CreateListOperator
from airflow_provider_salesblink.operators.sequences import GetSequenceStatsOperator

PEOPLE = '["eve@example.com", "finn@example.com", "example.org"]'
READ = {"endpoint": "/lists/spring/leads", "paging": "offset"}
FIND = {"endpoint": "/leads/activity", "query": {"email": "ana@example.com"}}
WAREHOUSE = {"sql_conn_id": "warehouse", "direction": "to_salesblink"}
ADD = {"list_id": "winter", "contacts": [{"email": "{{ 'gus' }}@example.com"}], "remove_duplicates": True}

with DAG("v1", schedule=None, start_date=datetime(2026, 1, 1)):
    block = BlockOperator.partial(task_id="block").expand(entries=["ben@example.com", ["ana@example.com"], PEOPLE])
    unblock = UnblockOperator.partial(task_id="unblock").expand(entry=["{{ 'eve' }}@example.com", "nobody@example.com"])
    remove = RemoveLeadOperator.partial(task_id="remove", list_id="spring").expand(email=["{{ 'ben' }}@example.com"])
    create = CreateListOperator(task_id="create", name="For eve@example.com", settings='{"folder": "f@example.com"}')
    stats = GetSequenceStatsOperator(task_id="stats", sequence_id="spring-2027")
    read = SalesBlinkApiOperator(task_id="read", output_path="{{ params.home }}/leads.jsonl", **READ)
    find = SalesBlinkApiOperator(task_id="find", **FIND)
    add = SalesBlinkApiOperator(task_id="add", endpoint="/contacts", method="POST", body=ADD, repeatable=True)
    archive = ArchiveListOperator(task_id="archive", list_name="For eve@example.com")
    sync = SyncSuppressionsOperator(task_id="sync", path="{{ params.home }}/suppressed.txt", max_rejected=1)
    block >> sync >> unblock >> remove >> create >> stats >> [read, find] >> add >> archive
    archive >> [
        BlockOperator(task_id="wrong_block", entries=["ana@example.com", "eve@@example.com"]),
        SyncSuppressionsOperator(task_id="wrong_sync", path="{{ params.home }}/wrong.txt"),
        SyncSuppressionsOperator(task_id="wrong_table", sql='SELECT * FROM "ida@example.com"', **WAREHOUSE),
        UnblockOperator(task_id="wrong_unblock", entry="eve@example.com; finn@example.com"),
        RemoveLeadOperator(task_id="wrong_remove", list_id="finn@example.com", email="ana@example.com"),
        MoveLeadOperator(task_id="wrong_move", lead_id="ana@example.com", list_id="winter"),
        MoveLeadOperator(task_id="running_move", lead_id="ana", list_id="spring"),
        SalesBlinkApiOperator(task_id="wrong_read", endpoint="/leads/ana@example.com/nothing"),
        SalesBlinkApiOperator(task_id="wrong_query", endpoint="/leads?email=ana@example.com"),
    ]
"""


HASH_KEY = "The-hash-key-of-a-test"


def _run(sandbox: Sandbox, home: Path, dag_id: str, *folder: str, **extra: str | int) -> tuple[int, str]:
    connection = {
        "conn_type": "salesblink",
        "host": sandbox.url,
        "password": sandbox.key,
        "extra": {"reads_per_minute": 0, "writes_per_minute": 0, "hash_key": HASH_KEY, **extra},
    }
    environment = {
        **os.environ,
        "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    command = [sys.executable, "-W", "ignore", "-m", "demo.run_dag", str(home), dag_id, *folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def _people(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign("Spring 2027", id="spring-2027")
    for name in ("ana", "ben", "eve"):
        columns = {"Email": f"{name}@example.com", "Owner": "owner@example.com"}
        sandbox.add_person(campaign, columns, unsubscribed=name == "eve")
    sandbox.add_campaign("For finn@example.com", paused=True)


def _faults(api: Api) -> None:
    for operation in ("prospect-add", "prospect-update", "prospect-unsubscribe", "prospect", "prospects"):
        api.fault(operation, "reset", when="after")
        api.fault(operation, "status", status=500, when="after")
        api.fault(operation, "truncated")
        api.fault(operation, "429", retry_after=0)


def _everything_kept(home: Path) -> Iterator[tuple[str, str]]:
    for path in (home / "logs").rglob("*"):
        if path.is_file():
            yield str(path), path.read_text(errors="replace")
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        for table in ("xcom", "rendered_task_instance_fields", "log", "task_instance", "task_reschedule"):
            rows = database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            yield table, "\n".join(map(str, rows))


def _leaks(text: str, *private: str) -> list[str]:
    return [
        line[:300]
        for line in text.splitlines()
        if any(each in line.lower() for each in private)
        # Airflow 3's dag.test() logs the secrets to mask at DEBUG; the supervisor of a real task does not.
        and "MaskSecret(" not in line
    ]


def _assert_nothing_private(sandbox: Sandbox, printed: str, home: Path) -> None:
    assert "DEBUG" in printed or "debug" in printed
    private = (sandbox.key.lower(), HASH_KEY.lower(), "@example.", "%40example.")
    for where, text in [("printed", printed), *_everything_kept(home)]:
        assert _leaks(text, *private) == [], where


@pytest.mark.apis(*BOTH)
@pytest.mark.parametrize(("dag_id", "code"), [("direct", 1), ("leads_to_campaign", 0)])
def test_nothing_private_is_left_behind(dag_id: str, code: int, api: Api, sandbox: Sandbox, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "direct.py").write_text(DAG_FILE)
    _people(sandbox)
    _faults(api)

    folder = [str(dags)] if dag_id == "direct" else []
    ended, printed = _run(sandbox, tmp_path / "home", dag_id, *folder, api_version=api.version)

    assert ended == code, printed[-3000:]
    assert sum(request.fault is not None for request in sandbox.requests) >= 12
    _assert_nothing_private(sandbox, printed, tmp_path / "home")


@pytest.mark.apis(*BOTH)
def test_nothing_private_is_left_behind_by_those_who_wait(api: Api, sandbox: Sandbox, tmp_path: Path) -> None:
    dags, home = tmp_path / "dags", tmp_path / "home"
    dags.mkdir()
    (dags / "waiting.py").write_text(WAITING_DAG_FILE)
    _people(sandbox)
    for operation in ("prospects", "campaigns"):
        for fault in ("reset", "truncated", "html", "garbage"):
            api.fault(operation, fault)

    ended, printed = _run(sandbox, home, "waiting", str(dags), max_attempts=1, api_version=api.version)

    assert ended == 1, printed[-3000:]
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        met = {task for (task,) in database.execute("SELECT task_id FROM task_instance WHERE state = 'success'")}
    in_worker = {f"{kind}_{way}" for kind in ("where", "named") for way in ("poke", "reschedule")}
    assert met == in_worker | {
        f"{kind}_{way}" for kind in ("one", "mapped") for way in ("poke", "reschedule", "deferrable")
    }
    assert sum(request.fault is not None for request in sandbox.requests) == 8
    _assert_nothing_private(sandbox, printed, home)


def test_nothing_private_is_left_behind_by_what_only_api_v1_can_do(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dags, home = tmp_path / "dags", tmp_path / "home"
    dags.mkdir()
    (dags / "v1.py").write_text(V1_DAG_FILE.replace("{{ params.home }}", str(tmp_path)))
    (tmp_path / "suppressed.txt").write_text("gina@example.com\nhal@@example.com\n")
    (tmp_path / "wrong.txt").write_text("hal@example.com; ida@example.com\n")
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.sqlite")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    for name in ("spring", "winter"):
        sandbox.add_list(name.title(), id=name)
    sandbox.add_campaign("For finn@example.com", id="spring-2027", lists=["spring"])
    for name in ("ana", "ben"):
        sandbox.add_lead("spring", {"email": f"{name}@example.com"})
    for operation in ("addToBlocklist", "removeContact", "listListLeads", "addContacts"):
        sandbox.fault(f"v1.{operation}", "reset", when="after")
        sandbox.fault(f"v1.{operation}", "truncated")

    ended, printed = _run(sandbox, home, "v1", str(dags), api_version="v1", deletes_per_minute=0)

    assert ended == 1, printed[-3000:]
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        failed = {task for (task,) in database.execute("SELECT task_id FROM task_instance WHERE state != 'success'")}
    assert failed == {
        *("wrong_block", "wrong_unblock", "wrong_remove", "wrong_move", "running_move", "wrong_read", "wrong_query"),
        *("wrong_sync", "wrong_table"),
    }
    blocked = [f"{name}@example.com" for name in ("ana", "ben", "finn", "gina")]
    assert sorted(sandbox.blocked()) == sorted([*blocked, "example.org"])
    assert sorted((tmp_path / "suppressed.txt").read_text().split()[2:]) == sorted(
        {*blocked, "eve@example.com", "example.org"} - {"gina@example.com"}
    )
    assert "The query failed (OperationalError: no such table: <address>)" in printed
    assert [lead.email for lead in sandbox.leads("spring")] == ["ana@example.com"]
    assert "ana@example.com" in (tmp_path / "leads.jsonl").read_text().encode().decode("unicode_escape")
    assert sum(request.fault is not None for request in sandbox.requests) == 8
    _assert_nothing_private(sandbox, printed, home)


def test_a_template_that_fails_shows_nothing_of_the_row(sandbox: Sandbox, tmp_path: Path) -> None:
    dags, home = tmp_path / "dags", tmp_path / "home"
    dags.mkdir()
    (dags / "failing.py").write_text(FAILING_DAG_FILE)
    _people(sandbox)

    ended, printed = _run(sandbox, home, "failing", str(dags))

    assert ended == 1, printed[-3000:]
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        states = {state for (state,) in database.execute("SELECT state FROM task_instance")}
    assert states == {"failed"}
    assert not sandbox.requests
    everything = [("printed", printed), *_everything_kept(home)]
    for where, text in everything:
        assert _leaks(text, "zoe@", "-private", "private }}", "'private'", "of private") == [], where
    logged = "\n".join(text for _, text in everything)
    for argument in (
        "data['Opener'] cannot be rendered as a Jinja template (UndefinedError)",
        "data['Opener'] cannot be rendered as a Jinja template (TemplateSyntaxError)",
        "data['Opener'] cannot be rendered as a Jinja template (TemplateNotFound)",
        "data['Opener'] cannot be rendered as a Jinja template (ValueError)",
        "rows[1]['Opener'] cannot be rendered",
        "fields['A']['B'][1] cannot be rendered",
        "where['Owner']['in'][1] cannot be rendered",
        "email cannot be rendered",
        "campaign_name cannot be rendered",
    ):
        assert argument in logged
    assert "write {{ '{{first_name}}' }} for {{first_name}}, or put the data into a file" in logged
