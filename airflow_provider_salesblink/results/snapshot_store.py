"""Keep the last snapshot of a campaign between two runs, and move to the next one so that no change is lost.

Two files: the last snapshot, and next to it, only during a run, the new one (``.next``). Each holds the people of its
look, and those of the look before as far as they differ: so the changes can be written from it, as often as needed.

1. The new snapshot is written as ``.next``, once everybody was read.
2. The changes are written from it.
3. It takes the place of the last snapshot, and ``.next`` is removed.

A run that finds ``.next`` knows that the one before stopped between 1 and 3, and does 2 and 3 for it.
"""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import zlib
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.results.row_files import write_rows
from airflow_provider_salesblink.results.snapshot_changes import COLUMNS, row_of_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_salesblink.choices import FileFormat
    from airflow_provider_salesblink.results.snapshots import Row

log = logging.getLogger(__name__)

_FORMAT = "salesblink snapshot 1"
_MOST_RUNS = 1_000
"""Earlier runs that a snapshot remembers, so that they do not overwrite their changes files."""
_CHUNK = 1024 * 1024
_OTHER_RUN = (
    "Another run compared the same campaign at the same time, so this one stops. Run it again, and let one run follow "
    "the other: DAG(..., max_active_runs=1)."
)


class OtherRunError(RuntimeError):
    """Another run moved to a new snapshot at the same time. Running again helps."""


class Files(Protocol):
    """Where files are: a folder, or any object storage."""

    def exists(self, path: str) -> bool:
        """Return whether there is a file."""

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file to read it."""

    def replace(self, path: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a file, which takes the place of an earlier one only when it is complete."""

    def delete(self, path: str) -> None:
        """Remove a file, which may be missing."""

    def locked(self, path: str) -> AbstractContextManager[None]:
        """Keep other runs from changing the folder of a file meanwhile, where that is possible."""


@dataclass(frozen=True)
class Target:
    """A changes file to write.

    :param run: identifies the run of a task; None outside a run.
    :param task: the DAG and the task; None outside a run.
    """

    path: str
    file_format: FileFormat
    run: str | None = None
    task: str | None = None


@dataclass(frozen=True)
class Look:
    """A look at a campaign, and what it found.

    :param id: differs for each look.
    :param replaces: the id of the last look when this one began.
    :param changes_path: the changes file, and with ``run``, who wrote it.
    :param earlier: what earlier runs of tasks found.
    """

    id: str
    replaces: str | None
    campaign_id: str
    time: str
    previous_time: str | None
    changes_path: str
    file_format: FileFormat
    run: str | None
    task: str | None
    counts: dict[str, int]
    earlier: list[dict[str, Any]] = field(default_factory=list)

    def found(self) -> dict[str, Any]:
        """Return counts and times, for XCom."""
        return {**self.counts, "time": self.time, "previous_time": self.previous_time}

    def is_for(self, target: Target) -> bool:
        """Return whether the same run of the same task wrote the same file with this look."""
        return target.run is not None and (self.run, self.changes_path) == (target.run, target.path)

    def found_earlier(self, target: Target) -> dict[str, Any] | None:
        """Return what the same run found when it wrote the same file, before this look; None if it did not."""
        same = (each["found"] for each in self.earlier if (each["run"], each["path"]) == (target.run, target.path))
        return next(same, None)

    def runs(self) -> list[dict[str, Any]]:
        """Return what this look and the earlier ones found, as far as they were those of a run."""
        mine = {"run": self.run, "path": self.changes_path, "found": self.found()}
        return [*self.earlier, *([mine] if self.run else [])][-_MOST_RUNS:]


class SnapshotStore:
    """The last snapshot of a campaign.

    :param path: its file.
    """

    def __init__(self, path: str, campaign_id: str, files: Files) -> None:
        self.path = path
        self._next = f"{path}.next"
        self._campaign_id = campaign_id
        self._files = files

    def last(self) -> Look | None:
        """Return the last look; None if there is none.

        :raises InvalidInputError: the file is damaged, something else, or of another campaign.
        """
        return self._look(self.path)

    def check_task(self, task: str | None) -> None:
        """Raise if another task has moved to the last snapshot: each of the two would see a part of the changes.

        :raises InvalidInputError: so it is.
        """
        last = self.last()
        if last and last.task and task and last.task != task:
            raise InvalidInputError(
                f"The snapshot {redacted(self.path)!r} belongs to the task {last.task}. Two tasks that share one would "
                f"each see a part of the changes: pass a previous_path of its own, or this one if {task} replaces it."
            )

    def rows(self) -> Iterator[Row]:
        """Yield the people of the last look."""
        return (line[-1] for line in self._lines(self.path) if line[-1] is not None)

    def recover(self, changes_path: str) -> None:
        """Complete what a run that stopped has begun.

        Nothing is to be done for a run that was to write the same changes file: it will be written with all changes.
        """
        with self._files.locked(self.path):
            begun = self._look(self._next)
            if begun is None or begun.replaces != self._id(self.path) or begun.changes_path == changes_path:
                return
            log.warning(
                "An earlier run stopped before it was done: its changes are written to %s first.",
                redacted(begun.changes_path),
            )
            self._complete(begun)

    def move_to(self, look: Look, pairs: Iterable[tuple[str | None, str | None]]) -> None:
        """Write a new snapshot and its changes, and let it take the place of the last one.

        :param pairs: the row at the last look and the row of now of everybody, as JSON.
        :raises OtherRunError: another run did so since the look began.
        """
        with self._files.locked(self.path):
            self._check_unchanged(look)
            self._files.replace(self._next, lambda file: _write(file, look, pairs))
            self._complete(look)

    def restore_changes(self, look: Look) -> None:
        """Write the changes of the last look again."""
        self._write_changes(self.path, look)

    def has_changes_of(self, target: Target) -> bool:
        """Return whether the changes file exists."""
        return self._files.exists(target.path)

    def _complete(self, look: Look) -> None:
        self._check_begun(look)
        self._write_changes(self._next, look)
        # Where there are no locks, another run may have come in between.
        self._check_begun(look)
        self._check_unchanged(look)
        with self._files.open(self._next) as begun:
            self._files.replace(self.path, lambda file: shutil.copyfileobj(begun, file, _CHUNK))
        self._files.delete(self._next)

    def _check_begun(self, look: Look) -> None:
        if self._id(self._next) != look.id:
            raise OtherRunError(_OTHER_RUN)

    def _check_unchanged(self, look: Look) -> None:
        if self._id(self.path) != look.replaces:
            raise OtherRunError(_OTHER_RUN)

    def _id(self, path: str) -> str | None:
        look = self._look(path)
        return look.id if look else None

    def _write_changes(self, path: str, look: Look) -> None:
        pairs = (line for line in self._lines(path) if len(line) > 1)
        rows = (row_of_change(earlier, now, look.time, look.previous_time) for earlier, now in pairs)
        self._files.replace(look.changes_path, lambda file: write_rows(file, rows, COLUMNS, look.file_format))

    def _look(self, path: str) -> Look | None:
        if not self._files.exists(path):
            return None
        try:
            header = dict(next(self._read(path)))
            is_known = header.pop("format") == _FORMAT
            look = Look(**header)
        except (StopIteration, LookupError, TypeError, ValueError):
            is_known = False
        if not is_known:
            raise self._unreadable(path)
        if look.campaign_id != self._campaign_id:
            raise InvalidInputError(
                f"The snapshot {redacted(path)!r} is of another campaign, {look.campaign_id!r}, and not of "
                f"{self._campaign_id!r}. Pass a previous_path of its own for each campaign."
            )
        return look

    def _lines(self, path: str) -> Iterator[Any]:
        lines = self._read(path)
        next(lines)
        return lines

    def _read(self, path: str) -> Iterator[Any]:
        with self._files.open(path) as raw:
            try:
                with gzip.GzipFile("", "rb", fileobj=raw) as file:
                    yield from map(json.loads, file)
            except (gzip.BadGzipFile, EOFError, zlib.error, ValueError):
                raise self._unreadable(path) from None

    @staticmethod
    def _unreadable(path: str) -> InvalidInputError:
        return InvalidInputError(
            f"The snapshot {redacted(path)!r} is damaged, or not a snapshot that this version can read. Restore it; or "
            "delete it to start again, and everybody in the campaign counts as new to it."
        )


def _write(file: IO[bytes], look: Look, pairs: Iterable[tuple[str | None, str | None]]) -> None:
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
        packed.write(f"{json.dumps({'format': _FORMAT, **asdict(look)})}\n".encode())
        packed.writelines(map(_line, pairs))


def _line(pair: tuple[str | None, str | None]) -> bytes:
    earlier, now = pair
    if earlier == now:
        return f"[{now}]\n".encode()
    return f"[{earlier or 'null'}, {now or 'null'}]\n".encode()
