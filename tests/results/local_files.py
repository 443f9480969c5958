"""Files on this machine for comparisons, without Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from fsspec.implementations.local import LocalFileSystem

from airflow_provider_salesblink.results.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class LocalFiles:
    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        return Path(path).open("rb")

    def replace(self, path: str, write: Callable[[IO[bytes]], None]) -> None:
        Folder(LocalFileSystem(), str(Path(path).parent)).replace(Path(path).name, write)

    def delete(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def locked(self, path: str) -> AbstractContextManager[None]:
        return Folder(LocalFileSystem(), str(Path(path).parent)).locked()
