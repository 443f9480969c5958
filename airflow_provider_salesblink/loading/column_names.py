"""How a source's columns become those of SalesBlink, and its records become rows."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from functools import cached_property
from typing import Any
from uuid import UUID

from airflow_provider_salesblink.client import cell_values
from airflow_provider_salesblink.client.cell_values import trimmed
from airflow_provider_salesblink.client.columns import EMAIL, documented
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.loading.opt_out_columns import OptOutColumns, judged
from airflow_provider_salesblink.loading.redacted_names import is_usual, listed, looks_like_data, shown_name
from airflow_provider_salesblink.loading.row_types import LONGEST_CELL, Reject, Row, Source, checked

log = logging.getLogger(__name__)

# What pandas calls a column without a name when it reads a CSV file, and when it writes a Parquet file.
_NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)?|__index_level_\d+__)?")
_MOST_COLUMNS = 10_000

_DATA_AS_NAMES = {
    "file": (
        "The first line of the file looks like data, not like a header, so none of it is shown. "
        "Put a line with the names of the columns on top"
    ),
    "query": "A column of the query has data as its name, so none is shown. Give each column a name with AS",
    "Parquet file": (
        "A column of the Parquet file has data as its name, so none is shown. Write it with names of columns"
    ),
}
"""What is wrong where the names of a source's columns look like data, and what to do."""

MORE_CELLS = "It has more cells than the header: a cell with a delimiter needs quotes."


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the source.

    :param name: the source's name, trimmed.
    :param target: SalesBlink's name; None for a column that is not loaded.
    :param is_left_out: whether its cells are ignored.
    :param is_watched: whether its cells are checked for words that make it look like a forgotten opt-out column.
    """

    name: str
    target: str | None = None
    is_opt_out: bool = False
    is_nameless: bool = False
    is_watched: bool = False
    is_left_out: bool = False


@dataclass
class _Record:
    """What a mapping holds, as far as it was read."""

    is_empty: bool
    texts: dict[str, str] = field(default_factory=dict)
    opt_outs: list[tuple[str, str | None]] = field(default_factory=list)
    problem: str = ""
    is_shifted: bool = False

    def take(self, column: Column, value: object) -> str | None:
        """Add the value of a column; return its text."""
        text, target = as_text(value), column.target
        self.is_empty = self.is_empty and text == ""
        if column.is_opt_out:
            self.opt_outs.append((column.name, text))
        elif target in self.texts:
            self.problem = self.problem or f"Two of its columns are {shown_name(str(target))}: leave one out."
        elif target is not None and text is None:
            self.problem = self.problem or f"{shown_name(target)} is a {type(value).__name__}: give a text or a number."
        elif target is not None and text is not None:
            self.texts[target] = text
        return text


class ColumnNames:
    """Maps a source's columns to those of SalesBlink.

    :param given: source name -> SalesBlink name; only these columns are loaded. None: all, the documented ones spelled
        as documented.
    :param opt_out_columns: the source's columns that say who opted out. They are read, and not sent. An empty list
        says that no column does: then none is named in the log for looking like one.
    """

    def __init__(self, given: Mapping[str, str] | None = None, opt_out_columns: Iterable[str] | None = ()) -> None:
        self._given = _checked_mapping(given)
        self.opt_outs = OptOutColumns(opt_out_columns or (), is_watching=opt_out_columns != [])
        self._columns: dict[str, Column] = {}
        self._unseen = set(self._given or ())
        self._has_rows = False
        self._has_sound_names = True
        self.has_nameless_values = False

    @cached_property
    def of_rejects(self) -> ColumnNames:
        """Return the names of the same columns in a rejects file, where they have SalesBlink's names already."""
        given = None if self._given is None else {name: name for name in self._given.values()}
        return ColumnNames(given, self.opt_outs.named)

    def of_header(self, header: list[str]) -> list[Column]:
        """Return the columns of a file's header.

        :raises InvalidInputError: when a named column is missing, none holds the address, or two map to one name.
        """
        columns = [self.column(name) for name in header]
        self._check_columns(columns, "file")
        return columns

    def of_table(self, header: list[str], what: str) -> list[Column]:
        """Return the columns of a source that names each of them once: the result of a query, or a Parquet file.

        :param what: what the source is, for errors, such as "query".
        :raises InvalidInputError: as :meth:`of_header`, and when two columns have the same name.
        """
        twice = [name for name, times in Counter(map(trimmed, header)).items() if name and times > 1]
        if twice:
            raise InvalidInputError(
                f"Two columns of the {what} are called {shown_name(twice[0])}: rename one, or leave it out."
            )
        columns = [self.column(name) for name in header]
        self._check_columns(columns, what)
        return columns

    def _check_columns(self, columns: list[Column], what: str) -> None:
        loaded = [column for column in columns if column.target is not None]
        missing = [*sorted(self._unseen), *self.opt_outs.unseen()]
        has_address = any(column.target == EMAIL for column in loaded)
        if missing or not has_address:
            names = [column.name for column in columns]
            if not has_address and any(map(looks_like_data, names)):
                raise InvalidInputError(f"{_DATA_AS_NAMES[what]}, {EMAIL!r} among them.")
            # Without a name for each column, and without an address, it may be anything.
            is_shown = has_address or (all(names) and any(map(is_usual, names)))
            shown = f"; it has {listed(names)}" if is_shown else ""
            hint = _one_column(names) if what == "file" else ""
            if missing:
                raise InvalidInputError(f"The {what} has no column {redacted(missing[0])!r}{shown}.{hint}")
            raise InvalidInputError(f"The {what} has no {EMAIL!r} column{shown}. Map one with columns.{hint}")
        _check_distinct([(column.name, str(column.target)) for column in loaded])

    def could_be_header(self, cells: list[str]) -> bool:
        """Return whether one of a line's cells is the column of the address."""
        names = map(trimmed, cells)
        if self._given is not None:
            return any(self._given.get(name) == EMAIL for name in names)
        return any(documented(name) == EMAIL for name in names)

    def of_row(self, number: int, row: Mapping[Any, Any]) -> Row | Reject:
        """Return the row of a mapping with the source's column names."""
        return self.of_record(number, row) or Reject(number, f"It has no {EMAIL!r}.", row)

    def of_record(self, number: int, row: Mapping[Any, Any]) -> Row | Reject | None:
        """Return what :meth:`of_row` does; None for a row of several columns that are all empty."""
        self._has_rows = True
        texts: dict[str, str] = {}
        for name, value in row.items():
            column = self._columns.get(name) or self.column(name)
            if value is None or column.is_left_out:
                continue
            target = column.target
            is_clean = type(value) is str and value.isascii() and value.isprintable()
            text = value.strip() if is_clean else as_text(value)
            if text is None or target is None or target in texts:
                return self._of_odd_record(number, row)
            texts[target] = text
            if column.is_watched:
                self.watch(column, text)
        if texts.get(EMAIL):
            text = "".join(texts.values())
            is_sound = text.isprintable() and len(text) <= LONGEST_CELL and self._has_sound_names
            return Row(number, texts) if is_sound else checked(Row(number, texts))
        return self._of_odd_record(number, row)

    def _of_odd_record(self, number: int, row: Mapping[Any, Any]) -> Row | Reject | None:
        """Return the row of a mapping with opt-outs, problems, or columns that are not loaded."""
        record = _Record(is_empty=len(row) > 1)
        for name, value in row.items():
            column = self.column(name)
            if cell_values.is_missing(value):
                continue
            if column.is_nameless:
                self._take_nameless(record, name, value)
            else:
                text = record.take(column, value)
                if column.is_watched:
                    self.watch(column, text)
        if record.is_empty and not record.problem:
            return None
        opted_out, doubt = judged(record.opt_outs)
        if record.problem or doubt:
            is_in_doubt = opted_out or bool(doubt) or (record.is_shifted and bool(self.opt_outs))
            return Reject(number, record.problem or doubt, self._shown(row), is_in_doubt)
        return checked(Row(number, record.texts, opted_out))

    def _take_nameless(self, record: _Record, name: object, value: object) -> None:
        # csv.DictReader keeps the cells beyond the header as a list under None.
        cells = value if name is None and isinstance(value, list) else [value]
        if all(cell_values.is_missing(cell) or as_text(cell) == "" for cell in cells):
            return
        if name is None:
            record.is_shifted = True
            record.problem = record.problem or MORE_CELLS
        self.has_nameless_values = True

    def watch(self, column: Column, text: str | None) -> bool:
        """Check a cell of a watched column; return whether to check more of its cells."""
        if self.opt_outs.see(column.name, text):
            return True
        done = replace(column, is_watched=False, is_left_out=column.target is None)
        self._columns.update({given: done for given, each in self._columns.items() if each == column})
        return False

    def conclude(self, *, has_header: bool = False) -> None:
        """Log what all rows together show about their columns. Call it after the last row.

        :raises InvalidInputError: when no row had one of the opt-out columns.
        """
        if not has_header:
            self._check_seen()
        if self.has_nameless_values:
            log.warning("A column without a name is ignored, although it holds values: name it to load it.")
        self.opt_outs.warn()

    def _check_seen(self) -> None:
        if self._has_rows:
            check_seen(self.opt_outs)
        # Without any of them there are no rows, or each was refused for its address.
        if self._given is not None and 0 < len(self._unseen) < len(self._given):
            log.warning("No row has the mapped column %s: check columns.", redacted(listed(sorted(self._unseen))))

    def column(self, given: object) -> Column:
        """Return the column with a name of the source."""
        return (self._columns.get(given) if isinstance(given, str) else None) or self._new_column(given)

    def _new_column(self, given: object) -> Column:
        name = "" if given is None else trimmed(str(given))
        self._unseen.discard(name)
        target = self._given.get(name) if self._given is not None else documented(name)
        if self.opt_outs.has(name):
            if target == EMAIL:
                raise InvalidInputError(f"opt_out_columns names the column of the address, {redacted(name)!r}.")
            column = Column(name, is_opt_out=True)
        elif _NAMELESS.fullmatch(name) and (self._given is None or name not in self._given):
            column = Column("", is_nameless=True)
        else:
            is_watched = target != EMAIL and self.opt_outs.is_state(name)
            column = Column(name, target, is_watched=is_watched, is_left_out=target is None and not is_watched)
        self._has_sound_names = self._has_sound_names and name.isprintable()
        if isinstance(given, str) and len(self._columns) < _MOST_COLUMNS:
            self._columns[given] = column
        return column

    def _shown(self, row: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return a refused row for the rejects file, with the address under its usual name."""
        shown: dict[Any, Any] = {}
        for name, value in row.items():
            target = self.column(name).target
            shown[name if target is None or target in shown else target] = value
        return shown


def with_opt_outs(source: Iterable[Row | Reject], named: Iterable[str]) -> Source:
    """Return rows whose opt-out columns are read and taken out.

    :param named: the columns, by their names in the rows.
    :raises InvalidInputError: when no row has one of them.
    """
    columns = OptOutColumns(named)
    if not columns:
        yield from source
        return
    has_rows = False
    for row in source:
        has_rows = True
        if isinstance(row, Reject):
            yield replace(row, blocks_person=True)
            continue
        cells = {name: text for name, text in row.columns.items() if columns.has(name)}
        opted_out, doubt = judged(cells.items())
        rest = {name: text for name, text in row.columns.items() if name not in cells}
        if doubt:
            yield Reject(row.number, doubt, row.columns, blocks_person=True)
        else:
            yield replace(row, columns=rest, opted_out=row.opted_out or opted_out)
    if has_rows:
        check_seen(columns)


def check_seen(columns: OptOutColumns) -> None:
    """Check that no opt-out column is missing in all rows.

    :raises InvalidInputError: when one is.
    """
    if unseen := columns.unseen():
        raise InvalidInputError(
            f"No row has the opt-out column {redacted(unseen[0])!r}: check opt_out_columns; nothing was sent."
        )


def as_text(value: object) -> str | None:
    """Return a cell's text, trimmed; None for anything that is not a single value."""
    if isinstance(value, str):
        return trimmed(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else cell_values.as_text(value)


def _checked_mapping(given: object) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
        raise InvalidInputError("columns is not a mapping of the source's column names to SalesBlink's.")
    names = [(trimmed(str(source)), documented(trimmed(name))) for source, name in given.items()]
    for source, name in names:
        if not name:
            raise InvalidInputError(f"columns maps {source!r} to a name without letters.")
    _check_distinct(names)
    if EMAIL not in dict(names).values():
        raise InvalidInputError(f"columns maps no column to {EMAIL!r}: without an address nobody is added.")
    return dict(names)


def _one_column(names: list[str]) -> str:
    """Return a hint where the whole header was read as one name: the delimiter may be another one."""
    if len(names) == 1 and any(sign in names[0] for sign in ",;|\t"):
        return ' It was read as one column: pass csv_options={"delimiter": ...} with the sign between the columns.'
    return ""


def _check_distinct(names: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for source, name in names:
        if name in seen:
            pair = f"{shown_name(seen[name])} and {shown_name(source)} are both {shown_name(name)}"
            raise InvalidInputError(f"The columns {pair}: leave one out.")
        seen[name] = source
