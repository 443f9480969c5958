"""People who must not be mailed, as a file lists them: addresses, whole domains, and hashes of addresses."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.identity import fingerprint, normalized
from airflow_provider_salesblink.loading.suppression_entries import (
    AS_TEXT,
    EntryKind,
    InvalidEntryError,
    numbered_entries,
    read_entry,
    sha256,
)
from airflow_provider_salesblink.loading.text_files import TextFile

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)

_BATCH = 10_000
_COUNTED_AS: dict[EntryKind, str] = {"address": "addresses", "domain": "domains", "hash": "hashes"}


class OpenablePath(Protocol):
    """A path on some storage, such as :class:`pathlib.Path` or Airflow's ``ObjectStoragePath``."""

    def open(self, mode: str = "r") -> Any:  # noqa: ANN401
        """Open the file."""


def read_suppressions(path: str | os.PathLike[str] | OpenablePath) -> Suppressions:
    """Return the people of a suppression file. A string is a path on this machine.

    :raises InvalidInputError: when the file is missing, cannot be read, or has a line that is not an entry.
    """
    openable: Any = Path(path.removeprefix("file://")) if isinstance(path, str) else path
    try:
        file: IO[bytes] = openable.open("rb")
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInputError(
            f"The file of suppression_path, {str(path)!r}, cannot be read ({type(error).__name__}); nothing was sent."
        ) from None
    with closing(file):
        try:
            found = Suppressions(TextFile(file, format_remedy=AS_TEXT))
        except InvalidInputError as error:
            raise InvalidInputError(f"The file of suppression_path cannot be used; nothing was sent. {error}") from None
    if len(found):
        log.info("The suppression file holds %s.", found)
    else:
        log.warning("The suppression file is empty, so it keeps nobody from being mailed. Check what writes it.")
    return found


class Suppressions:
    """A list of suppressed people, kept in a private SQLite file that disappears with the process.

    One entry a line: an address; a domain (``example.org``, also written ``@example.org``, ``*.example.org`` or
    ``www.example.org``), which stands for its subdomains too; or the SHA-256 of a normalized address in hexadecimal.
    Blank lines and lines that start with ``#`` do not count, nor does a header in the first line.

    :param lines: the lines of the file.
    :raises InvalidInputError: when a line is none of these. The error names the line's number and shows nothing of it.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._kinds = {"addresses": 0, "domains": 0, "hashes": 0}
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE entry (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")
        keys = self._keys(lines)
        while batch := [(key,) for key in islice(keys, _BATCH)]:
            self._database.executemany("INSERT OR IGNORE INTO entry VALUES (?)", batch)
        self._database.execute("COMMIT")

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM entry").fetchone()[0])

    def __str__(self) -> str:
        return ", ".join(f"{number:,} {kind}" for kind, number in self._kinds.items())

    def close(self) -> None:
        """Forget everybody."""
        self._database.close()

    def hold(self, address: str) -> bool:
        """Return whether the list holds the person with ``address``, by their address, its hash, or its domain."""
        keys = [fingerprint(address)]
        if self._kinds["hashes"]:
            keys.append(sha256(address))
        if self._kinds["domains"]:
            keys += _domains_above(normalized(address).rpartition("@")[2])
        marks = ", ".join("?" * len(keys))
        return self._database.execute(f"SELECT 1 FROM entry WHERE key IN ({marks})", keys).fetchone() is not None  # noqa: S608

    def _keys(self, lines: Iterable[str]) -> Iterator[bytes]:
        for number, text in numbered_entries(lines):
            try:
                entry = read_entry(text)
            except InvalidEntryError as what:
                raise InvalidInputError(f"Line {number} is {what}.") from None
            self._kinds[_COUNTED_AS[entry.kind]] += 1
            yield entry.key


def _domains_above(domain: str) -> list[bytes]:
    labels = domain.split(".")
    return [".".join(labels[start:]).encode(errors="surrogatepass") for start in range(len(labels))]
