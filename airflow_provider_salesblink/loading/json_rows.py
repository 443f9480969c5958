"""Rows of JSON files: one object a line, or one array of objects."""

from __future__ import annotations

import json
import re
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client import json_stream
from airflow_provider_salesblink.client.cell_values import BLANKS
from airflow_provider_salesblink.client.columns import EMAIL, documented
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.row_types import LONGEST_CELL, MAY_HAVE_OPTED_OUT, Reject, Row
from airflow_provider_salesblink.loading.text_files import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.loading.column_names import ColumnNames
    from airflow_provider_salesblink.loading.row_types import Source

_LINE_END = re.compile(r"\r\n|\r|\n")
_REFUSED_KEYS = {"row", "reason", "columns", MAY_HAVE_OPTED_OUT}
_STILL_IN_DOUBT = (
    "Its opt-out columns may say that the person opted out, and they are missing here: add one to its columns, and "
    "name it in opt_out_columns."
)
_HOW = "write one object a line, or one array of objects"


def from_jsonl(file: IO[bytes], names: ColumnNames) -> Source:
    """Return the rows of an open file with one JSON object a line, or with one JSON array of objects.

    Blank lines do not count as rows. A row's number is the number of its line, or its position in the array.

    :raises InvalidInputError: when the file is not text, is one object over several lines, has the rows under a key, or
        has an array that breaks off.
    """
    text = TextFile(file)
    begin = _begin(text)
    found = _of_array(begin, text, names) if begin.endswith("[") else _of_lines(begin, text, names)
    for row in found:
        if row is not None:
            yield row
    names.conclude()


def _begin(text: TextFile) -> str:
    """Return the text up to and including the first character that is not blank."""
    begin = ""
    while (character := text.read(1)) and character in BLANKS:
        begin += character
    return begin + character


def _of_array(begin: str, text: TextFile, names: ColumnNames) -> Iterator[Row | Reject | None]:
    number = 0
    rest = _Joined(begin.lstrip(BLANKS), text)
    try:
        for number, item in enumerate(json_stream.elements(rest, {()}, lambda *_: None, _DECODER), start=1):
            yield _row(number, item, names)
    except InvalidInputError:
        raise
    except ValueError:
        raise InvalidInputError(
            f"The file's JSON array breaks off or is not JSON after element {number}, or continues after its end: "
            f"{_HOW}."
        ) from None


def _of_lines(begin: str, text: TextFile, names: ColumnNames) -> Iterator[Row | Reject | None]:
    above = len(_LINE_END.findall(begin))
    lines = chain([begin.lstrip(BLANKS) + next(iter(text), "")], text)
    filled = ((number, bare) for number, line in enumerate(lines, start=above + 1) if (bare := _bare(line)))
    top = list(islice(filled, 2))
    _check_is_lines(*(line for _, line in top))
    for number, line in chain(top, filled):
        try:
            item = _DECODER.decode(line)
        except (ValueError, RecursionError):
            yield Reject(number, "It is not JSON: fix the line.", {"line": line[:LONGEST_CELL]})
        else:
            yield _row(number, item, names)


def _bare(line: str) -> str:
    line = line.strip()
    return line if line[:1] == "{" and line[-1:] == "}" else line.strip(BLANKS)


def _check_is_lines(first: str = "", second: str = "") -> None:
    try:
        item = _DECODER.decode(first)
    except (ValueError, RecursionError):
        if second and first.startswith("{") and not second.startswith("{"):
            raise InvalidInputError(f"The file is a JSON object over several lines: {_HOW}.") from None
        return
    if not second and isinstance(item, dict) and not _is_refused(item) and _holds_rows(item):
        raise InvalidInputError(f"The file is one JSON object that holds the rows under a key: {_HOW}.")


def _holds_rows(item: dict[str, Any]) -> bool:
    """Return whether an object wraps the rows, instead of being a row."""
    if any(documented(name) == EMAIL for name in item):
        return False
    inner = [value for value in item.values() if isinstance(value, dict)]
    return any(isinstance(value, list) for value in item.values()) or any(map(_holds_rows, inner))


def _row(number: int, item: object, names: ColumnNames) -> Row | Reject | None:
    if isinstance(item, _TwoAlike):
        reason = "Two of its columns have the same name: leave one out."
        return Reject(number, reason, item, blocks_person=bool(names.opt_outs))
    if isinstance(item, dict) and _is_refused(item):
        return _corrected(number, item, names.of_rejects)
    if isinstance(item, dict):
        return names.of_record(number, item)
    return Reject(number, f"It is a JSON {type(item).__name__}, not an object.", {"row": item})


def _is_refused(item: dict[str, Any]) -> bool:
    """Return whether an object is a line of a rejects file, which holds the row under a key."""
    return isinstance(item.get("columns"), dict) and item.keys() <= _REFUSED_KEYS


def _corrected(number: int, item: dict[str, Any], names: ColumnNames) -> Row | Reject | None:
    """Return the row of a rejects file's line. It stays out if it may be an opt-out and nothing says that it is not."""
    columns = item["columns"]
    if item.get(MAY_HAVE_OPTED_OUT, False) is not False and not any(map(names.opt_outs.has, columns)):
        return Reject(number, _STILL_IN_DOUBT, columns, blocks_person=True)
    return _row(number, columns, names)


class _Joined(json_stream.Readable):
    """A text with its first characters put back."""

    def __init__(self, begin: str, rest: TextFile) -> None:
        self._begin = begin
        self._rest = rest

    def read(self, characters: int) -> str:
        """Read a piece."""
        begin, self._begin = self._begin, ""
        return begin or self._rest.read(characters)


class _TwoAlike(dict[str, Any]):
    """A JSON object with two values under one key."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _TwoAlike(found)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
