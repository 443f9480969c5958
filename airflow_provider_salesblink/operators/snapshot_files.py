"""Files of snapshots on any object storage. Each takes its place when it is complete."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.operators.files import exists, fail_for_good, is_local, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_salesblink.choices import FileFormat
    from airflow_provider_salesblink.results.snapshots import Row

_ENDINGS = {"jsonl": (".jsonl", ".ndjson", ".json"), "parquet": (".parquet",)}
_LONGEST_NAME = 150
_BUFFER = 1024 * 1024


def check_ending(path: str, file_format: FileFormat) -> None:
    """Raise unless the name of a file says its format.

    :raises AirflowFailException: it says another one, or none.
    """
    endings = _ENDINGS[file_format]
    if not path.lower().endswith(endings):
        other = next((name for name, known in _ENDINGS.items() if path.lower().endswith(known)), None)
        remedy = f', or pass file_format="{other}"' if other else ""
        raise AirflowFailException(
            f'output_path must end in {" or ".join(endings)} for file_format="{file_format}": rename it{remedy}.'
        )


def default_previous_path(output_path: str, campaign_id: str) -> str:
    """Return where the last snapshot of a campaign is kept: next to the changes files, whatever their names are."""
    folder, slash, _ = output_path.rpartition("/")
    name = quote(campaign_id, safe="", errors="backslashreplace")
    if len(name) > _LONGEST_NAME:
        name = sha256(name.encode()).hexdigest()
    return f"{folder}{slash}_{name}.snapshot"


class StoredFiles:
    """Files that are read and written by path, each as a whole.

    :param previous_path: the path that the argument of this name gives; all other paths are output paths.
    """

    def __init__(self, previous_path: str | None = None) -> None:
        self._previous_path = previous_path

    def exists(self, path: str) -> bool:
        """Return whether there is a file."""
        return exists(path, self._argument(path))

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file to read its bytes."""
        return open_bytes(path, self._argument(path))

    @contextmanager
    def create(self, path: str) -> Iterator[IO[bytes]]:
        """Open a new file, which takes its place when the block ends without an error. Only its owner may read it."""
        with ExitStack() as stack:
            with fail_for_good(self._argument(path), path):
                target = ObjectStoragePath(path)
                new = _new_local_file(Path(target.path).resolve()) if is_local(target) else _new_object(target)
                file = stack.enter_context(new)
            yield file

    def write_rows(self, path: str, rows: Iterable[Row], columns: Mapping[str, str], file_format: FileFormat) -> None:
        """Write rows to a file, which takes its place when it is complete."""
        from airflow_provider_salesblink.loading.report import json_line
        from airflow_provider_salesblink.results.parquet_files import write_parquet

        with self.create(path) as file:
            if file_format == "parquet":
                write_parquet(file, rows, columns)
            else:
                file.writelines(json_line(row).encode() for row in rows)

    def delete(self, path: str) -> None:
        """Remove a file, which may be missing."""
        with fail_for_good(self._argument(path), path):
            ObjectStoragePath(path).unlink(missing_ok=True)

    def _argument(self, path: str) -> str:
        return "previous_path" if self._previous_path and path.startswith(self._previous_path) else "output_path"


@contextmanager
def _new_local_file(place: Path) -> Iterator[IO[bytes]]:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = NamedTemporaryFile(dir=place.parent, prefix=f".{place.name[:_LONGEST_NAME]}.", delete=False)  # noqa: SIM115
    try:
        with new as file:
            if place.exists():
                shutil.copymode(place, new.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(new.name).replace(place)
    except BaseException:
        Path(new.name).unlink()
        raise


@contextmanager
def _new_object(target: ObjectStoragePath) -> Iterator[IO[bytes]]:
    # An error must leave nothing: many storages keep what was written until then when the file is closed.
    with TemporaryFile() as file:
        yield file
        file.seek(0)
        with target.open("wb") as stored:  # type: ignore[no-untyped-call]
            shutil.copyfileobj(file, stored, _BUFFER)
