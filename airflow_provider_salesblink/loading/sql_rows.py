"""Rows of a database: the result of a query, read as a stream through any driver with Python's database API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.sql_errors import advice_for_insert, advice_for_query, attempt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from airflow_provider_salesblink.loading.column_names import ColumnNames
    from airflow_provider_salesblink.loading.row_types import Reject, Row

BATCH = 1_000
"""Rows in memory at once."""

_NAMED_CURSORS = ("psycopg", "psycopg2")
"""Drivers that read the whole result into memory, unless the cursor has a name: then it stays on the server."""
_EXPRESSIONS = re.compile(r"\?column\?|_col\d+|f\d+_|count_star\(\)", re.IGNORECASE)
"""What PostgreSQL, Trino, BigQuery and DuckDB call a column that is an expression without a name."""
_PLAIN = re.compile(r"[^\W\d][\w $]*")
_QUOTES = "\"'`[]"


def from_query(
    connection: Any,  # noqa: ANN401  # each driver has its own type
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
    names: ColumnNames,
) -> Generator[Row | Reject, None, None]:
    """Return the rows of a query, counted from 1, and close the connection. Nothing is committed.

    With PostgreSQL and SQLite, the connection is made read-only. With other databases, a query that writes does so
    where the driver commits by itself.

    :param connection: an open connection of any driver with the database API (PEP 249).
    :param parameters: the values of the placeholders, as the driver takes them. None: the query has no placeholders.
    :raises InvalidInputError: when the query is wrong, is not a SELECT, or has columns that
        :meth:`ColumnNames.of_table` refuses, or one that is an expression without a name.
    :raises QueryFailedError: when the database fails before the last row. No error shows a value of a row.
    """
    with executed(connection, query, parameters) as (header, records):
        _check_expressions(header, query, names)
        names.of_table(header, "query")
        for number, values in enumerate(records, start=1):
            row = names.of_record(number, dict(zip(header, values, strict=True)))
            if row is not None:
                yield row
    names.conclude(has_header=True)


@contextmanager
def executed(
    connection: Any,  # noqa: ANN401  # each driver has its own type
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
) -> Iterator[tuple[list[str], Iterator[Iterable[Any]]]]:
    """Run a query, give the names of its columns and the values of each row, and then close the connection.

    The arguments and errors are those of :func:`from_query`.
    """
    driver = type(connection).__module__.partition(".")[0]
    given = (query,) if parameters is None else (query, parameters)
    advice = advice_for_query(connection, query, parameters)
    made = partial(_cursor, connection, driver)
    with _released(connection), _released(attempt("The database gives no cursor", made)) as cursor:
        attempt("The query failed", cursor.execute, *given, advice=advice)
        # The cursor that psycopg2 gives a name knows its columns from the first fetch on.
        batches = _batches(cursor) if driver in _NAMED_CURSORS or cursor.description else iter(())
        first = next(batches, [])
        if not cursor.description:
            raise InvalidInputError("The query returns no columns: write one SELECT. Nothing was sent.")
        header = ["" if column[0] is None else str(column[0]) for column in cursor.description]
        yield header, _each(first, batches)


def insert(connection: Any, statement: str, rows: Sequence[Sequence[Any]]) -> None:  # noqa: ANN401
    """Run a statement once for each row, all in one transaction, and close the connection.

    :raises InvalidInputError: when the database refuses the statement or a row. Nothing is inserted.
    :raises QueryFailedError: when the database fails; a retry may help.
    """
    with _released(connection), _released(connection.cursor()) as cursor:
        attempt("The insert failed", cursor.executemany, statement, rows, advice=advice_for_insert(connection))
        attempt("The insert failed", connection.commit)


def _read_only(connection: Any, driver: str) -> None:  # noqa: ANN401
    """Keep a connection from writing. Some drivers commit by themselves, and a query can call what writes."""
    if driver == "psycopg2":
        connection.set_session(readonly=True)
    elif driver == "psycopg":
        connection.read_only = True
    elif driver == "sqlite3":
        connection.execute("PRAGMA query_only = ON").close()


def _check_expressions(header: Sequence[str], query: str, names: ColumnNames) -> None:
    """Check that no column that would be loaded has an expression in place of a name.

    :raises InvalidInputError: when one has.
    """
    for position, name in enumerate(header, start=1):
        # The target is another one where columns maps the name.
        if _is_expression(name, query) and names.column(name).target == name.strip():
            raise InvalidInputError(
                f"Column {position} of the query is an expression without a name: give it one with AS, or leave it "
                "out. Nothing was sent."
            )


def _is_expression(name: str, query: str) -> bool:
    """Return whether a column's name is what databases take where the query gives none: often its own text."""
    if _EXPRESSIONS.fullmatch(name):
        return True
    if not name.strip() or _PLAIN.fullmatch(name):
        return False
    # Some databases write the expression in capitals, or without its blanks.
    text, sought = ("".join(each.split()).casefold() for each in (query, name))
    ends = [(text[:at], text[at + len(sought) :]) for at in _positions(text, sought)]
    return bool(ends) and not any(before[-1:] in _QUOTES and after[:1] in _QUOTES for before, after in ends)


def _positions(text: str, sought: str) -> Iterator[int]:
    at = text.find(sought)
    while at >= 0:
        yield at
        at = text.find(sought, at + 1)


def _cursor(connection: Any, driver: str) -> Any:  # noqa: ANN401
    """Return a cursor of a connection that can only read from now on."""
    _read_only(connection, driver)
    is_named = driver in _NAMED_CURSORS
    return connection.cursor(name=f"salesblink_{uuid4().hex}") if is_named else connection.cursor()


def _batches(cursor: Any) -> Iterator[Sequence[Any]]:  # noqa: ANN401
    done = 0
    while batch := attempt(f"The query failed {_place(done)}", cursor.fetchmany, BATCH):
        yield batch
        done += len(batch)


def _place(done: int) -> str:
    # The row that failed may be any of the batch.
    return f"after row {done:,}" if done else f"in the first {BATCH:,} rows"


def _each(first: Sequence[Any], rest: Iterator[Sequence[Any]]) -> Iterator[Iterable[Any]]:
    """Yield the values of each row, also of cursors whose rows are mappings."""
    for batch in chain([first], rest):
        for row in batch:
            yield row.values() if isinstance(row, Mapping) else row


@contextmanager
def _released(resource: Any) -> Iterator[Any]:  # noqa: ANN401
    """Close a cursor or a connection in the end. A connection that is broken may refuse."""
    try:
        yield resource
    finally:
        with suppress(Exception):
            resource.close()
