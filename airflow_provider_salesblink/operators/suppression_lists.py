"""The user's own list of suppressed people, in a file or in a table: read it, and append to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.files import append_lines, check_path, exists, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_salesblink.loading.suppression_entries import Entry
    from airflow_provider_salesblink.loading.suppression_sync import OwnList
    from airflow_provider_salesblink.operators.databases import Query

log = logging.getLogger(__name__)


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
        from airflow_provider_salesblink.loading.suppression_entries import AS_TEXT, numbered_entries
        from airflow_provider_salesblink.loading.suppression_sync import OwnList
        from airflow_provider_salesblink.loading.text_files import TextFile

        check_path(self._path, "path")
        if self._grows and not exists(self._path, "path"):
            self._refuse_unless(can_grow=not self._path.endswith(".gz"), kind="packed with gzip")
            log.warning("The file of path does not exist, so the task starts a new list there.")
            return OwnList()
        try:
            with open_bytes(self._path, "path") as file:
                text = TextFile(file, format_remedy=AS_TEXT)
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

    :param insert_sql: the statement that inserts one entry, with the driver's placeholder for it.
    """

    def __init__(self, query: Query, insert_sql: str | None) -> None:
        self._query = query
        self._insert_sql = insert_sql

    def read(self) -> OwnList:
        """Return what the query returns."""
        from airflow_provider_salesblink.loading.sql_rows import executed
        from airflow_provider_salesblink.loading.suppression_sync import OwnList

        with executed(self._query.connect(), self._query.text, self._query.parameters) as (_, rows):
            return OwnList(_texts(rows), "Row")

    def append(self, entries: Sequence[Entry]) -> None:
        """Insert entries in one transaction."""
        from airflow_provider_salesblink.loading.sql_rows import insert

        if entries and self._insert_sql is not None:
            insert(self._query.connect(), self._insert_sql, [(entry.text,) for entry in entries])


def _texts(rows: Iterable[Iterable[Any]]) -> Iterator[tuple[int, str]]:
    """Yield the first cell of each row with the row's number, without empty ones."""
    from airflow_provider_salesblink.loading.suppression_entries import entry_text

    for number, row in enumerate(rows, start=1):
        cell = next(iter(row))
        if cell is not None and (text := entry_text(str(cell))):
            yield number, text
