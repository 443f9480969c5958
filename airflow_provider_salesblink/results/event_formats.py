"""The formats of event files: JSON lines and Parquet. Both hold a row as the same JSON."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.results.events import COLUMNS
from airflow_provider_salesblink.results.row_files import ROWS_AT_ONCE, check_installed, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.choices import FileFormat

Line = bytes
"""A row as a line of JSON, with its end."""

_TYPES = {**dict.fromkeys(COLUMNS, "text"), "extra": "json"}
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
    """Columns of text; ``extra`` is JSON text.

    :raises InvalidInputError: pyarrow is not installed.
    """

    suffix = ".parquet"

    def __init__(self) -> None:
        check_installed("parquet")

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the rows of a file as lines."""
        from pyarrow.parquet import ParquetFile

        for batch in ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False).iter_batches(batch_size=ROWS_AT_ONCE):
            for record in batch.to_pylist():
                yield json_line({**record, "extra": json.loads(record["extra"])}).encode()

    def write(self, file: IO[bytes], lines: Iterable[Line]) -> None:
        """Write lines to an open file."""
        write_rows(file, map(json.loads, lines), _TYPES, "parquet")


FORMATS: dict[FileFormat, type[JsonLines | Parquet]] = {"jsonl": JsonLines, "parquet": Parquet}
