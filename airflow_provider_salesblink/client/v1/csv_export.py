"""Read the rows of a CSV export."""

from __future__ import annotations

import csv
import io
import logging
from typing import IO, TYPE_CHECKING

from airflow_provider_salesblink.client.errors import UnreadableResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.client.requestor import Answer

log = logging.getLogger(__name__)

MOST_ROWS = 50_000
"""The most rows that SalesBlink exports. It leaves out the others without a word."""


def each_row(read: Callable[[], Answer]) -> Iterator[dict[str, str]]:
    """Yield the rows of an export, column name -> value. Reads it when the first row is needed, and row by row.

    Logs a warning if the export has as many rows as SalesBlink exports at most.

    :param read: sends the request; the answer's body is an open file.
    :raises UnreadableResponseError: it is not CSV, or a row does not fit the heading.
    """
    count = 0
    for row in read().each(_rows):
        count += 1
        yield row
    if count >= MOST_ROWS:
        log.warning("The export has %d rows, the most that SalesBlink exports: leads may be missing.", count)


def _rows(file: IO[bytes]) -> Iterator[dict[str, str]]:
    lines = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    try:
        heading = next(lines, [])
        if len(set(heading)) < len(heading):
            raise UnreadableResponseError("The export has two columns with the same name.")
        for cells in filter(None, lines):
            if len(cells) != len(heading):
                raise UnreadableResponseError(
                    f"Line {lines.line_num} of the export has {len(cells)} cells, and the heading {len(heading)}. "
                    "The answer may be incomplete: try again."
                )
            yield dict(zip(heading, cells, strict=True))
    except (csv.Error, UnicodeDecodeError):
        raise UnreadableResponseError(f"The export is not CSV (near line {lines.line_num}): try again.") from None
