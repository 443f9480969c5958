"""The rows of a source: those that can be loaded, and those that are rejected with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_salesblink.client import cell_values
from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.loading.redacted_names import shown_name

LONGEST_CELL = 32_768
"""Characters. A longer cell is a mistake in the source, such as a quote that never closes."""

MAY_HAVE_OPTED_OUT = "may_have_opted_out"
"""The key of a rejects file's line whose row may say that the person opted out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One person of the source.

    :param number: the row's number as a spreadsheet counts: a CSV file's header is usually row 1.
    :param columns: SalesBlink's column names and their texts.
    :param opted_out: whether the source says that the person opted out.
    """

    number: int
    columns: dict[str, str]
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be loaded.

    :param reason: what is wrong and what to do about it, without any value of the row.
    :param columns: the row as far as it could be read. It goes into the rejects file and nowhere else. The address, if
        the row has one, is under ``Email``.
    :param blocks_person: whether another row of the same person must not be loaded either, because this one may be
        an opt-out.
    """

    number: int
    reason: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    blocks_person: bool = False


Source = Iterator[Row | Reject]


def checked(row: Row) -> Row | Reject:
    """Return the row, or a reject if its texts cannot be loaded."""
    for name, text in row.columns.items():
        if len(text) > LONGEST_CELL:
            cut = {**row.columns, name: text[:200]}
            reason = f"{shown_name(name)} has {len(text):,} characters, more than {LONGEST_CELL:,}."
            return Reject(row.number, reason, cut, row.opted_out)
        if "\x00" in text:
            return Reject(
                row.number, f"{shown_name(name)} holds a NUL character: clean the source.", row.columns, row.opted_out
            )
        if cell_values.HALF_PAIR.search(name + text):
            reason = f"{redacted(ascii(name[:40]))} holds half a surrogate pair, which is not text: clean the source."
            return Reject(row.number, reason, row.columns, row.opted_out)
    if not row.columns.get(EMAIL):
        return Reject(row.number, f"It has no {EMAIL!r}.", row.columns)
    return row
