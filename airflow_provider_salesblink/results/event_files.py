"""Read what extracted event files hold, and files of outcomes."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, date, datetime, time, timedelta
from typing import IO, TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.choices import FeedName
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.cursor import Cursor, CursorFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.results.folder import Folder
    from airflow_provider_salesblink.results.windows import Window

    Row = dict[str, Any]

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
BOOKKEEPING = ("_", ".")
"""How the names of files begin that hold no events."""
EVENT_COLUMNS = (
    "id", "feed", "time", "sequence_id", "sequence_name", "lead_id", "person", "email", "message", "sender"
)  # fmt: skip
"""What a report reads of an event."""
OUTCOME_COLUMNS = ("person", "outcome", "prospect_id", "time")
"""What a report reads of an outcome."""

_BATCH = 5_000


def is_data_file(name: str) -> bool:
    """Return whether a file holds rows, by its name."""
    return name.endswith(SUFFIXES) and not name.startswith(BOOKKEEPING)


def may_overlap(name: str, window: Window) -> bool:
    """Return whether a file of events, whose name is a UTC day, may have some in a window."""
    try:
        start = datetime.combine(date.fromisoformat(name.partition(".")[0]), time(), UTC)
    except ValueError:
        return True
    return start < window.until and (window.since is None or window.since < start + timedelta(days=1))


def extracted_until(folder: Folder, campaign_id: str | None) -> datetime | None:
    """Return until when all feeds have been extracted, from the cursors in their folder; None if they do not say.

    :param campaign_id: the campaign whose events are wanted; None for all.
    """
    cursors = [Cursor(CursorFiles(folder, each)) for each in dict.fromkeys((campaign_id, None))]
    try:
        found = [[cursor.position(feed) for cursor in cursors] for feed in get_args(FeedName)]
    except InvalidInputError:
        return None
    times = [max((each.until for each in positions if each), default=None) for positions in found]
    known = [each for each in times if each is not None]
    return min(known) if len(known) == len(times) else None


def read_rows(file: IO[bytes], name: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of an open file, in batches if it is Parquet.

    :param name: the file's name, which says how it is written.
    :param columns: the columns that each row must have. Others need not be there, and are not read from Parquet.
    :raises InvalidInputError: the file is damaged, or a row lacks one of these columns. The error does not show a row.
    """
    try:
        if name.endswith(".parquet"):
            yield from _of_parquet(file, columns)
        else:
            yield from _of_lines(gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file, columns)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise InvalidInputError("It is damaged or cut off: its gzip data does not end well.") from None


def _of_lines(lines: IO[bytes] | gzip.GzipFile, columns: tuple[str, ...]) -> Iterator[Row]:
    # On Airflow 2, a file of a storage cannot be iterated over.
    for number, line in enumerate(iter(lines.readline, b""), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            raise InvalidInputError(f"Its line {number} is not JSON, so it may be damaged or cut off.") from None
        missing = [each for each in columns if not isinstance(row, dict) or each not in row]
        if missing:
            raise InvalidInputError(f"Its line {number} lacks the columns {', '.join(missing)}.")
        yield row


def _of_parquet(file: IO[bytes], columns: tuple[str, ...]) -> Iterator[Row]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InvalidInputError(
            "Parquet files need pyarrow: pip install 'airflow-provider-salesblink[parquet]' on every worker."
        ) from None
    try:
        table = ParquetFile(file, pre_buffer=False)
    except ValueError as error:
        raise InvalidInputError(f"It is not Parquet, or damaged or cut off ({type(error).__name__}).") from None
    if missing := [each for each in columns if each not in table.schema_arrow.names]:
        raise InvalidInputError(f"It lacks the columns {', '.join(missing)}.")
    for batch in table.iter_batches(batch_size=_BATCH, columns=list(columns), use_threads=False):
        yield from batch.to_pylist()
