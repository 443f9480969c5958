"""Rows of CSV files, as spreadsheets, databases and CRMs write them."""

from __future__ import annotations

import csv
import re
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.cell_values import BLANKS, trimmed
from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.csv_options import DELIMITERS, CsvOptions, announced_delimiter, outside_quotes
from airflow_provider_salesblink.loading.opt_out_columns import judged
from airflow_provider_salesblink.loading.row_types import LONGEST_CELL, Reject, Row, checked
from airflow_provider_salesblink.loading.text_files import LONGEST_LINE, TextFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.loading.column_names import ColumnNames
    from airflow_provider_salesblink.loading.row_types import Source

_LINES_OF_HEADER = 100
_SWALLOWS = (
    "A cell holds what looks like the next row: check for a quote that opens in one row and closes in another. If the "
    'quotes are ordinary text, pass csv_options={"quotechar": None}.'
)
_JSON = re.compile(r'\s*(\{\s*("|$)|\[\s*([{\["]|$))')
_NO_CELLS = re.compile(rf"[{re.escape(BLANKS + DELIMITERS)}\"]*")
_CP1252 = ', or name its encoding, such as csv_options={"encoding": "cp1252"}'


def from_csv(file: IO[bytes], names: ColumnNames, options: Mapping[str, Any] | None = None) -> Source:
    """Return the rows of an open CSV file with a header.

    :param options: ``delimiter``, ``quotechar``, ``escapechar``, ``encoding``, ``skip_rows``, each only where the file
        does not show it.
    :raises InvalidInputError: when the file is not text, has no header or one that :meth:`ColumnNames.of_header`
        refuses, or has broken quotes.
    """
    given = CsvOptions.of(options)
    text = _CsvText(TextFile(file, given.encoding, _CP1252), given, names)
    # A longer cell is an error instead of a process that runs out of memory.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    reader = csv.reader(
        text.lines(),
        delimiter=text.delimiter,
        quotechar=given.quotechar,
        escapechar=given.escapechar,
        quoting=csv.QUOTE_MINIMAL if given.quotechar else csv.QUOTE_NONE,
        skipinitialspace=text.delimiter != " ",
        strict=True,
    )
    number = header_at = text.skipped + 1
    record_began = 0
    try:
        table = _Table(names, next(reader), text.delimiter)
        record_began = reader.line_num
        for number, cells in enumerate(reader, start=header_at + 1):
            record_began = reader.line_num
            row = table.row(number, cells)
            if row is not None:
                yield row
    except csv.Error as error:
        raise text.problem(number, record_began, error) from None
    names.conclude(has_header=True)


class _CsvText:
    """The text of a CSV file from its header on."""

    def __init__(self, file: TextFile, options: CsvOptions, names: ColumnNames) -> None:
        self._options = options
        self._file = iter(file)
        self.skipped = 0
        self._backslash_at = 0
        announced = self._skip()
        self._header = self._read_header()
        self.delimiter = options.delimiter or announced or self._found_delimiter(names)

    def lines(self) -> Iterator[str]:
        """Read the lines from the header on, with no blanks between a quoted cell and its delimiters."""
        quote = self._options.quotechar
        if not quote or self._options.escapechar:
            yield from chain(self._header, self._file)
            return
        tidier = _Tidier(self.delimiter, quote)
        escaped = "\\" + quote
        for number, line in enumerate(chain(self._header, self._file), start=1):
            if quote in line:
                if escaped in line:
                    self._backslash_at = number
                yield tidier.tidied(line)
            else:
                yield line

    def problem(self, number: int, record_began: int, error: csv.Error) -> InvalidInputError:
        """Return why the file cannot be read any further, after row ``number``."""
        what = f"The file cannot be read as CSV after row {number} ({error})"
        if self._backslash_at > record_began:
            return InvalidInputError(
                f"{what}: its quotes are escaped with a backslash. "
                'Pass csv_options={"escapechar": "\\\\"}, or double the quotes.'
            )
        if "expected after" in str(error):
            return InvalidInputError(
                f"Row {number + 1} of the file has text behind a closing quote: double the quotes inside of the cell, "
                'or pass csv_options={"quotechar": None} for a file whose quotes are ordinary text.'
            )
        return InvalidInputError(f"{what}: check for a quote that is not closed.")

    def _skip(self) -> str | None:
        """Skip the lines above the header; return the delimiter if one of them names it."""
        self.skipped = sum(1 for _ in islice(self._file, self._options.skip_rows))
        announced = None
        for line in self._file:
            sep = announced_delimiter(line) if announced is None else None
            if sep is None and not _NO_CELLS.fullmatch(line):
                self._first = line.lstrip("\ufeff")
                return announced
            announced = announced or sep
            self.skipped += 1
        raise InvalidInputError("The file is empty: it needs at least a header.")

    def _read_header(self) -> list[str]:
        if _JSON.match(self._first):
            raise InvalidInputError("The file is JSON, not CSV: give it a name that ends in .json or .jsonl.")
        lines = [self._first]
        while outside_quotes("".join(lines), self._options.quotechar)[1] and len(lines) < _LINES_OF_HEADER:
            more = next(self._file, None)
            if more is None:
                break
            lines.append(more)
        return lines

    def _found_delimiter(self, names: ColumnNames) -> str:
        """Return the delimiter that occurs most in the header, preferring one that yields a column of addresses."""
        outside, is_open = outside_quotes("".join(self._header), self._options.quotechar)
        counted = self._first if is_open else outside
        candidates = sorted(DELIMITERS, key=counted.count, reverse=True)
        for delimiter in candidates:
            if delimiter in counted and names.could_be_header([cell.strip('"') for cell in counted.split(delimiter)]):
                return delimiter
        return candidates[0]


class _Tidier:
    """Removes the blanks between a quoted cell and the delimiters around it, which csv.reader reads as text.

    csv.reader itself skips spaces before a quote.
    """

    def __init__(self, delimiter: str, quote: str) -> None:
        blank = f"[{re.escape(BLANKS.replace(delimiter, '').replace(chr(10), '').replace(chr(13), ''))}]"
        end, quoted = f"(?=[{re.escape(delimiter)}\r\n]|$)", re.escape(quote)
        self._delimiter, self._quote = delimiter, quote
        self._is_inside = False
        self._stray = re.compile(rf"{quoted}{blank}+{end}|(?:^|{re.escape(delimiter)}){blank}+(?<! ){quoted}")
        # Almost no line has one of these, and looking for them costs little.
        pairs = (f"{quote} ", f"{quote}\t", f"\t{quote}")
        self._hints = [pair for pair in pairs if delimiter not in pair]
        self._closing = re.compile(rf"((?:[^{quoted}]|{quoted}{quoted})*{quoted}){blank}*{end}")
        self._opening = re.compile(rf"{blank}*{quoted}")

    def tidied(self, line: str) -> str:
        """Return the next line of the file, tidied."""
        was_inside = self._is_inside
        if line.count(self._quote) % 2:
            self._is_inside = not was_inside
        is_rare = not line.isascii() or any(hint in line for hint in self._hints)
        return self._rewritten(line, is_inside=was_inside) if is_rare and self._stray.search(line) else line

    def _rewritten(self, line: str, *, is_inside: bool) -> str:
        tidy, at = [], 0
        while at < len(line):
            if not is_inside and (opening := self._opening.match(line, at)):
                tidy.append(self._quote)
                at, is_inside = opening.end(), True
            if is_inside:
                closing = self._closing.match(line, at)
                if not closing:
                    break
                tidy.append(closing[1])
                at, is_inside = closing.end(), False
            end = line.find(self._delimiter, at) + 1 or len(line)
            tidy.append(line[at:end])
            at = end
        return "".join(tidy) + line[at:]


class _Table:
    """The columns of a file, by position."""

    def __init__(self, names: ColumnNames, header: list[str], delimiter: str) -> None:
        columns = names.of_header(header)
        self._delimiter = delimiter
        self._names = names
        self._header = [column.name for column in columns]
        self._targets = [column.target for column in columns]
        self._loaded = [(place, column.target) for place, column in enumerate(columns) if column.target is not None]
        self._opt_outs = [(place, column.name) for place, column in enumerate(columns) if column.is_opt_out]
        self._nameless = [place for place, column in enumerate(columns) if column.is_nameless]
        self._watched = [(place, column) for place, column in enumerate(columns) if column.is_watched]
        # All columns are loaded: their places need not be looked up.
        self._plain = [target for _, target in self._loaded] if len(self._loaded) == len(columns) else None

    def row(self, number: int, cells: list[str]) -> Row | Reject | None:
        """Return the row of a record; None if all of its cells are empty."""
        text = " ".join(cells)
        # No control character, no half of a pair, no blank but spaces: there is nothing to look for in each cell.
        is_sound = text.isprintable() and len(text) <= LONGEST_CELL
        cells = list(map(str.strip if is_sound and text.isascii() else trimmed, cells))
        if not is_sound and self._swallows(cells):
            self._fitted(cells)
            return Reject(number, _SWALLOWS, self._shown(cells), blocks_person=True)
        if len(cells) != len(self._header) and (extra := self._fitted(cells)):
            return self._too_long(number, cells, extra)
        if self._nameless:
            self._drop_nameless(cells)
        opted_out = False
        if self._opt_outs:
            opted_out, doubt = judged([(name, cells[place]) for place, name in self._opt_outs])
            if doubt:
                return Reject(number, doubt, self._shown(cells), blocks_person=True)
        if self._watched:
            self._watched = [(at, column) for at, column in self._watched if self._names.watch(column, cells[at])]
        columns = (
            dict(zip(self._plain, cells, strict=True))
            if self._plain
            else {target: cells[place] for place, target in self._loaded}
        )
        if is_sound and columns[EMAIL]:
            return Row(number, columns, opted_out)
        return checked(Row(number, columns, opted_out)) if any(cells) else None

    def _swallows(self, cells: Iterable[str]) -> bool:
        """Return whether a cell contains what looks like another row: a quote may open in one and close in it."""
        delimiters = max(1, len(self._header) - 2)
        lines = (line for cell in cells if "\n" in cell or "\r" in cell for line in cell.splitlines()[1:])
        return any("@" in line and line.count(self._delimiter) >= delimiters for line in lines)

    def _fitted(self, cells: list[str]) -> list[str]:
        """Make a record as long as the header; return the cells beyond the header."""
        width = len(self._header)
        extra = cells[width:]
        del cells[width:]
        cells.extend([""] * (width - len(cells)))
        return extra if any(extra) else []

    def _too_long(self, number: int, cells: list[str], extra: list[str]) -> Reject:
        reason = (
            f"It has {len(cells) + len(extra)} cells, the header {len(cells)}: a cell with a delimiter needs quotes."
        )
        if any(cell.endswith("\\") for cell in cells):
            reason += ' If a backslash escapes it, pass csv_options={"escapechar": "\\\\"}.'
        # Its cells may have moved, those of the opt-outs too.
        shown = {**self._shown(cells), "beyond the header": extra}
        return Reject(number, reason, shown, blocks_person=bool(self._opt_outs))

    def _drop_nameless(self, cells: list[str]) -> None:
        for place in self._nameless:
            if cells[place]:
                self._names.has_nameless_values = True
                cells[place] = ""

    def _shown(self, cells: Iterable[str]) -> dict[str, str]:
        return {target or name: cell for target, name, cell in zip(self._targets, self._header, cells, strict=True)}
