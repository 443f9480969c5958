"""Forget a person in all files of this provider below some paths."""

from __future__ import annotations

import logging
import math
import re
import secrets
import time
import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.choices import FeedName
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.forgetting.file_kinds import EVENTS
from airflow_provider_salesblink.forgetting.formats import format_of
from airflow_provider_salesblink.forgetting.person import Person
from airflow_provider_salesblink.results import feed_record, forgotten
from airflow_provider_salesblink.results.feed_record import key_fingerprint, load_record
from airflow_provider_salesblink.results.folder import Folder
from airflow_provider_salesblink.results.forgotten import forgotten_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_salesblink.client.identity import AddressHash

log = logging.getLogger(__name__)

_BOOKKEEPING = frozenset({"_lock", "_changed.json", feed_record.NAME, forgotten.NAME})
_CHUNK = 1024 * 1024
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
_LONGEST_WRITE = 3600.0
"""Seconds after which a temporary file next to another one is taken for what a killed task left."""
_BEING_WRITTEN = "another task is writing it: run this one again after that, or in an hour if no other task runs"
_MOST_PASSES = 5
"""How often the files are listed again because other tasks keep writing them."""
_ONE_AT_A_TIME = (
    "Other tasks wrote to the same folders at the same time, so the person may be in them again. Run the task again, "
    "and let one task follow the other, for example with max_active_tis_per_dag=1."
)
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zlib.error)


@dataclass(frozen=True)
class Place:
    """A file or a folder to search.

    :param filesystem: its storage, an fsspec filesystem.
    :param path: its path there.
    """

    filesystem: Any
    path: str

    @property
    def is_folder(self) -> bool:
        """Return whether it is a folder."""
        return bool(self.filesystem.isdir(self.path))

    def files(self) -> dict[str, str]:
        """Return the paths of its files, sorted, each with a text that is another one when the file has changed."""
        self.filesystem.invalidate_cache()
        if not self.is_folder:
            return {self.path: str(self.filesystem.info(self.path))}
        return {str(path): str(info) for path, info in sorted(self.filesystem.find(self.path, detail=True).items())}


@dataclass(frozen=True)
class File:
    """A file that this provider wrote."""

    filesystem: Any
    path: str
    kind: str
    root: str

    @property
    def folder(self) -> str:
        """Return the folder that tasks lock while they write the file: of an event file, the one above the feed's."""
        own = self.path.rpartition("/")[0]
        return _locked_for(own) if self.kind == EVENTS.name else own

    def folders(self) -> Iterator[str]:
        """Yield the folders from the file's to the one that the user named."""
        folder = self.folder
        yield folder
        while len(folder) > len(self.root):
            folder = folder.rpartition("/")[0]
            yield folder


def _locked_for(folder: str) -> str:
    """Return the folder that tasks lock while they write into a folder: of a feed's, the one above."""
    above, _, own = folder.rpartition("/")
    return above if own in get_args(FeedName) else folder


def _age(filesystem: Any, path: str) -> float:  # noqa: ANN401  # fsspec has no types
    """Return the seconds since a local file was written; infinite on other storages and for one that is gone."""
    try:
        return time.time() - float(filesystem.info(path).get("mtime") or -math.inf)
    except FileNotFoundError:
        return math.inf


class ChangedMeanwhileError(RuntimeError):
    """Other tasks wrote the same files at the same time, and may have brought the person back. Running again helps."""


@dataclass
class FileChanges:
    """What became of the files.

    :param rows: path -> number of rows that were redacted or removed.
    :param kinds: path -> the kind of the file.
    :param left: files that have the address, and that this provider did not write.
    :param unreadable: files that could not be read or written, each with the reason.
    """

    rows: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class FileForgetting:
    """Forgets a person in files. It can be repeated at any point.

    First the person goes onto the list of each folder, so that no later run writes them again. Then each file is
    replaced as a whole. A file that does not name the person is not touched. In the end the files are listed again, for
    those that other tasks have written since the first listing.

    :param prospect_ids: the person's ids in SalesBlink.
    :param ignored: files to leave alone, such as the receipt.
    """

    def __init__(
        self, places: Iterable[Place], address: str, addresses: AddressHash, prospect_ids: Iterable[str],
        ignored: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self._places = list(places)
        self._address = address
        self._addresses = addresses
        self._ids = [*prospect_ids]
        self._ignored = frozenset(ignored)
        self._person = Person(address, addresses, self._ids, "")
        self._seen: dict[tuple[int, str], str] = {}
        self._rewritten: set[str] = set()
        self.changes = FileChanges()

    def run(self, *, dry_run: bool = False) -> FileChanges:
        """Forget the person, or only count the rows if it is a dry run.

        :raises ChangedMeanwhileError: other tasks keep writing the same files.
        """
        if dry_run:
            files = self._ours()
            self._check_keys(files)
            for file in files:
                self._attempt(file.path, partial(self._count, file))
            return self.changes
        for place in self._places:
            self._repair(place)
        folders: dict[str, Folder] = {}
        for number in range(_MOST_PASSES):
            # After the first pass, those that are new or have changed: also what this task wrote, because where there
            # are no locks, another task may have replaced it with what it had read before.
            files = self._ours()
            if number and not files:
                break
            self._check_keys(files)
            folders |= self._folders(files)
            if not self._person.stand_in:
                self._person = Person(self._address, self._addresses, self._ids, self._stand_in(folders.values()))
            for folder in folders.values():
                self._note(folder, self._person.stand_in)
            for file in files:
                self._attempt(file.path, partial(self._rewrite, file))
        else:
            raise ChangedMeanwhileError(_ONE_AT_A_TIME)
        if not self.changes.unreadable:
            for folder in folders.values():
                self._note(folder, None)
        self._check_noted(folders.values())
        return self.changes

    # Which files there are.

    def _ours(self) -> list[File]:
        """Return the files that this provider wrote, and that are new or have changed since the last call."""
        found = []
        for place in self._places:
            root = place.path.rstrip("/") if place.is_folder else place.path.rpartition("/")[0]
            for path, state in place.files().items():
                name, key = path.rpartition("/")[2], (id(place.filesystem), path)
                if name in _BOOKKEEPING or name.startswith("_cursor") or path in self._ignored:
                    continue
                if self._seen.get(key) == state:
                    continue
                self._seen[key] = state
                is_ours = path in self._rewritten
                if not is_ours and _TEMPORARY.fullmatch(name) and _age(place.filesystem, path) < _LONGEST_WRITE:
                    # A new file in its place would lose the rows that are still to come.
                    self.changes.unreadable[redacted(path)] = _BEING_WRITTEN
                    continue
                kind = self._attempt(path, partial(self._kind, place.filesystem, path))
                if kind:
                    found.append(File(place.filesystem, path, kind, root))
        return found

    def _repair(self, place: Place) -> None:
        """Finish or remove what interrupted runs left: it may have the address, too."""
        if not place.is_folder:
            return
        for folder in {path.rpartition("/")[0] for path in place.files() if path.endswith((".new", ".part"))}:
            with Folder(place.filesystem, _locked_for(folder)).locked():
                Folder(place.filesystem, folder).repair("")

    def _kind(self, filesystem: Any, path: str) -> str:  # noqa: ANN401  # fsspec has no types
        with filesystem.open(path, "rb") as file:
            kind = format_of(file).kind
        if kind is not None:
            return kind.name
        if redacted(path) not in self.changes.left and self._holds_address(filesystem, path):
            self.changes.left.append(redacted(path))
        return ""

    def _holds_address(self, filesystem: Any, path: str) -> bool:  # noqa: ANN401
        with filesystem.open(path, "rb") as file:
            return any(
                self._person.is_named_in(line.decode(errors="replace"))
                for line in iter(lambda: file.readline(_CHUNK), b"")
                if self._person.may_be_in(line)
            )

    def _check_keys(self, files: list[File]) -> None:
        """Note the feeds whose files have hashes of another key, in which the person cannot be recognized."""
        feeds = {(file.folder, file.path.split("/")[-2]): file for file in files if file.kind == EVENTS.name}
        for (folder, feed), file in feeds.items():
            record = self._attempt(file.path, partial(load_record, Folder(file.filesystem, folder), feed))
            if record and record.people != "none" and record.key != key_fingerprint(self._addresses):
                self.changes.unreadable[redacted(f"{folder}/{feed}")] = (
                    "its hashes are of another hash_key, or without one, of another API key: set hash_key to that value"
                )

    # The lists of forgotten people.

    def _folders(self, files: list[File]) -> dict[str, Folder]:
        named = {(id(place.filesystem), place.path.rstrip("/")): place.filesystem for place in self._places
                 if place.is_folder}  # fmt: skip
        named |= {(id(file.filesystem), folder): file.filesystem for file in files for folder in file.folders()}
        return {f"{number} {path}": Folder(filesystem, path) for (number, path), filesystem in sorted(
            named.items(), key=lambda each: each[0])}  # fmt: skip

    def _stand_in(self, folders: Iterable[Folder]) -> str:
        """Return the stand-in of a run that was interrupted, or a new one, which looks like a hash and is of nobody."""
        lists = (forgotten_in(folder, self._addresses).people for folder in folders)
        known = (each.get(self._person.hash) for each in lists)
        return next(filter(None, known), None) or secrets.token_hex(32)

    def _note(self, folder: Folder, stand_in: str | None) -> None:
        with folder.locked():
            people = forgotten_in(folder, self._addresses)
            if people.people.get(self._person.hash, "") != stand_in:
                people.people[self._person.hash] = stand_in
                people.save(folder)

    def _check_noted(self, folders: Iterable[Folder]) -> None:
        """Check that the lists have the person: where there are no locks, another task may have replaced one."""
        if not all(self._person.hash in forgotten_in(folder, self._addresses).people for folder in folders):
            raise ChangedMeanwhileError(_ONE_AT_A_TIME)

    # One file.

    def _count(self, file: File) -> int:
        with file.filesystem.open(file.path, "rb") as opened:
            form = format_of(opened)
            opened.seek(0)
            rows = form.count(opened, self._person)
        if rows:
            self.changes.rows[redacted(file.path)] = rows
            self.changes.kinds[redacted(file.path)] = file.kind
        return rows

    def _rewrite(self, file: File) -> None:
        with Folder(file.filesystem, file.folder).locked():
            if not self._count(file):
                return
            self._rewritten.add(file.path)
            above, _, name = file.path.rpartition("/")
            with file.filesystem.open(file.path, "rb") as opened:
                form = format_of(opened)
                opened.seek(0)
                Folder(file.filesystem, above).replace(name, lambda new: form.rewrite(opened, new, self._person))

    def _attempt(self, path: str, do: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Do something with a file. What cannot be read or written does not keep others from being forgotten."""
        try:
            return do()
        except InvalidInputError as error:
            reason = str(error)
        except _UNREADABLE as error:
            # Its message may have a part of the file.
            reason = type(error).__name__
        log.error("The file %s cannot be read or written (%s).", redacted(path), reason)
        self.changes.unreadable[redacted(path)] = reason
        return None
