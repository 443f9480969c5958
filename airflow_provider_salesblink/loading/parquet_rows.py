"""Rows of Parquet files, read in batches."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.file_formats import GZIP, SAMPLE, foreign_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.loading.column_names import ColumnNames
    from airflow_provider_salesblink.loading.row_types import Source

BATCH = 1_000
"""Rows in memory at once."""
_BUFFER = 1024 * 1024
"""Bytes of each column in memory at once. Without it, all bytes of a column in a row group are."""
_PARQUET, _ENCRYPTED = b"PAR1", b"PARE"


def from_parquet(file: IO[bytes], names: ColumnNames) -> Source:
    """Return the rows of an open Parquet file, counted from 1. Columns that are not loaded are not read.

    :raises InvalidInputError: when pyarrow is not installed, the file is not Parquet, is damaged or encrypted, or has
        columns that :meth:`ColumnNames.of_table` refuses.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InvalidInputError(
            "Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]' on every worker."
        ) from None
    _check_begin(file)
    try:
        table = ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False, coerce_int96_timestamp_unit="us")
    except (ValueError, OSError) as error:
        raise _problem(error, 0) from None
    header = list(table.schema_arrow.names)
    columns = names.of_table(header, "Parquet file")
    read = [name for name, column in zip(header, columns, strict=True) if not column.is_left_out]
    for number, record in enumerate(_records(table, read), start=1):
        row = names.of_record(number, record)
        if row is not None:
            yield row
    names.conclude(has_header=True)


def _check_begin(file: IO[bytes]) -> None:
    sample = file.read(SAMPLE)
    file.seek(0)
    if sample.startswith(_ENCRYPTED):
        raise InvalidInputError("The Parquet file is encrypted: write it without encryption.")
    if sample.startswith(GZIP):
        raise InvalidInputError("The file is packed with gzip: unpack it. Parquet files are compressed inside.")
    if not sample:
        raise InvalidInputError("The Parquet file is empty, with 0 bytes: write or upload it again.")
    if not sample.startswith(_PARQUET):
        kind = foreign_kind(sample) or "not Parquet, whatever its name says: name it after its format"
        raise InvalidInputError(f"The file is {kind}.")


def _records(table: Any, columns: list[str]) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    done = 0
    batches = table.iter_batches(batch_size=BATCH, columns=columns, use_threads=False)
    try:
        for batch in batches:
            yield from _whole_microseconds(batch).to_pylist()
            done += batch.num_rows
    except (ValueError, OSError) as error:
        raise _problem(error, done) from None


def _whole_microseconds(batch: Any) -> Any:  # noqa: ANN401
    """Return a batch whose times have no nanoseconds: Python's have none."""
    from pyarrow import schema

    wanted = schema([field.with_type(_coarser(field.type)) for field in batch.schema])
    return batch if wanted.equals(batch.schema) else batch.cast(wanted, safe=False)


def _coarser(kind: Any) -> Any:  # noqa: ANN401
    from pyarrow import time64, timestamp, types

    if types.is_timestamp(kind) and kind.unit == "ns":
        return timestamp("us", kind.tz)
    return time64("us") if types.is_time64(kind) else kind


def _problem(error: Exception, done: int) -> Exception:
    """Return the error to raise for one that came while pyarrow read the file."""
    if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
        # The storage's own error: a retry may help. Those of pyarrow have no number.
        return error
    if "decrypt" in str(error):
        return InvalidInputError("The Parquet file is encrypted: write it without encryption.")
    place = f" after row {done:,}" if done else ""
    return InvalidInputError(
        f"The Parquet file is damaged or cut off{place} ({type(error).__name__}): write or upload it again."
    )
