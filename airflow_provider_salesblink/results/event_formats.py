"""The formats of event files: JSON lines and Parquet. Both hold a row as the same JSON."""

from __future__ import annotations

import json
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.results.events import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.choices import FileFormat

Line = bytes
"""A row as a line of JSON, with its end."""

_ROWS_AT_ONCE = 500
_BATCHES_PER_GROUP = 20
_BUFFER = 64 * 1024
"""Bytes of each column in memory at once. Without it, all bytes of a column in a row group are."""


class JsonLines:
    """One JSON object per line."""

    suffix = ".jsonl"

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the lines of a file."""
        for line in iter(file.readline, b""):
            if line.strip():
                yield line if line.endswith(b"\n") else line + b"\n"

    def write(self, file: IO[bytes], lines: Iterable[Line]) -> None:
        """Write lines to an open file."""
        for line in lines:
            file.write(line)


class Parquet:
    """Columns of text, in row groups of 10,000; ``extra`` is JSON text.

    :raises InvalidInputError: pyarrow is not installed.
    """

    suffix = ".parquet"

    def __init__(self) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise InvalidInputError(
                "Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]' on every worker."
            ) from None

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the rows of a file as lines."""
        from pyarrow.parquet import ParquetFile

        for batch in ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False).iter_batches(batch_size=_ROWS_AT_ONCE):
            for record in batch.to_pylist():
                yield json_line({**record, "extra": json.loads(record["extra"])}).encode()

    def write(self, file: IO[bytes], lines: Iterable[Line]) -> None:
        """Write lines to an open file."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
        rest = iter(lines)
        # Rows as Python objects take much more memory than as columns.
        batches = iter(lambda: [_as_texts(line) for line in islice(rest, _ROWS_AT_ONCE)], [])
        columns = (pyarrow.RecordBatch.from_pylist(batch, schema) for batch in batches)
        with ParquetWriter(file, schema, compression="zstd") as writer:
            while group := list(islice(columns, _BATCHES_PER_GROUP)):
                writer.write_table(pyarrow.Table.from_batches(group))


def _as_texts(line: Line) -> dict[str, Any]:
    row = json.loads(line)
    return {**row, "extra": json_line(row["extra"]).rstrip("\n")}


FORMATS: dict[FileFormat, type[JsonLines | Parquet]] = {"jsonl": JsonLines, "parquet": Parquet}
