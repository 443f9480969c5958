"""A folder on any storage, in which a file is replaced as a whole or not at all."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

_LOCAL = frozenset({"file", "local"})
_WHOLE_OBJECTS = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs", "oss", "oci", "r2"}
)
"""Storages that show an object once it is complete."""
_NEW = re.compile(r"_(?P<name>.+)\.(?P<digest>[0-9a-f]{64})\.new")
_PART = re.compile(r"_.+\.[0-9a-f]{32}\.part")
_CHUNK = 1024 * 1024


class Folder:
    """A folder and its direct subfolders.

    Each file is first written completely under a temporary name, then takes its place. A storage may not be able to
    replace a file in one step. There the temporary file is named after its content, so that :meth:`repair` finishes
    what was interrupted.

    :param filesystem: the storage, an fsspec filesystem.
    :param path: the folder's path on it.
    """

    def __init__(self, filesystem: Any, path: str) -> None:  # noqa: ANN401  # fsspec has no types
        protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple | list) else (filesystem.protocol,)
        self._fs = filesystem
        self._path = path.rstrip("/") or "/"
        self.is_local = bool(_LOCAL & set(protocols))
        self.is_atomic = self.is_local or bool(_WHOLE_OBJECTS & set(protocols))

    def __str__(self) -> str:
        return self._path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from changing the folder meanwhile, where that is possible: on a disk."""
        if not self.is_local:
            yield
            return
        Path(self._path).mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._path}/_lock", mode=0o600):
            yield

    def above(self) -> Iterator[Folder]:
        """Yield the folders that contain this one, from the nearest."""
        path = self._path.rpartition("/")[0]
        while path:
            yield Folder(self._fs, path)
            path = path.rpartition("/")[0]

    def names(self, subfolder: str) -> list[str]:
        """Return the names of the files in a subfolder, sorted; none if it does not exist."""
        try:
            # A cached listing would not show what another run wrote.
            self._fs.invalidate_cache()
            found = self._fs.ls(self._at(subfolder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to read it.

        :raises FileNotFoundError: there is none.
        """
        with self._fs.open(self._at(name), "rb") as file:
            yield file

    def replace(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a file, which takes the place of an earlier one only when it is complete."""
        if self.is_local:
            self._replace_local(Path(self._at(name)), write)
        else:
            self._replace_remote(name, write)

    def repair(self, subfolder: str) -> None:
        """Finish or remove what an interrupted run left in a subfolder."""
        place = self._at(subfolder)
        for name in self.names(subfolder):
            path, found = f"{place}/{name}", _NEW.fullmatch(name)
            if found and self._digest(path) == found["digest"]:
                log.info("An earlier run was interrupted: %s takes its place now.", found["name"])
                self._move(path, f"{place}/{found['name']}")
            elif found or (self.is_local and _PART.fullmatch(name)):
                self._fs.rm_file(path)

    def _replace_local(self, target: Path, write: Callable[[IO[bytes]], None]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f"_{target.name}.{uuid4().hex}.part")
        # It may hold personal data: only its owner may read it.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, new)
            new.replace(target)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def _replace_remote(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        subfolder, _, last = name.rpartition("/")
        with tempfile.NamedTemporaryFile() as local:
            write(local)
            local.flush()
            digest = _digest_of(local)
            new = f"{self._at(subfolder)}/_{last}.{digest}.new"
            self._fs.makedirs(self._at(subfolder), exist_ok=True)
            self._fs.put_file(local.name, new)
        try:
            self._move(new, self._at(name))
        except FileNotFoundError:
            # Another run that started meanwhile may have put it in its place.
            if self._digest(self._at(name)) != digest:
                raise OSError(f"Another run removed {last} before it was in its place: run the task again.") from None

    def _move(self, path: str, target: str) -> None:
        # Not fsspec's mv(): it takes brackets and stars in a path for patterns.
        self._fs.cp_file(path, target)
        self._fs.rm_file(path)

    def _digest(self, path: str) -> str:
        with self._fs.open(path, "rb") as file:
            return _digest_of(file)

    def _at(self, name: str) -> str:
        return f"{self._path}/{name.lstrip('/')}".rstrip("/") if name else self._path


def _digest_of(file: IO[bytes]) -> str:
    file.seek(0)
    digest = sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
