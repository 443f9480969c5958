"""Parquet files with declared columns, written by row groups."""

from __future__ import annotations

import json
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROW_GROUP = 10_000
"""Rows in a row group, and in memory at once."""


def require_pyarrow() -> None:
    """Raise unless pyarrow is installed. Call it before anything is sent.

    :raises InvalidInputError: it is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise InvalidInputError(
            "Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]' on every worker."
        ) from None


def write_parquet(file: IO[bytes], rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Write rows to an open file. Their memory is that of one row group, however many there are.

    :param columns: the name and the type of each column: "text", "boolean", or "json" for any value as JSON text.
    """
    from pyarrow import RecordBatch, bool_, field, schema, string
    from pyarrow.parquet import ParquetWriter

    declared = schema([field(name, bool_() if kind == "boolean" else string()) for name, kind in columns.items()])
    left = iter(rows)
    with ParquetWriter(file, declared, compression="zstd") as writer:
        while batch := list(islice(left, ROW_GROUP)):
            cells = [{name: _cell(row[name], kind) for name, kind in columns.items()} for row in batch]
            writer.write_batch(RecordBatch.from_pylist(cells, schema=declared))


def _cell(value: Any, kind: str) -> Any:  # noqa: ANN401
    if value is None or kind == "boolean":
        return value
    text = json.dumps(value, ensure_ascii=False) if kind == "json" else str(value)
    # Parquet cannot hold half of a surrogate pair.
    return text.encode("utf-8", "backslashreplace").decode()
