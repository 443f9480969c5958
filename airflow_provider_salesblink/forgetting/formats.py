"""Forget a person in one open file: JSON lines, gzip, Parquet, or the last snapshot of a campaign."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.forgetting.file_kinds import SNAPSHOT, Kind, kind_of
from airflow_provider_salesblink.json_text import json_line, json_text
from airflow_provider_salesblink.results.row_files import check_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_salesblink.forgetting.person import Person

Row = dict[str, Any]
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_STORE = "salesblink snapshot "


class Changes:
    """How many rows of a file changed."""

    def __init__(self) -> None:
        self.rows = 0


class Lines:
    """A file of JSON lines, which may be packed with gzip."""

    def __init__(self, kind: Kind | None, *, is_packed: bool) -> None:
        self.kind = kind
        self._is_packed = is_packed

    def count(self, file: IO[bytes], person: Person) -> int:
        """Return how many rows change."""
        changes = Changes()
        with self._unpacked(file) as lines:
            for _ in self._lines(lines, person, changes):
                pass
        return changes.rows

    def rewrite(self, file: IO[bytes], target: IO[bytes], person: Person) -> None:
        """Write the file without the person."""
        with self._unpacked(file) as lines, self._packed(target) as new:
            for line in self._lines(lines, person, Changes()):
                new.write(line)

    def _lines(self, lines: IO[bytes], person: Person, changes: Changes) -> Iterator[bytes]:
        # On Airflow 2, a file of a storage cannot be iterated over.
        for line in iter(lines.readline, b""):
            new = self._line(line, person) if person.may_be_in(line) else line
            changes.rows += new != line
            yield new

    def _line(self, line: bytes, person: Person) -> bytes:
        try:
            row = json.loads(line)
        except ValueError:
            # What a task that was killed left of a line.
            text = line.decode(errors="surrogateescape")
            return person.without_address(text).encode(errors="surrogateescape")
        kind = kind_of(row) if isinstance(row, dict) else None
        if kind is None:
            return line
        new = person.forgotten(row, kind)
        return line if new == row else b"" if new is None else json_line(new).encode()

    @contextmanager
    def _unpacked(self, file: IO[bytes]) -> Iterator[Any]:
        if not self._is_packed:
            yield file
            return
        with gzip.GzipFile("", "rb", fileobj=file) as lines:
            yield lines

    @contextmanager
    def _packed(self, file: IO[bytes]) -> Iterator[Any]:
        if not self._is_packed:
            yield file
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            yield packed


class Store(Lines):
    """The last snapshot of a campaign: a heading, and for each person a list of one row or two."""

    def __init__(self) -> None:
        super().__init__(SNAPSHOT, is_packed=True)

    def _line(self, line: bytes, person: Person) -> bytes:
        rows = json.loads(line)
        if not isinstance(rows, list):
            return line
        new = [row and person.forgotten(row, SNAPSHOT) for row in rows]
        if new == rows:
            return line
        if any(row and not kept for row, kept in zip(rows, new, strict=True)):
            return b""
        # As the store writes rows: it compares their texts.
        return f"[{', '.join(json.dumps(row, sort_keys=True) for row in new)}]\n".encode()


class Parquet:
    """A Parquet file. Its schema, with what it says of itself, stays."""

    def __init__(self, kind: Kind | None) -> None:
        self.kind = kind

    def count(self, file: IO[bytes], person: Person) -> int:
        """Return how many rows change."""
        return sum(changed for _, changed in self._groups(file, person))

    def rewrite(self, file: IO[bytes], target: IO[bytes], person: Person) -> None:
        """Write the file without the person."""
        from pyarrow.parquet import ParquetFile, ParquetWriter

        source = ParquetFile(file, pre_buffer=False)
        packing = source.metadata.row_group(0).column(0).compression.lower() if source.num_row_groups else "zstd"
        with ParquetWriter(target, source.schema_arrow, compression=packing.replace("uncompressed", "none")) as writer:
            for table, _ in self._groups(file, person):
                if table.num_rows:
                    writer.write_table(table, row_group_size=table.num_rows)

    def _groups(self, file: IO[bytes], person: Person) -> Iterator[tuple[Any, int]]:
        """Yield the row groups without the person, each with the number of rows that changed."""
        from pyarrow import Table
        from pyarrow.parquet import ParquetFile

        if self.kind is None:
            return
        source = ParquetFile(file, pre_buffer=False)
        for number in range(source.num_row_groups):
            table = source.read_row_group(number)
            rows = table.to_pylist()
            new = [_in_parquet(row, self.kind, lambda given: person.forgotten(given, self.kind)) for row in rows]  # type: ignore[arg-type]
            changed = sum(before != after for before, after in zip(rows, new, strict=True))
            kept = [row for row in new if row is not None]
            yield (Table.from_pylist(kept, schema=source.schema_arrow) if changed else table), changed


def _in_parquet(row: Row, kind: Kind, change: Callable[[Row], Row | None]) -> Row | None:
    decoded = {
        name: json.loads(value) if name in kind.json_columns and value is not None else value
        for name, value in row.items()
    }
    new = change(decoded)
    if new is None or new == decoded:
        return row if new is not None else None
    return {
        name: json_text(value) if name in kind.json_columns and value is not None else value
        for name, value in new.items()
    }


def format_of(file: IO[bytes]) -> Lines | Parquet:
    """Return the format of an open file, with the kind of its rows.

    :raises InvalidInputError: it is Parquet, and pyarrow is not installed.
    :raises ValueError: it is damaged.
    """
    start = file.read(4)
    file.seek(0)
    if start == _PARQUET:
        check_installed("parquet")
        from pyarrow.parquet import ParquetFile

        return Parquet(kind_of(ParquetFile(file, pre_buffer=False).schema_arrow.names))
    is_packed = start.startswith(_GZIP)
    first = _first_row(gzip.GzipFile("", "rb", fileobj=file) if is_packed else file)
    if is_packed and str(first.get("format")).startswith(_STORE):
        return Store()
    return Lines(kind_of(first), is_packed=is_packed)


def _first_row(lines: Any) -> Row:  # noqa: ANN401  # a file, packed or not
    first: Iterable[bytes] = iter(lambda: lines.readline(_LONGEST_LINE), b"")
    line = next((each for each in first if each.strip()), b"")
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_LONGEST_LINE = 64 * 1024 * 1024
"""Bytes. A longer line is not one that this provider wrote."""
