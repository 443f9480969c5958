"""Forget a person in all files of this provider below some paths."""

from __future__ import annotations

import logging
import secrets
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

    def files(self) -> list[str]:
        """Return the paths of its files, sorted."""
        self.filesystem.invalidate_cache()
        return sorted(map(str, self.filesystem.find(self.path))) if self.is_folder else [self.path]


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
        above, _, own = self.path.rpartition("/")[0].rpartition("/")
        is_of_feed = self.kind == EVENTS.name and own in get_args(FeedName)
        return above if is_of_feed else self.path.rpartition("/")[0]

    def folders(self) -> Iterator[str]:
        """Yield the folders from the file's to the one that the user named."""
        folder = self.folder
        yield folder
        while len(folder) > len(self.root):
            folder = folder.rpartition("/")[0]
            yield folder


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
    replaced as a whole. A file that does not name the person is not touched.

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
        self.changes = FileChanges()

    def run(self, *, dry_run: bool = False) -> FileChanges:
        """Forget the person, or only count the rows if it is a dry run."""
        files = self._ours()
        self._check_keys(files)
        if dry_run:
            for file in files:
                self._attempt(file.path, partial(self._count, file))
            return self.changes
        folders = self._folders(files)
        self._person = Person(self._address, self._addresses, self._ids, self._stand_in(folders))
        for folder in folders:
            self._note(folder, self._person.stand_in)
        for file in files:
            self._attempt(file.path, partial(self._rewrite, file))
        if not self.changes.unreadable:
            for folder in folders:
                self._note(folder, None)
        return self.changes

    # Which files there are.

    def _ours(self) -> list[File]:
        found = []
        for place in self._places:
            self._repair(place)
            root = place.path.rstrip("/") if place.is_folder else place.path.rpartition("/")[0]
            for path in place.files():
                name = path.rpartition("/")[2]
                if name in _BOOKKEEPING or name.startswith("_cursor") or path in self._ignored:
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
            held = Folder(place.filesystem, folder)
            with held.locked():
                held.repair("")

    def _kind(self, filesystem: Any, path: str) -> str:  # noqa: ANN401  # fsspec has no types
        with filesystem.open(path, "rb") as file:
            kind = format_of(file).kind
        if kind is not None:
            return kind.name
        if self._holds_address(filesystem, path):
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

    def _folders(self, files: list[File]) -> list[Folder]:
        named = {(id(place.filesystem), place.path.rstrip("/")): place.filesystem for place in self._places
                 if place.is_folder}  # fmt: skip
        named |= {(id(file.filesystem), folder): file.filesystem for file in files for folder in file.folders()}
        return [Folder(filesystem, path) for (_, path), filesystem in sorted(named.items(), key=lambda each: each[0])]

    def _stand_in(self, folders: list[Folder]) -> str:
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
