"""A suppression list in a table that is brought together with SalesBlink's blocklist."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.operators.syncs import DIRECTIONS, counts, sha256, sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.postgres_server import Postgres

    Changes = Callable[[], list[tuple[str, str, Any]]]

pytestmark = pytest.mark.apis("v1")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a function that runs a statement in the database of the connection ``warehouse``."""
    database = tmp_path / "warehouse.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(database)}))

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(database)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    run("CREATE TABLE suppressed (entry TEXT UNIQUE, since TEXT)")
    return run


SELECT = "SELECT entry, since FROM suppressed ORDER BY rowid"
SELECT_SINCE = "SELECT entry FROM suppressed WHERE since = "
INSERT = "INSERT INTO suppressed (entry) VALUES (?)"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_table_is_a_list_too(direction: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]) -> None:
    for entry in ("ana@example.com", "Example.org", None, " ", sha256("cy@example.com")):
        table("INSERT INTO suppressed VALUES (?, '2026-11-26')", entry)
    sandbox.block("bo@example.com", "cy@example.com")
    writes_back = {} if direction == "to_salesblink" else {"insert_sql": INSERT}

    result = sync(None, direction, sql=SELECT, sql_conn_id="warehouse", **writes_back)

    sent = {} if direction == "from_salesblink" else {"sent": 2}
    appended = {"appended": 1} if writes_back else {}
    assert counts(result) == {"entries": 3, "there": 1, **sent, **appended}
    assert sorted(sandbox.blocked()) == sorted(
        ["bo@example.com", "cy@example.com"] + ["ana@example.com", "example.org"] * bool(sent)
    )
    assert [entry for (entry,) in table("SELECT entry FROM suppressed ORDER BY rowid")][5:] == [
        "bo@example.com"
    ] * bool(appended)
    again = sync(None, direction, sql=SELECT, sql_conn_id="warehouse", **writes_back)
    assert counts(again).keys() <= {"entries", "there"}


@pytest.mark.parametrize("parameters", [["2026"], '["2026"]', {"since": "2026"}, '{"since": "2026"}'])
def test_a_query_may_have_parameters(
    parameters: Any, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '2026'), ('bo@example.com', '2025')")
    mark = ":since" if "since" in parameters else "?"

    sync(
        None, "to_salesblink", sql=f"{SELECT_SINCE}{mark}", sql_conn_id="warehouse",
        sql_parameters=parameters,
    )  # fmt: skip

    assert sandbox.blocked() == ["ana@example.com"]


def test_rows_that_are_not_entries_are_rejected_by_their_number(table: Callable[..., list[tuple[Any, ...]]]) -> None:
    table("INSERT INTO suppressed VALUES ('email', ''), (NULL, ''), ('7', '')")

    with pytest.raises(AirflowFailException, match=r"2 of 2 entries .* Row 1 is not .* The same in row 3\."):
        sync(None, "to_salesblink", sql=SELECT, sql_conn_id="warehouse")


def test_without_a_table_nothing_is_sent(sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]) -> None:
    table("DROP TABLE suppressed")

    with pytest.raises(AirflowFailException, match="no such table: suppressed"):
        sync(None, "to_salesblink", sql=SELECT, sql_conn_id="warehouse")

    assert not sandbox.requests


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("WITH x AS (SELECT 1) DELETE FROM suppressed RETURNING entry", "sql has DELETE in it, so it writes"),
        ("PRAGMA user_version = 7", "sql begins with PRAGMA, so it is not a query"),
    ],
)
def test_the_query_of_a_list_does_not_write(
    query: str, says: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '2026')")

    with pytest.raises(AirflowFailException, match=says):
        sync(None, "both", sql=query, sql_conn_id="warehouse", insert_sql=INSERT)

    assert table("SELECT entry FROM suppressed") == [("ana@example.com",)]
    assert table("PRAGMA user_version") == [(0,)]
    assert not sandbox.requests


def test_an_insert_whose_placeholders_do_not_fit_says_how_to_write_them(
    sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    sandbox.block("ana@example.com")
    says = r"The statement of insert_sql needs one placeholder, for the entry: use \? for this database\. Nothing was"

    for statement in ("INSERT INTO suppressed VALUES (?, ?)", "INSERT INTO suppressed (entry) VALUES (%s)"):
        with pytest.raises(AirflowFailException, match=says):
            sync(None, "both", sql=SELECT, sql_conn_id="warehouse", insert_sql=statement)

    assert table(SELECT) == []


def test_an_error_of_the_database_shows_no_address_and_keeps_nothing(
    sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    sandbox.block("ana@example.com", "bo@example.com")
    table("CREATE TRIGGER no BEFORE INSERT ON suppressed WHEN NEW.entry LIKE 'bo@%' "
          "BEGIN SELECT RAISE(ABORT, 'Key (entry)=(bo@example.com) is refused'); END")  # fmt: skip

    with pytest.raises(AirflowFailException, match=r"The insert failed \(IntegrityError\)") as failed:
        sync(None, "both", sql=SELECT, sql_conn_id="warehouse", insert_sql=INSERT)

    assert "bo@" not in str(failed.value)
    assert table(SELECT) == []


def test_a_table_of_postgresql(sandbox: Sandbox, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(postgres.airflow_connection()))
    own = ", ".join(f"('p{number}@example.com')" for number in range(1500))
    postgres.run("DROP TABLE IF EXISTS suppressed", "CREATE TABLE suppressed (entry text UNIQUE)",
                 f"INSERT INTO suppressed VALUES {own}")  # noqa: S608  # fmt: skip
    sandbox.block("P7@example.com", "ana@example.com", "example.org")
    arguments = {"sql": "SELECT entry FROM suppressed", "insert_sql": "INSERT INTO suppressed VALUES (%s)"}

    first = sync(None, "both", sql_conn_id="warehouse", **arguments)
    second = sync(None, "both", sql_conn_id="warehouse", **arguments)

    assert counts(first) == {"entries": 1500, "there": 1, "sent": 1499, "appended": 2}
    assert counts(second) == {"entries": 1502, "there": 1502}
    assert postgres.run("SELECT entry FROM suppressed WHERE entry NOT LIKE 'p%' ORDER BY entry") == [
        ("ana@example.com",),
        ("example.org",),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "exactly one of path or sql; got neither"),
        ({"path": "list.txt", "sql": SELECT}, "exactly one of path or sql; got both"),
        ({"sql": SELECT, "insert_sql": INSERT}, "sql needs sql_conn_id"),
        ({"sql": SELECT, "sql_conn_id": "nothing", "insert_sql": INSERT}, "There is no connection 'nothing'"),
        ({"path": "list.txt", "sql_conn_id": "warehouse"}, "are for a list that sql reads"),
        ({"sql": "", "sql_conn_id": "warehouse", "insert_sql": INSERT}, "sql is empty"),
        ({"sql": SELECT, "sql_conn_id": "warehouse"}, "Pass insert_sql, .* or direction="),
        ({"sql": SELECT, "sql_conn_id": "warehouse", "insert_sql": INSERT, "sql_parameters": "x"}, "sql_parameters is"),
        ({"sql": "DELETE FROM suppressed", "sql_conn_id": "warehouse", "insert_sql": INSERT}, "begins with DELETE"),
        ({"path": ""}, "path is ''"),
        ({"path": "None"}, "path is 'None'"),
        ({"path": "."}, "path is a folder"),
        ({"path": 1.5}, "path"),
        ({"path": "list.txt", "max_rejected": -1}, "max_rejected"),
    ],
)
def test_wrong_arguments_fail_before_anything_is_sent(
    arguments: dict[str, Any], says: str, sandbox: Sandbox, table: Callable[..., list[tuple[Any, ...]]]
) -> None:
    table("INSERT INTO suppressed VALUES ('ana@example.com', '')")

    with pytest.raises(AirflowFailException, match=says):
        sync(**arguments)

    assert not sandbox.requests
    assert len(table(SELECT)) == 1
