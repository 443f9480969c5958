"""One file for each feed and UTC day. An event that is in a file already stays as it is; new ones are added once."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Self

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.results.changed_days import ChangedDays
from airflow_provider_salesblink.results.event_formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from airflow_provider_salesblink.choices import FileFormat
    from airflow_provider_salesblink.results.event_formats import Line
    from airflow_provider_salesblink.results.events import Row
    from airflow_provider_salesblink.results.folder import Folder
    from airflow_provider_salesblink.results.windows import Window

UNDATED = "undated"
"""Stands for the day of events that have no readable time."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE event (key BLOB PRIMARY KEY, day TEXT, time TEXT, line BLOB) WITHOUT ROWID;
CREATE TABLE there (key BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_DATED = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2}|undated)(?P<suffix>\.jsonl|\.jsonl\.gz|\.parquet)")
_KEY_BYTES = 16


class DayFiles:
    """The files of one feed, and the events that are to be added to them, in a temporary database on disk.

    :param feed: the feed's name, which is the name of its subfolder.
    """

    def __init__(self, folder: Folder, feed: str, file_format: FileFormat) -> None:
        self._folder = folder
        self._feed = feed
        self._format = FORMATS[file_format]()
        # An empty name: SQLite keeps the database in a file of its own, which it deletes.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._has_read = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    @property
    def has_events(self) -> bool:
        """Return whether there are events to be written."""
        return bool(self._database.execute("SELECT EXISTS (SELECT * FROM event)").fetchone()[0])

    def add(self, row: Row) -> bool:
        """Keep an event to be written; return whether it was not kept yet."""
        line = json_line(row).encode()
        added = self._database.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", _record(row, line))
        return added.rowcount == 1

    def write(self, window: Window, check: Callable[[], None] = lambda: None) -> dict[str, int]:
        """Add the events to their files, and forget them here.

        :param window: contains all of them.
        :param check: runs before anything is written, while no other run can change the folder.
        :return: the days whose files changed, each with its number of new events.
        :raises InvalidInputError: a file is there in another format, or cannot be read.
        """
        with self._folder.locked():
            check()
            self._drop_what_is_there(window)
            new = dict(self._database.execute("SELECT day, count(*) FROM event GROUP BY day ORDER BY day"))
            ChangedDays(self._folder, self._feed).add(new)
            for day in new:
                self._write_day(day)
        self._database.executescript("INSERT OR IGNORE INTO there SELECT key FROM event; DELETE FROM event")
        return new

    def _drop_what_is_there(self, window: Window) -> None:
        """Forget the events that the files have. All days count, because an event's time may have changed."""
        if not self.has_events:
            return
        # Once is enough: later writes know the events of earlier ones, and each file is read again when it changes.
        for day in () if self._has_read else self._days(window):
            keys = ((key,) for key, *_ in self._records_of(day))
            self._database.executemany("INSERT OR IGNORE INTO there VALUES (?)", keys)
        self._has_read = True
        self._database.execute("DELETE FROM event WHERE key IN (SELECT key FROM there)")

    def _days(self, window: Window) -> Iterator[str]:
        """Yield the days in a window, and the undated one, that have a file."""
        first = window.since.date().isoformat() if window.since else ""
        last = window.until.date().isoformat()
        for name in self._folder.names(self._feed):
            found = _DATED.fullmatch(name)
            if found and (found["day"] == UNDATED or first <= found["day"] <= last):
                self._check_format(name, found["suffix"])
                yield found["day"]

    def _check_format(self, name: str, suffix: str) -> None:
        if suffix != self._format.suffix:
            raise InvalidInputError(
                f"{self._feed}/{name} in output_path is in another format than file_format, and its events would be "
                "written twice. Keep the format, or use another output_path."
            )

    def _write_day(self, day: str) -> None:
        if self._name(day) in self._folder.names(self._feed):
            self._database.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", self._records_of(day))
        self._folder.replace(f"{self._feed}/{self._name(day)}", lambda file: self._write_lines(day, file))

    def _write_lines(self, day: str, file: IO[bytes]) -> None:
        with closing(
            self._database.execute("SELECT line FROM event WHERE day = ? ORDER BY time, key", (day,))
        ) as found:
            self._format.write(file, (line for (line,) in found))

    def _records_of(self, day: str) -> Iterator[tuple[bytes, str, str, Line]]:
        name = f"{self._feed}/{self._name(day)}"
        try:
            with self._folder.opened(name) as file:
                for line in self._format.read(file):
                    key, _, time, _ = _record(json.loads(line), line)
                    yield key, day, time, line
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # pyarrow's errors are ValueErrors.
            raise InvalidInputError(
                f"{name} in output_path cannot be read ({type(error).__name__}): something other than this task wrote "
                "it. Move it away, and extract its day again with since and until."
            ) from error

    def _name(self, day: str) -> str:
        return f"{day}{self._format.suffix}"


def _record(row: Row, line: Line) -> tuple[bytes, str, str, Line]:
    """Return a row of the database. An event is known by its id, of which a hash is enough."""
    key = sha256(str(row["id"]).encode(errors="surrogatepass")).digest()[:_KEY_BYTES]
    time = row["time"] or ""
    return key, time[:10] or UNDATED, time, line
