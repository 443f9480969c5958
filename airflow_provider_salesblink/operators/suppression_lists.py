"""The user's own list of suppressed people, in a file or in a table: read it, and append to it."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, BaseHook

from airflow_provider_salesblink.operators.files import append_lines, check_path, exists, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_salesblink.loading.suppression_entries import Entry
    from airflow_provider_salesblink.loading.suppression_sync import OwnList

log = logging.getLogger(__name__)

_ROWS_PER_FETCH = 1000


class SuppressionList(Protocol):
    """A list of suppressed people that entries can be appended to."""

    def read(self) -> OwnList:
        """Return what the list has."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries that the list lacks."""


class SuppressionFile:
    """A suppression file, as loads read it, on any object storage.

    :param grows: whether entries will be appended. Then the file may be missing, and must be plain UTF-8.
    """

    def __init__(self, path: str, *, grows: bool) -> None:
        self._path = path
        self._grows = grows

    def read(self) -> OwnList:
        """Return what the file has.

        :raises AirflowFailException: the file cannot be read, or cannot be appended to.
        """
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.loading.suppression_entries import numbered_entries
        from airflow_provider_salesblink.loading.suppression_sync import OwnList
        from airflow_provider_salesblink.loading.text_files import TextFile

        check_path(self._path, "path")
        if self._grows and not exists(self._path, "path"):
            self._refuse_unless(can_grow=not self._path.endswith(".gz"), kind="packed with gzip")
            log.warning("The file of path does not exist, so the task starts a new list there.")
            return OwnList()
        try:
            with open_bytes(self._path, "path") as file:
                text = TextFile(file)
                self._refuse_unless(can_grow=not text.is_packed, kind="packed with gzip")
                self._refuse_unless(can_grow=text.encoding.startswith("utf-8"), kind=text.encoding.upper())
                return OwnList(numbered_entries(text))
        except InvalidInputError as error:
            raise AirflowFailException(f"The file of path cannot be used; nothing was sent. {error}") from None

    def _refuse_unless(self, *, can_grow: bool, kind: str) -> None:
        if self._grows and not can_grow:
            raise AirflowFailException(
                f"The file of path is {kind}, and nothing can be appended to such a file; nothing was sent. Save it as "
                'plain UTF-8, or pass direction="to_salesblink".'
            )

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries to the file, one a line. A missing file is created; only its owner may read it."""
        if entries or not exists(self._path, "path"):
            append_lines(self._path, [entry.text for entry in entries], "path")


class SuppressionTable:
    """A table that a query returns, with an entry in the first column.

    :param conn_id: the Airflow connection of the database.
    :param parameters: the parameters of the query.
    :param insert_sql: the statement that inserts one entry, with the driver's placeholder for it.
    """

    def __init__(
        self, conn_id: str, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None, insert_sql: str | None
    ) -> None:
        self._conn_id = conn_id
        self._query = (sql,) if parameters is None else (sql, parameters)
        self._insert_sql = insert_sql

    def read(self) -> OwnList:
        """Return what the query returns.

        :raises AirflowFailException: there is no such database, or the statement returns no rows.
        """
        from airflow_provider_salesblink.loading.suppression_sync import OwnList

        with self._cursor() as (_, cursor):
            cursor.execute(*self._query)
            if cursor.description is None:
                raise AirflowFailException("sql returns no rows; nothing was sent. Pass a SELECT of the entries.")
            return OwnList(_texts(cursor), "Row")

    def append(self, entries: Sequence[Entry]) -> None:
        """Insert entries in one transaction."""
        if entries:
            with self._cursor() as (connection, cursor):
                cursor.executemany(self._insert_sql, [(entry.text,) for entry in entries])
                connection.commit()

    @contextmanager
    def _cursor(self) -> Iterator[tuple[Any, Any]]:
        from airflow_provider_salesblink.client.redaction import redacted

        hook = _database_hook(self._conn_id)
        try:
            with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
                yield connection, cursor
        except AirflowFailException:
            raise
        except Exception as error:  # noqa: BLE001
            # Each driver has errors of its own, and they may quote a person's row.
            raise DatabaseFailedError(
                f"The database of connection {self._conn_id!r} reports {type(error).__name__}: {redacted(str(error))}"
            ) from None


class DatabaseFailedError(RuntimeError):
    """The user's database reported an error. A retry may help."""


def _texts(cursor: Any) -> Iterator[tuple[int, str]]:  # noqa: ANN401
    """Yield the first cell of each row with the row's number, without empty ones."""
    from airflow_provider_salesblink.loading.suppression_entries import entry_text

    for number, row in enumerate(_rows(cursor), start=1):
        if row[0] is not None and (text := entry_text(str(row[0]))):
            yield number, text


def _rows(cursor: Any) -> Iterator[Any]:  # noqa: ANN401
    while rows := cursor.fetchmany(_ROWS_PER_FETCH):
        yield from rows


def _database_hook(conn_id: str) -> Any:  # noqa: ANN401
    """Return the hook of a database.

    :raises AirflowFailException: there is no such connection, or it is not the connection of a database.
    """
    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        raise AirflowFailException(f"There is no connection {conn_id!r}: set sql_conn_id to one that exists.") from None
    except Exception as error:  # noqa: BLE001
        # Airflow does not know the connection's type, or its provider cannot be imported.
        raise AirflowFailException(
            f"The connection {conn_id!r} of sql_conn_id has no hook ({type(error).__name__}): install the Airflow "
            "provider of its database."
        ) from None
    if not callable(getattr(hook, "get_records", None)):
        raise AirflowFailException(
            f"The connection {conn_id!r} of sql_conn_id is not the connection of an SQL database: pass one of a "
            "database, such as PostgreSQL or SQLite."
        )
    return hook
