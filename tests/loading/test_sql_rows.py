"""Rows of databases: what each driver's values become, queries that are wrong, and databases that fail midway."""

# ruff: noqa: S608  # the queries are the tests' own

from __future__ import annotations

import datetime
import re
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.rows import ColumnNames, QueryFailedError, Reject, Row, from_query
from airflow_provider_salesblink.loading.sql_rows import BATCH, insert
from tests.apis import BOTH
from tests.conftest import ROOT
from tests.loading.people import addresses
from tests.postgres_server import DATABASE, PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.postgres_server import Postgres

DRIVERS = ("psycopg2", "psycopg", "sqlite3")
WRITTEN = {
    "psycopg2": "SELECT 'p' || n || '@example.com' AS email, n FROM generate_series(1, {rows}) AS series(n)",
    "sqlite3": "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
    "SELECT 'p' || n || '@example.com' AS email, n FROM s WHERE n > 0",
}


@pytest.fixture
def connect(postgres: Postgres) -> Callable[..., Any]:
    """Returns a function that connects to a database through a driver, as Airflow's hooks do."""

    def made(driver: str, **options: Any) -> Any:
        if driver == "sqlite3":
            return sqlite3.connect(":memory:")
        module = {"psycopg2": psycopg2, "psycopg": psycopg}[driver]
        where = {"host": "127.0.0.1", "port": postgres.port, "user": USER, "password": PASSWORD, "dbname": DATABASE}
        return module.connect(**where, **options)

    return made


def series(driver: str, rows: int) -> str:
    return WRITTEN.get(driver, WRITTEN["psycopg2"]).format(rows=rows)


def read(connection: Any, query: str, names: ColumnNames | None = None, parameters: Any = None) -> list[Row | Reject]:
    return list(from_query(connection, query, parameters, names or ColumnNames()))


def failure(kind: type[Exception], connection: Any, query: str, parameters: Any = None) -> str:
    """Return the text of the error, after a look at what its traceback shows."""
    with pytest.raises(kind) as raised:
        read(connection, query, None, parameters)
    shown = "".join(traceback.format_exception(raised.value))
    assert "@example.com" not in shown
    assert PASSWORD not in shown
    assert raised.value.__context__ is None, "or a log may show the driver's own error"
    return str(raised.value)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("rows", [0, 1, BATCH, 2 * BATCH + 1])
def test_every_row_of_a_query_is_read(connect: Callable[..., Any], driver: str, rows: int) -> None:
    found = read(connect(driver), series(driver, rows))

    assert found == [Row(n, {"Email": f"p{n}@example.com", "n": str(n)}) for n in range(1, rows + 1)]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_values_of_every_type_become_texts(connect: Callable[..., Any], driver: str) -> None:
    query = """SELECT 'ana@example.com' AS "E-Mail", 'Ana' AS first_name, 12.50::numeric AS price, 1e21::float8 AS big,
        7::bigint AS visits, true AS "Active", NULL AS nothing, DATE '2027-01-31' AS born,
        TIMESTAMPTZ '2027-01-31 12:00:00+02' AT TIME ZONE 'UTC' AS seen,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS "Key" """

    assert read(connect(driver), query) == [
        Row(1, {
            "Email": "ana@example.com", "First Name": "Ana", "price": "12.50", "big": "1000000000000000000000",
            "visits": "7", "Active": "true", "born": "2027-01-31", "seen": "2027-01-31T10:00:00",
            "Key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        })
    ]  # fmt: skip


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize(
    "value", ["'\\x61'::bytea", """'{"a": "Secret"}'::json""", "ARRAY['Secret']", "INTERVAL '1 h'"]
)
def test_a_value_that_is_not_a_single_one_refuses_its_row_only(
    connect: Callable[..., Any], driver: str, value: str
) -> None:
    query = f"SELECT 'a@example.com' AS email, {value} AS x UNION ALL SELECT 'b@example.com', NULL"
    if "json" in query:
        query = query.replace("NULL", "NULL::json")
    found = read(connect(driver), query)

    assert found[1:] == [Row(2, {"Email": "b@example.com"})]
    assert isinstance(found[0], Reject)
    assert re.fullmatch(r"'x' is a \w+: give a text or a number\.", found[0].reason)


def test_a_blob_of_sqlite_refuses_its_row_only(connect: Callable[..., Any]) -> None:
    (found,) = read(connect("sqlite3"), "SELECT 'a@example.com' AS email, x'61' AS x")

    assert isinstance(found, Reject)
    assert found.reason == "'x' is a bytes: give a text or a number."


@pytest.mark.parametrize("factory", ["DictCursor", "RealDictCursor", "NamedTupleCursor"])
def test_rows_that_the_connection_makes_mappings_are_read_too(connect: Callable[..., Any], factory: str) -> None:
    connection = connect("psycopg2", cursor_factory=getattr(psycopg2.extras, factory))

    assert read(connection, series("psycopg2", 2))[1] == Row(2, {"Email": "p2@example.com", "n": "2"})
    dicts = connect("psycopg", row_factory=psycopg.rows.dict_row)
    assert read(dicts, series("psycopg", 2))[1] == Row(2, {"Email": "p2@example.com", "n": "2"})


@pytest.mark.parametrize(
    ("driver", "sign"),
    [("psycopg2", "%s"), ("psycopg", "%s"), ("sqlite3", "?"), ("sqlite3", ":who"), ("psycopg2", "%(who)s")],
)
def test_parameters_reach_the_query_as_the_driver_writes_them(
    connect: Callable[..., Any], driver: str, sign: str
) -> None:
    parameters = ["o'hara@example.com"] if sign in ("%s", "?") else {"who": "o'hara@example.com"}
    query = f"SELECT CAST({sign} AS varchar) AS email"

    assert read(connect(driver), query, None, parameters) == [Row(1, {"Email": "o'hara@example.com"})]


@pytest.mark.parametrize("driver", DRIVERS)
def test_without_parameters_a_percent_sign_is_one(connect: Callable[..., Any], driver: str) -> None:
    query = f"SELECT * FROM ({series(driver, 3)}) AS s WHERE email LIKE 'p2%'"

    assert [row.number for row in read(connect(driver), query)] == [1]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("email, email", "Two columns of the query are called 'email': rename one, or leave it out."),
        ("email, n, n", "Two columns of the query are called 'n': rename one, or leave it out."),
        ('email, email AS "E-Mail"', "The columns 'email' and 'E-Mail' are both 'Email': leave one out."),
        ("n AS company", "The query has no 'Email' column; it has 'company'. Map one with columns."),
        ('n AS "ana@example.com"', "A column of the query has data as its name, so none is shown. Give each column a"),
    ],
)
def test_columns_that_cannot_be_loaded_stop_the_load(
    connect: Callable[..., Any], driver: str, columns: str, problem: str
) -> None:
    query = f"SELECT {columns} FROM ({series(driver, 3)}) AS s"

    assert failure(InvalidInputError, connect(driver), query).startswith(problem)


def test_a_column_is_mapped_and_one_says_who_opted_out(connect: Callable[..., Any]) -> None:
    query = "SELECT 'a@example.com' AS mail, 'yes' AS out, 'x' AS extra UNION ALL SELECT 'b@example.com', NULL, 'y'"
    names = ColumnNames({"mail": "Email"}, ["out"])

    assert read(connect("sqlite3"), query, names) == [
        Row(1, {"Email": "a@example.com"}, opted_out=True),
        Row(2, {"Email": "b@example.com"}),
    ]
    with pytest.raises(InvalidInputError, match="The query has no column 'gone'"):
        read(connect("sqlite3"), query, ColumnNames({"mail": "Email"}, ["gone"]))


@pytest.mark.parametrize(
    ("driver", "query", "problem"),
    [
        ("psycopg2", "SELECT email FROM leads", 'The query failed (UndefinedTable, SQLSTATE 42P01: relation "leads"'),
        ("psycopg", "SELECT email FROM leads", 'The query failed (UndefinedTable, SQLSTATE 42P01: relation "leads"'),
        ("psycopg2", "SELEC 'ana@example.com'", "The query failed (SyntaxError, SQLSTATE 42601: syntax error"),
        ("psycopg2", "SELECT 'ana@example.com'::int AS email", "The query failed (InvalidTextRepresentation, SQLSTATE"),
        (
            "sqlite3",
            "SELECT email FROM leads",
            "The query failed (OperationalError: no such table: leads). Correct sql.",
        ),
        (
            "sqlite3",
            "SELECT abc AS email",
            "The query failed (OperationalError: no such column: abc). Correct sql.",
        ),
        (
            "sqlite3",
            f"SELECT abc AS email FROM ({series('sqlite3', 1)})",
            "The query failed (OperationalError: no",
        ),
        ("psycopg2", "SELECT abc AS email", 'The query failed (UndefinedColumn, SQLSTATE 42703: column "abc" does not'),
        ("sqlite3", "SELECT 1; SELECT 2", "The query failed (ProgrammingError). Run it in the database to see why."),
        ("sqlite3", "PRAGMA query_only = ON", "The query returns no columns: write one SELECT. Nothing was sent."),
        ("psycopg2", "CREATE TABLE x (y int)", "The query failed (SyntaxError"),
        ("psycopg", "SELECT %s::text AS email", "The query failed (SyntaxError"),
    ],
)
def test_a_wrong_query_is_wrong_for_good(connect: Callable[..., Any], driver: str, query: str, problem: str) -> None:
    assert failure(InvalidInputError, connect(driver), query).startswith(problem)


PERCENT = "use %s or %(name)s for this database; write %% for a percent sign. Nothing was sent."
QUESTION = "use ? (in SQLite, also :name) for this database. Nothing was sent."


@pytest.mark.parametrize(
    ("driver", "query", "given", "use"),
    [
        ("psycopg2", "SELECT %s AS email", ["x", "y"], PERCENT),
        ("psycopg2", "SELECT %s AS email", [], PERCENT),
        ("psycopg2", "SELECT %(who)s AS email", {"other": "x"}, PERCENT),
        ("psycopg2", "SELECT ? AS email", ["x"], PERCENT),
        ("psycopg2", "SELECT :who AS email", {"who": "x"}, PERCENT),
        ("psycopg2", "SELECT %s AS email WHERE 'x' LIKE '%'", ["x"], PERCENT),
        ("psycopg2", "SELECT %s AS email", None, PERCENT),
        ("psycopg", "SELECT %s AS email", ["x", "y"], PERCENT),
        ("psycopg", "SELECT %s AS email", [], PERCENT),
        ("psycopg", "SELECT %(who)s AS email", {"other": "x"}, PERCENT),
        ("psycopg", "SELECT ? AS email", ["x"], PERCENT),
        ("psycopg", "SELECT %s AS email WHERE 'x' LIKE '%'", ["x"], PERCENT),
        ("psycopg", "SELECT %(who)s AS email", None, PERCENT),
        ("psycopg2", "SELECT $1::text AS email", None, PERCENT),
        ("sqlite3", "SELECT ? AS email", ["x", "y"], QUESTION),
        ("sqlite3", "SELECT ? AS email", None, QUESTION),
        ("sqlite3", "SELECT :who AS email", {"other": "x"}, QUESTION),
        ("sqlite3", "SELECT %s AS email", ["x"], QUESTION),
    ],
)
def test_parameters_that_do_not_fit_are_wrong_for_good(
    connect: Callable[..., Any], driver: str, query: str, given: Any, use: str
) -> None:
    text = failure(InvalidInputError, connect(driver), query, given)

    assert text.endswith(f"The values of sql_parameters do not fit the placeholders of sql: {use}")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_an_error_of_the_database_does_not_blame_the_parameters(connect: Callable[..., Any], driver: str) -> None:
    query = f"SELECT email, 1 / (n - %s) AS x FROM ({series(driver, 9)}) AS s"

    text = failure(InvalidInputError, connect(driver), query, [3])

    assert text.startswith("The query failed in the first 1,000 rows (DivisionByZero, SQLSTATE 22012). Run it in the")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("values", [("a", "b"), ()])
def test_an_insert_whose_placeholders_do_not_fit_says_so(
    connect: Callable[..., Any], driver: str, values: tuple[str, ...]
) -> None:
    one, use = ("?", "use ? for") if driver == "sqlite3" else ("%s", "use %s for")
    with pytest.raises(InvalidInputError) as raised:
        insert(connect(driver), f"SELECT {one}", [values])

    assert f"The statement of insert_sql needs one placeholder, for the entry: {use} this database" in str(raised.value)


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (SELECT 1) DELETE FROM lead WHERE id = 7",
        "WITH x AS (SELECT 1) UPDATE lead SET id = 8 RETURNING 'a@example.com' AS email",
        "WITH x AS (SELECT 8 AS n) INSERT INTO lead SELECT n FROM x",
        "DELETE FROM lead RETURNING 'a@example.com' AS email",
        "PRAGMA user_version = 7",
        "CREATE TABLE other (n)",
    ],
)
def test_no_query_writes_to_sqlite(tmp_path: Path, query: str) -> None:
    def state() -> list[Any]:
        with closing(sqlite3.connect(tmp_path / "leads.sqlite")) as database:
            queries = ("SELECT id FROM lead", "PRAGMA user_version", "SELECT name FROM sqlite_master")
            return [database.execute(each).fetchall() for each in queries]

    with closing(sqlite3.connect(tmp_path / "leads.sqlite")) as database, database:
        database.execute("CREATE TABLE lead AS SELECT 7 AS id")
    before = state()

    # A connection that commits each statement, as some hooks open it.
    text = failure(InvalidInputError, sqlite3.connect(tmp_path / "leads.sqlite", isolation_level=None), query)

    assert text == (
        "The query failed (OperationalError). It writes or locks, and sql may only read: pass one SELECT that changes "
        "nothing. Nothing was sent."
    )
    assert state() == before


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("SELECT 'a@example.com' AS email, 1+1", 2),
        ("SELECT 'a@example.com' AS email, count( * )  OVER () FROM (SELECT 1 AS n) AS s", 2),
        ("SELECT lower('A@example.com')", 1),
        ("SELECT 'a@example.com' AS email, 7", 2),
        ("SELECT 'a@example.com' AS email, 'Ana' || 'x', 'Ana' || 'y'", 2),
    ],
)
def test_a_column_without_a_name_has_to_get_one_on_sqlite(
    connect: Callable[..., Any], query: str, position: int
) -> None:
    assert failure(InvalidInputError, connect("sqlite3"), query) == (
        f"Column {position} of the query is an expression without a name: give it one with AS, or leave it out. "
        "Nothing was sent."
    )


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_column_without_a_name_has_to_get_one_on_postgresql(connect: Callable[..., Any], driver: str) -> None:
    query = "SELECT 'a@example.com' AS email, 1+1, 2+2"

    assert failure(InvalidInputError, connect(driver), query).startswith("Column 2 of the query is an expression")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_column_whose_name_only_looks_like_an_expression_is_loaded(connect: Callable[..., Any], driver: str) -> None:
    query = """SELECT * FROM (SELECT 'a@example.com' AS "E-Mail", 'L' AS "Size(cm)", 'x' AS "1+1", 2 AS "n ") AS s"""

    for each in (query, query.replace("*", '"E-Mail", "Size(cm)", "1+1", "n "')):
        assert read(connect(driver), each) == [
            Row(1, {"Email": "a@example.com", "Size(cm)": "L", "1+1": "x", "n": "2"})
        ]


def test_an_expression_may_be_mapped_or_left_out(connect: Callable[..., Any]) -> None:
    names = ColumnNames({"lower('A@x.yz')": "Email", "1+1": "Two"})

    assert read(connect("sqlite3"), "SELECT lower('A@x.yz'), 1+1, 2+2", names) == [
        Row(1, {"Email": "a@x.yz", "Two": "2"})
    ]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_query_that_dies_midway_sends_nothing_and_shows_no_value(connect: Callable[..., Any], driver: str) -> None:
    dies = "CASE WHEN n = 2500 THEN ('ana' || n || '@example.com')::int ELSE n END AS x"

    text = failure(InvalidInputError, connect(driver), f"SELECT email, {dies} FROM ({series(driver, 5_000)}) AS s")

    # The server computes the rows of a batch together.
    assert text.startswith("The query failed after row 2,000 (InvalidTextRepresentation, SQLSTATE 22P02).")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_connection_that_breaks_midway_may_work_at_the_next_try(
    postgres: Postgres, connect: Callable[..., Any], driver: str
) -> None:
    rows = from_query(connect(driver, application_name="breaks"), series(driver, 100_000), None, ColumnNames())
    next(rows)

    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'breaks'")

    with pytest.raises(QueryFailedError, match=r"^The query failed after row 1,000 \(\w+.*\)\. Nothing was sent\.$"):
        list(rows)


@pytest.mark.apis(*BOTH)
def test_nobody_is_added_by_a_query_that_dies_at_its_last_row(
    connect: Callable[..., Any], sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    query = f"SELECT email, 1 / (1500 - n) AS x FROM ({series('psycopg2', 1_500)}) AS s"

    with pytest.raises(InvalidInputError, match=r"after row 1,000 \(DivisionByZero"):
        load_rows(from_query(connect("psycopg2"), query, None, ColumnNames()))

    assert addresses(sandbox) == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_connection_is_closed_at_the_end_and_nothing_is_committed(
    postgres: Postgres, connect: Callable[..., Any], driver: str
) -> None:
    postgres.run("CREATE SEQUENCE IF NOT EXISTS calls", "CREATE TABLE IF NOT EXISTS kept (n int)", "TRUNCATE kept")
    connection = connect(driver)

    read(connection, series(driver, 3))

    if driver == "sqlite3":
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
        return
    assert connection.closed
    changes = (
        "CREATE OR REPLACE FUNCTION keep(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO kept VALUES (n) RETURNING n'"
    )
    postgres.run(changes)
    text = failure(InvalidInputError, connect(driver), "SELECT 'a@example.com' AS email, keep(1) AS n")
    assert "(ReadOnlySqlTransaction, SQLSTATE 25006). It writes or locks, and sql may only read" in text
    assert postgres.run("SELECT count(*) FROM kept") == [(0,)]


_READ_WIDE_ROWS = """
import resource, sys
from airflow_provider_salesblink.loading.rows import ColumnNames, from_query
import {driver} as driver
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
connection = driver.connect(sys.stdin.read())
idle = peak()
query = "SELECT 'p' || n || '@example.com' AS email, repeat('x', 1000) AS wide FROM generate_series(1, 200000) AS s(n)"
print(sum(1 for row in from_query(connection, query, None, ColumnNames())), peak() - idle)
"""


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_200_mb_of_rows_take_little_memory(postgres: Postgres, driver: str) -> None:
    where = f"host=127.0.0.1 port={postgres.port} user={USER} password={PASSWORD} dbname={DATABASE}"
    done = subprocess.run(
        [sys.executable, "-c", _READ_WIDE_ROWS.format(driver=driver)],
        input=where, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    rows, megabytes = map(int, done.stdout.split())
    assert rows == 200_000
    assert megabytes < 40


def test_decimals_and_times_of_any_driver_are_written_plainly() -> None:
    class Cursor:
        """A cursor of a driver that reads all at once, and gives its own types."""

        description = (("EMAIL", None), ("AMOUNT", None), ("AT", None), (None, None))

        def execute(self, _: str) -> None:
            self.left = [[("a@example.com", Decimal("1E+3"), datetime.time(9, 30), "nameless")]]

        def fetchmany(self, _: int) -> list[Any]:
            return self.left.pop() if self.left else []

        def close(self) -> None:
            raise OSError("already gone")

    class Connection:
        def cursor(self) -> Cursor:
            return Cursor()

        def close(self) -> None:
            raise OSError("already gone")

    assert read(Connection(), "SELECT") == [Row(1, {"Email": "a@example.com", "AMOUNT": "1000", "AT": "09:30:00"})]


def test_a_connection_of_something_else_is_wrong_for_good() -> None:
    text = failure(InvalidInputError, object(), "SELECT 'a@example.com' AS email")

    assert text.startswith("The database gives no cursor (AttributeError).")
