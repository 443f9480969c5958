"""Write rows with declared columns to a file, as JSON lines or as Parquet."""

from __future__ import annotations

from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.json_text import json_line, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_salesblink.choices import FileFormat

ROWS_AT_ONCE = 500
ROW_GROUP = 20 * ROWS_AT_ONCE
"""Rows in a row group of a Parquet file, in memory as columns."""


def check_installed(file_format: FileFormat) -> None:
    """Raise unless files can be written in a format. Call it before anything is sent.

    :raises InvalidInputError: pyarrow is not installed.
    """
    if file_format != "parquet":
        return
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise InvalidInputError(
            "Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]' on every worker."
        ) from None


def write_rows(
    file: IO[bytes], rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], file_format: FileFormat
) -> None:
    """Write rows to an open file. However many there are, memory holds one row group at most.

    :param columns: the name and the type of each column: "text", "boolean", or "json" for any value, which Parquet gets
        as JSON text.
    """
    if file_format == "parquet":
        _write_parquet(file, rows, columns)
    else:
        file.writelines(json_line(row).encode() for row in rows)


def _write_parquet(file: IO[bytes], rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    from pyarrow import RecordBatch, Table, bool_, field, schema, string
    from pyarrow.parquet import ParquetWriter

    declared = schema([field(name, bool_() if kind == "boolean" else string()) for name, kind in columns.items()])
    cells = ({name: _cell(row[name], kind) for name, kind in columns.items()} for row in rows)
    # Rows as Python objects take much more memory than as columns.
    batches = (
        RecordBatch.from_pylist(some, schema=declared) for some in iter(lambda: list(islice(cells, ROWS_AT_ONCE)), [])
    )
    with ParquetWriter(file, declared, compression="zstd") as writer:
        while group := list(islice(batches, ROW_GROUP // ROWS_AT_ONCE)):
            writer.write_table(Table.from_batches(group), row_group_size=ROW_GROUP)


def _cell(value: Any, kind: str) -> Any:  # noqa: ANN401
    if value is None or kind == "boolean":
        return value
    # Parquet cannot hold half of a surrogate pair.
    return json_text(value) if kind == "json" else str(value).encode("utf-8", "backslashreplace").decode()
