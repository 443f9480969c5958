"""Rows of a database: the result of a query, read as a stream through any driver with Python's database API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from airflow_provider_salesblink.loading.column_names import ColumnNames
    from airflow_provider_salesblink.loading.row_types import Reject, Row

BATCH = 1_000
"""Rows in memory at once."""

_NAMED_CURSORS = ("psycopg", "psycopg2")
"""Drivers that read the whole result into memory, unless the cursor has a name: then it stays on the server."""
_REPEATED_ERRORS = frozenset(
    {
        *("ProgrammingError", "DataError", "NotSupportedError", "IntegrityError"),
        *("AttributeError", "ImportError", "LookupError", "NotImplementedError", "TypeError", "ValueError"),
    }
)
"""The errors that the next try would meet again. In the database API, errors have names, but no common base class."""
_LONGEST_REASON = 300


class QueryFailedError(RuntimeError):
    """The database could not be reached, or failed while it answered. A retry may help."""


def from_query(
    connection: Any,  # noqa: ANN401  # each driver has its own type
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
    names: ColumnNames,
) -> Generator[Row | Reject, None, None]:
    """Return the rows of a query, counted from 1, and close the connection. Nothing is committed.

    :param connection: an open connection of any driver with the database API (PEP 249).
    :param parameters: the values of the placeholders, as the driver takes them. None: the query has no placeholders.
    :raises InvalidInputError: when the query is wrong, is not a SELECT, or has columns that
        :meth:`ColumnNames.of_table` refuses.
    :raises QueryFailedError: when the database fails before the last row. No error shows a value of a row.
    """
    with executed(connection, query, parameters) as (header, records):
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
    is_named = type(connection).__module__.partition(".")[0] in _NAMED_CURSORS
    given = (query,) if parameters is None else (query, parameters)
    made = partial(_cursor, connection, is_named=is_named)
    with _released(connection), _released(attempt("The database gives no cursor", made)) as cursor:
        attempt("The query failed", cursor.execute, *given)
        # The cursor that psycopg2 gives a name knows its columns from the first fetch on.
        batches = _batches(cursor) if is_named or cursor.description else iter(())
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
        attempt("The insert failed", cursor.executemany, statement, rows)
        attempt("The insert failed", connection.commit)


def attempt(what: str, call: Callable[..., Any], *arguments: Any, private: Sequence[str | None] | None = None) -> Any:  # noqa: ANN401
    """Call a function of a database's driver.

    :param what: what failed, if it fails.
    :param private: texts that errors must not show. None: errors show the driver's words only about the query itself.
    :raises InvalidInputError: when it fails, and would fail again.
    :raises QueryFailedError: when it fails, and a retry may help.
    """
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001
        failure = _failure(what, error, private)
    # Outside of the handler, so that no traceback shows the driver's error: it may quote a row.
    raise failure


def _failure(what: str, error: Exception, private: Sequence[str | None] | None) -> Exception:
    state = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
    # SQLSTATEs of this class are about the query's text, and so is SQLite's general error.
    is_about_query = state.startswith("42") or getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR"
    shown = ", ".join(filter(None, [type(error).__name__, state and f"SQLSTATE {state}"]))
    if is_about_query or private is not None:
        shown = f"{shown}: {_reason(error, private or ())}"
    if is_about_query or {kind.__name__ for kind in type(error).__mro__} & _REPEATED_ERRORS:
        return InvalidInputError(f"{what} ({shown}). Run it in the database to see why. Nothing was sent.")
    return QueryFailedError(f"{what} ({shown}). Nothing was sent.")


def _reason(error: Exception, private: Sequence[str | None]) -> str:
    """Return the first line of a driver's error, unless it holds one of the ``private`` texts."""
    line = next(iter(str(error).strip().splitlines()), "")
    is_private = any(secret and secret in line for secret in private)
    return "its text is hidden, because it holds a secret" if is_private else redacted(line)[:_LONGEST_REASON]


def _cursor(connection: Any, *, is_named: bool) -> Any:  # noqa: ANN401
    return connection.cursor(name=f"salesblink_{uuid4().hex}") if is_named else connection.cursor()


def _batches(cursor: Any) -> Iterator[Sequence[Any]]:  # noqa: ANN401
    done = 0
    while batch := attempt(f"The query failed after row {done:,}", cursor.fetchmany, BATCH):
        yield batch
        done += len(batch)


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
