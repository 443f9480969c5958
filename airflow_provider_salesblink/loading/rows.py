"""Where people come from: any iterator of mappings, an open CSV or JSONL file. Read as a stream, row by row.

What concerns one row makes that row a :class:`Reject`; what concerns the whole file is an error, raised before anything
is sent, since the plan is made of all rows first.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

from airflow_provider_salesblink.client.addresses import redacted
from airflow_provider_salesblink.client.columns import EMAIL, documented
from airflow_provider_salesblink.client.errors import InvalidInputError

log = logging.getLogger(__name__)

LONGEST_CELL = 32_768
"""Characters. What is longer is a mistake of the source (a quote that never closes), not a person's company."""

LONGEST_NUMBER = 10**1000
"""Python refuses to write out much longer ones."""

_HALF_PAIR = re.compile(r"[\ud800-\udfff]")

_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One person as the source has them.

    :param number: where in the source, as people count: a CSV's header is row 1.
    :param columns: SalesBlink's column names and their texts.
    """

    number: int
    columns: dict[str, str]
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be loaded.

    :param reason: what is wrong, and what to do about it; without any value of the row.
    :param columns: the row as far as it could be read; goes into the rejects' file and nowhere else.
    """

    number: int
    reason: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    blocks_person: bool = False


Source = Iterator[Row | Reject]


class ColumnNames:
    """How a source's columns are called in SalesBlink.

    :param given: source name -> SalesBlink name; only these columns are loaded. None: all, the documented ones spelled
        as documented.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        _check_mapping(given)
        self._given = None if given is None else {name: documented(given[name]) for name in given}
        self._unseen = set(self._given or ())
        if self._given is not None:
            nameless = [source for source, name in self._given.items() if not name.strip()]
            if nameless:
                raise InvalidInputError(f"columns maps {nameless[0]!r} onto a name without letters.")
            _check_distinct(list(self._given.items()))
            if EMAIL not in self._given.values():
                raise InvalidInputError(f"columns maps no column onto {EMAIL!r}: without an address nobody is added.")

    def of_header(self, header: list[str]) -> dict[str, str]:
        """Source name -> SalesBlink name for a file's header.

        :raises InvalidInputError: a mapped column is not there, none holds the address, or two fall on one name.
        """
        blank = [str(number) for number, name in enumerate(header, start=1) if not name.strip()]
        if blank:
            raise InvalidInputError(f"The header has no name for column {', '.join(blank)}.")
        names = {name: documented(name.strip()) for name in header} if self._given is None else self._given
        _check_distinct([(name, names[name]) for name in header if name in names])
        missing = [name for name in names if name not in header]
        if missing:
            raise InvalidInputError(f"The file has no column {missing[0]!r}; it has {_listed(header)}.")
        if EMAIL not in names.values():
            raise InvalidInputError(
                f"The file has no {EMAIL!r} column; it has {_listed(header)}. Map one with columns."
            )
        return names

    def of_row(self, number: int, values: Mapping[Any, Any]) -> Row | Reject:
        """The row that ``values``, which bring their own column names, stand for."""
        columns: dict[str, str] = {}
        for name, value in values.items():
            self._unseen.discard(str(name))
            column = self._named(name)
            if column is None or value is None:
                continue
            if column in columns:
                return Reject(number, f"Two of its columns are {column!r}: leave one out.", values)
            text = _as_text(value)
            if text is None:
                return Reject(number, f"{column!r} is a {type(value).__name__}: give a text or a number.", values)
            columns[column] = text
        return _checked(Row(number, columns))

    def tell_unseen(self) -> None:
        """Log the mapped columns that no row had, once all are read: in a single row they may be missing."""
        # Without any of them there are no rows, or each was refused for its address.
        if self._given is not None and 0 < len(self._unseen) < len(self._given):
            log.warning("No row has the mapped column %s: check columns.", redacted(_listed(sorted(self._unseen))))

    def _named(self, name: object) -> str | None:
        if self._given is not None:
            return self._given.get(str(name))
        return documented(str(name).strip())


def from_mappings(items: Iterable[object], names: ColumnNames) -> Source:
    """Rows of a list, a generator, a cursor: one mapping of columns to values each, counted from 1.

    :raises InvalidInputError: nothing that has rows.
    """
    if isinstance(items, Mapping | str) or not isinstance(items, Iterable):
        raise InvalidInputError(f"rows is a {type(items).__name__}, not a list of mappings of columns to values.")
    for number, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield names.of_row(number, item)
        else:
            yield Reject(number, f"It is a {type(item).__name__}, not a mapping of columns to values.", {"row": item})
    names.tell_unseen()


def from_jsonl(file: IO[bytes], names: ColumnNames) -> Source:
    """Rows of an open file with one JSON object a line. Blank lines are no rows."""
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            yield Reject(number, "It is no JSON: mend the line.", {"line": line[:LONGEST_CELL].rstrip("\n")})
            continue
        if isinstance(item, dict):
            yield names.of_row(number, item)
        else:
            yield Reject(number, f"It is a JSON {type(item).__name__}, not an object.", {"line": line[:LONGEST_CELL]})
    names.tell_unseen()


def from_csv(file: IO[bytes], names: ColumnNames) -> Source:
    """Rows of an open CSV file with a header, delimited by what the header has most of: ``,``, ``;`` or tab.

    :raises InvalidInputError: no header, one that :meth:`ColumnNames.of_header` refuses, or broken quotes.
    """
    lines = _lines(file)
    first = next(lines, "")
    if not first.strip():
        raise InvalidInputError("The file is empty: it needs at least a header.")
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(_again(first, lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        header = next(reader)
        columns = names.of_header(header)
        for number, cells in enumerate(reader, start=2):
            if cells:
                yield _csv_row(number, header, cells, columns)
    except csv.Error as error:
        raise InvalidInputError(
            f"The file cannot be read as CSV after row {number} ({error}): check for a quote that is not closed."
        ) from None


def _csv_row(number: int, header: list[str], cells: list[str], columns: Mapping[str, str]) -> Row | Reject:
    values = dict(zip(header, cells, strict=False))
    if len(cells) > len(header):
        reason = f"It has {len(cells)} cells, the header {len(header)}: a cell with a delimiter needs quotes."
        return Reject(number, reason, {**values, "beyond the header": cells[len(header) :]})
    if len(cells) < len(header):
        return Reject(number, f"It has only {len(cells)} of {len(header)} cells.", values)
    return _checked(Row(number, {columns[name]: values[name] for name in header if name in columns}))


def _checked(row: Row) -> Row | Reject:
    for name, text in row.columns.items():
        if len(text) > LONGEST_CELL:
            cut = {**row.columns, name: text[:200]}
            return Reject(row.number, f"{name!r} has {len(text):,} characters, more than {LONGEST_CELL:,}.", cut)
        if "\x00" in text:
            return Reject(row.number, f"{name!r} holds a NUL character: clean the source.", row.columns)
        if _HALF_PAIR.search(name + text):
            reason = f"{name!a} holds half a surrogate pair, which is no text: clean the source."
            return Reject(row.number, reason, row.columns)
    if not row.columns.get(EMAIL, "").strip():
        return Reject(row.number, f"It has no {EMAIL!r}.", row.columns)
    return row


def _as_text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() if abs(value) < LONGEST_NUMBER:
            return str(value)
        case Decimal() if value.is_finite():
            return str(value)
        case UUID():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime() | date() | time():
            return value.isoformat()
    return None


def _lines(file: IO[bytes]) -> Iterator[str]:
    start = file.read(4)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")
    text = io.TextIOWrapper(io.BufferedReader(_Unread(start, file)), encoding=encoding, newline="")
    read = 0
    try:
        for line in text:
            read += 1
            yield line
    except UnicodeDecodeError as error:
        # The lines of the piece that was decoded last are not among those read.
        before = error.object[: error.start].decode(encoding, "ignore")
        number = read + len(_LINE_END.findall(before)) + 1
        raise InvalidInputError(
            f"Line {number} of the file is not {encoding.upper().removesuffix('-SIG')}: save the file as UTF-8."
        ) from None


class _Unread(io.RawIOBase):
    """A stream with its first bytes put back."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        found = self._start[: len(buffer)] or self._rest.read(len(buffer))
        self._start = self._start[len(found) :] if self._start else b""
        buffer[: len(found)] = found
        return len(found)


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _check_mapping(given: object) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
        raise InvalidInputError("columns is no mapping of the source's column names to SalesBlink's.")


def _check_distinct(names: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for source, name in names:
        if name in seen:
            raise InvalidInputError(f"The columns {seen[name]!r} and {source!r} are both {name!r}: leave one out.")
        seen[name] = source


def _listed(header: list[str]) -> str:
    return ", ".join(repr(name[:40]) for name in header[:20])
