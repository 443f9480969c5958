"""Loading the people of a query, through Airflow's own hooks."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, TaskDeferred

from airflow_provider_salesblink.loading.rows import QueryFailedError
from airflow_provider_salesblink.operators.databases import Query
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from tests.apis import BOTH
from tests.conftest import ROOT
from tests.postgres_server import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest
    from tests.postgres_server import Postgres

pytestmark = pytest.mark.apis(*BOTH)

PEOPLE = [(f"p{number}@example.com", f"P{number}", "Berlin" if number % 2 else "Rome") for number in range(20)]
FROM_TABLE = "SELECT email, first_name FROM leads ORDER BY email"


def connected(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))


@pytest.fixture(params=["postgres", "sqlite"])
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the kind of the database that the connection ``warehouse`` points to, with a table of 20 people."""
    table = "CREATE TABLE leads (email text, first_name text, city text)"
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        rows = ", ".join(map(str, PEOPLE))
        server.run("DROP TABLE IF EXISTS leads", table, f"INSERT INTO leads VALUES {rows}")  # noqa: S608
        connected(monkeypatch, **server.airflow_connection())
    else:
        with closing(sqlite3.connect(tmp_path / "leads.sqlite")) as database, database:
            database.execute(table)
            database.executemany("INSERT INTO leads VALUES (?, ?, ?)", PEOPLE)
        connected(monkeypatch, conn_type="sqlite", host=str(tmp_path / "leads.sqlite"))
    return str(request.param)


def load(campaign: CampaignUnderTest, sql: Any = FROM_TABLE, **options: Any) -> dict[str, Any]:
    given = {"sql_conn_id": "warehouse", **options}
    return AddProspectsOperator(task_id="t", campaign_id=campaign.id, sql=sql, **given).execute({})


def problem(campaign: CampaignUnderTest, sql: Any = FROM_TABLE, **options: Any) -> str:
    with pytest.raises(AirflowFailException) as failed:
        load(campaign, sql, **options)
    assert PASSWORD not in str(failed.value)
    assert "@" not in str(failed.value)
    return str(failed.value)


@pytest.mark.usefixtures("warehouse")
def test_the_people_of_a_query_are_added_once(
    sandbox: Sandbox, campaign: CampaignUnderTest, task_log: Callable[[], list[str]]
) -> None:
    first, again = load(campaign), load(campaign)

    assert (first["rows"], first["added"], again["added"], again["there"]) == (20, 20, 0, 20)
    assert {person.email: person.fields["First Name"] for person in sandbox.people()} == {
        email: name for email, name, _ in PEOPLE
    }
    assert "Loading the rows of a query of connection warehouse." in task_log()


def test_parameters_are_passed_as_the_driver_takes_them(campaign: CampaignUnderTest, warehouse: str) -> None:
    one, named = ("%s", "%(city)s") if warehouse == "postgres" else ("?", ":city")
    query = "SELECT email FROM leads WHERE city = "

    assert load(campaign, query + one, sql_parameters=["Rome"])["rows"] == 10
    assert load(campaign, query + named, sql_parameters={"city": "Rome"})["rows"] == 10
    assert load(campaign, query + one, sql_parameters='["Rome"]')["rows"] == 10
    assert load(campaign, query + named, sql_parameters='{"city": "Rome"}')["rows"] == 10


@pytest.mark.usefixtures("warehouse")
def test_columns_modes_and_opt_outs_work_as_with_files(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    load(campaign, "SELECT email FROM leads")
    query = """
        SELECT email AS mail, city AS town, CASE WHEN city = 'Rome' THEN 'yes' END AS stop, 1 AS other
        FROM leads WHERE email < 'p2';  -- a comment; with a semicolon
    """

    xcom = load(
        campaign, query, columns={"mail": "Email", "town": "City"}, mode="upsert", opt_out_columns=["stop"]
    )  # fmt: skip

    assert (xcom["rows"], xcom["updated"], xcom["unsubscribed"]) == (12, 6, 6)
    assert {person.unsubscribed for person in sandbox.people() if person.email < "p2"} == {True, False}


@pytest.mark.usefixtures("warehouse")
def test_a_query_without_rows_adds_nobody_and_stops_a_mirror(campaign: CampaignUnderTest) -> None:
    query = f"SELECT * FROM ({FROM_TABLE}) AS s WHERE 1 = 0"  # noqa: S608

    assert load(campaign, query)["rows"] == 0
    load(campaign)
    with pytest.raises(AirflowFailException, match="The input is empty"):
        load(campaign, query, mode="mirror")


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT first_name FROM leads", "The query has no 'Email' column; it has 'first_name'. Map one with columns."),
        ("SELECT email, email FROM leads", "Two columns of the query are called 'email': rename one, or leave it out."),
        ("SELECT * FROM gone", "The query failed ("),
        ("SELECT 1; SELECT 2", "sql holds 2 statements: pass one SELECT."),
        ("DELETE FROM leads", "sql begins with DELETE, so it is not a query: pass one SELECT."),
        ("-- all\n/* of */ (insert into leads values (1))", "sql begins with INSERT, so it is not a query: pass one"),
        (" \n", "sql is empty: its template found nothing. Pass one SELECT."),
        ("-- nothing but a comment", "sql is empty: its template found nothing. Pass one SELECT."),
        ("None", "sql is empty: its template found nothing. Pass one SELECT."),
        ("people.sql", "sql is the name of a file that Airflow did not read. Write the name itself into the DAG"),
        ("WITH x AS (SELECT 1) DELETE FROM leads", "sql has DELETE in it, so it writes: pass one SELECT that changes"),
        ("with x as (select 1) -- (\nupdate leads set city = '' returning email", "sql has UPDATE in it, so it writes"),
        ("WITH gone AS (DELETE FROM leads RETURNING email) SELECT email FROM gone", "sql has DELETE in it, so it"),
        ("WITH x AS (SELECT 1) REPLACE INTO leads SELECT * FROM x", "sql has INTO in it, so it writes: pass one"),
        ("SELECT * INTO other FROM leads", "sql has INTO in it, so it writes: pass one SELECT that changes nothing."),
        ("PRAGMA user_version = 7", "sql begins with PRAGMA, so it is not a query: pass one SELECT."),
        ("EXPLAIN ANALYZE DELETE FROM leads", "sql begins with EXPLAIN, so it is not a query: pass one SELECT."),
        ("ana@example.com", "sql does not begin with SELECT or WITH, so it is not a query: pass one SELECT."),
        (["SELECT 1", "SELECT 2"], "sql is a list: pass the text of one SELECT, or a .sql file."),
    ],
)
def test_a_wrong_query_stops_the_load(sandbox: Sandbox, campaign: CampaignUnderTest, query: Any, text: str) -> None:
    assert problem(campaign, query).startswith(text)
    assert sandbox.people() == []


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("query", ["SELECT abc AS email", "SELECT abc AS email FROM leads"])
def test_a_column_that_does_not_exist_is_named_at_once(
    sandbox: Sandbox, campaign: CampaignUnderTest, query: str
) -> None:
    text = problem(campaign, query)

    assert re.match(r"The query failed \(.*column:? .?abc.*\)\. Correct sql\. Nothing was sent\.$", text)
    assert sandbox.people() == []


@pytest.mark.usefixtures("warehouse")
def test_words_that_write_elsewhere_may_be_names_and_values(campaign: CampaignUnderTest) -> None:
    query = """
        WITH kept AS (SELECT email, ') DELETE FROM leads' AS "update", 1 AS "into" FROM leads -- ) DELETE FROM leads
        ) SELECT email, (kept."update"), replace(kept."update", ')', '(') AS note FROM kept
    """

    assert load(campaign, query)["added"] == 20


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_writing_query_writes_nothing(campaign: CampaignUnderTest, postgres: Postgres, warehouse: str) -> None:  # noqa: ARG001
    postgres.run("CREATE OR REPLACE FUNCTION gone() RETURNS text LANGUAGE sql AS 'DELETE FROM leads RETURNING email'")

    assert "It writes or locks, and sql may only read" in problem(campaign, "SELECT gone() AS email")
    assert postgres.run("SELECT count(*) FROM leads") == [(20,)]


def test_arguments_that_do_not_fit_stop_the_load(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    assert problem(campaign, sql_conn_id=None) == "sql needs sql_conn_id: the Airflow connection of the database."
    assert problem(campaign, sql_conn_id=" ") == "sql needs sql_conn_id: the Airflow connection of the database."
    assert problem(campaign, rows=[]) == "Pass exactly one of rows, rows_path or sql; got rows and sql."
    assert problem(campaign, None) == "Pass exactly one of rows, rows_path or sql; got none."
    assert problem(campaign, sql_parameters=1).startswith("sql_parameters is a int: pass a list or a dict")
    assert problem(campaign, sql_parameters="eu") == (
        'sql_parameters is a text: pass a list, such as ["eu"], or a dict, such as {"region": "eu"}.'
    )
    assert problem(campaign, sql_parameters="['eu']").startswith("sql_parameters is a text, but not the JSON of an")
    assert problem(campaign, csv_options={}) == "csv_options is for CSV files, and the rows come from sql."
    assert problem(campaign, None, rows=[{"Email": "a@x.yz"}]) == (
        "sql_conn_id and sql_parameters are for sql, and the rows do not come from it."
    )
    assert sandbox.requests == []


def test_a_connection_that_is_not_a_database_stops_the_load(
    sandbox: Sandbox, campaign: CampaignUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert problem(campaign, sql_conn_id="salesblink_default") == (
        "Connection 'salesblink_default' has the type 'salesblink', which is not a database: set sql_conn_id to the "
        "connection of a database."
    )
    connected(monkeypatch, conn_type="http", host="https://example.org", password=PASSWORD)
    assert problem(campaign).startswith("Connection 'warehouse' has the type 'http', which is not a database")
    connected(monkeypatch, conn_type="oracle_of_delphi", password=PASSWORD)
    assert problem(campaign).startswith(
        "Connection 'warehouse' has the type 'oracle_of_delphi', for which Airflow finds no hook ("
    )
    assert problem(campaign, sql_conn_id="gone") == (
        "There is no connection 'gone': create it, or set sql_conn_id to one that exists."
    )
    assert sandbox.people() == []


def test_a_database_that_is_away_may_be_there_at_the_next_try(
    sandbox: Sandbox, campaign: CampaignUnderTest, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(monkeypatch, **postgres.airflow_connection(port=1))
    with pytest.raises(QueryFailedError) as raised:
        load(campaign)
    assert "The database of connection 'warehouse' cannot be reached (OperationalError" in str(raised.value)
    assert "refused" in str(raised.value)
    assert "Check the connection's host, port and schema. Nothing was sent." in str(raised.value)

    connected(monkeypatch, **postgres.airflow_connection(password="wrong-password"))
    with pytest.raises(QueryFailedError) as raised:
        load(campaign)
    assert 'password authentication failed for user "warehouse"' in str(raised.value)
    assert "wrong-password" not in str(raised.value)

    # The driver quotes what it cannot read, and that may be a secret.
    connected(monkeypatch, **postgres.airflow_connection(extra={"options": f"-c {PASSWORD}"}))
    with pytest.raises(QueryFailedError) as raised:
        load(campaign)
    assert PASSWORD not in str(raised.value)
    assert sandbox.people() == []


@pytest.mark.apis("classic")
@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_deferred_load_runs_the_query_again(
    sandbox: Sandbox, campaign: CampaignUnderTest, connection: Callable[..., None], tmp_path: Path,
    postgres: Postgres, warehouse: str,  # noqa: ARG001
) -> None:  # fmt: skip
    connection(extra={"writes_per_minute": 7, "pacing_url": f"file://{tmp_path}/pace.sqlite"})
    given = {"task_id": "t", "campaign_id": campaign.id, "sql": FROM_TABLE, "sql_conn_id": "warehouse"}
    with pytest.raises(TaskDeferred) as deferred:
        AddProspectsOperator(**given, defer_after=5).execute({})
    postgres.run("INSERT INTO leads VALUES ('late@example.com', 'Late', 'Rome')")
    connection(extra={"writes_per_minute": 0})  # a minute later

    xcom = AddProspectsOperator(**given).resume({}, None, **(deferred.value.kwargs or {}))

    assert (xcom["rows"], xcom["added"]) == (21, 21)
    assert len(sandbox.people()) == 21


@pytest.mark.parametrize(
    ("text", "parameters", "plain"),
    [
        ("a = %s AND b LIKE '%s%%'", ["x"], "a = NULL AND b LIKE '%s%'"),
        ("a = %(who)s AND n %% 2 = 0", {"who": "x"}, "a = NULL AND n % 2 = 0"),
        ("a = ? AND b = '?'", ["x"], "a = NULL AND b = '?'"),
        ("a = :who AND b = '1:00'::time", {"who": "x"}, "a = NULL AND b = '1:00'::time"),
        ("a LIKE '%s' AND n % 2 = 0", None, "a LIKE '%s' AND n % 2 = 0"),
    ],
)
def test_lineage_sees_a_query_without_placeholders(text: str, parameters: Any, plain: str) -> None:
    begin = "SELECT email FROM leads WHERE "

    assert Query.of(begin + text, "warehouse", parameters).without_placeholders() == begin + plain


@pytest.mark.apis("v1")
@pytest.mark.usefixtures("warehouse")
def test_a_column_with_a_name_of_salesblink_can_be_renamed_as_the_error_says(campaign: CampaignUnderTest) -> None:
    table = "(SELECT email, city AS id, city AS list_id FROM leads) AS s"

    assert problem(campaign, f"SELECT email, list_id FROM {table}") == (  # noqa: S608
        "A column is called 'list_id', a name that only SalesBlink uses. Nothing was sent. Rename the column, or leave "
        'it out. In a query, write list_id AS crm_list_id. In other loads, columns={"list_id": "CRM list id"} '
        "renames it; name all other columns there too, because the load leaves out those that are not named."
    )
    assert "In a query, write id AS crm_id. " in problem(campaign, f"SELECT email, id FROM {table}")  # noqa: S608
    query = f"SELECT email, id AS crm_id, list_id AS crm_list_id FROM {table}"  # noqa: S608
    assert load(campaign, query)["added"] == 20
    again = f"SELECT email, id, list_id FROM {table}"  # noqa: S608
    names = {"email": "Email", "id": "CRM id", "list_id": "CRM list id"}
    assert load(campaign, again, columns=names, mode="upsert")["there"] == 20


def run_in_a_dag(run_dag: Callable[..., Any], folder: Path, **options: Any) -> Any:
    with DAG("sql_file", schedule=None, start_date=datetime(2026, 1, 1), template_searchpath=str(folder)) as dag:  # noqa: DTZ001
        AddProspectsOperator(task_id="load", **options)
    return run_dag(dag)


@pytest.mark.usefixtures("warehouse")
def test_a_sql_file_is_a_template(
    sandbox: Sandbox, campaign: CampaignUnderTest, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "people.sql").write_text("SELECT email FROM leads WHERE city = '{{ 'Ro' ~ 'me' }}'")

    run = run_in_a_dag(run_dag, tmp_path, campaign_id=campaign.id, sql="people.sql", sql_conn_id="{{ 'warehouse' }}")

    assert run.state == "success"
    assert len(sandbox.people()) == 10


def test_a_sql_file_that_does_not_exist_is_named(dag: Any) -> None:
    task = AddProspectsOperator(task_id="load", dag=dag, campaign_id="c", sql="gone.sql", sql_conn_id="warehouse")

    with pytest.raises(AirflowFailException) as raised:
        task.render_template_fields({})

    assert str(raised.value) == (
        "sql names a file that Airflow does not find: 'gone.sql'. Give its path below the DAG's folder, or put its "
        "folder into the DAG's template_searchpath."
    )


def test_a_cell_that_ends_like_a_sql_file_is_a_cell(
    sandbox: Sandbox, campaign: CampaignUnderTest, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"Email": "ana@example.com", "Company": "gone.sql"}]

    run = run_in_a_dag(run_dag, tmp_path, campaign_id=campaign.id, rows=rows)

    assert run.state == "success"
    assert [person.fields["Company"] for person in sandbox.people()] == ["gone.sql"]


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
@pytest.mark.usefixtures("warehouse")
def test_a_query_whose_columns_are_refused_leaves_no_transaction_open(
    campaign: CampaignUnderTest, postgres: Postgres
) -> None:
    with pytest.raises(AirflowFailException) as refused:
        load(campaign, 'SELECT email, city AS "campaignID", city AS list_id FROM leads')

    # The error is still there, and what it refers to.
    assert "a name that only SalesBlink uses" in str(refused.value)
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert postgres.run(open_ones) == [(0,)]


@pytest.mark.parametrize("missing", ["airflow.providers.common.sql.hooks.sql", "sqlparse"])
def test_without_the_extra_the_error_says_what_to_install(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from airflow_provider_salesblink.operators.databases import Query, database_hook
Query.of("SELECT 1", "warehouse", None)
database_hook("warehouse")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert "sql needs a package that is not installed: pip install 'airflow-provider-salesblink[sql]'" in done.stderr
