"""Files of snapshots on any object storage. Each takes its place when it is complete."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.operators.files import fail_for_good, open_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_salesblink.choices import FileFormat
    from airflow_provider_salesblink.client import Prospect
    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.results.folder import Folder

_ENDINGS = {"jsonl": (".jsonl", ".ndjson", ".json"), "parquet": (".parquet",)}
_LONGEST_NAME = 150


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


def fixed_folder(template: object) -> str | None:
    """Return the folder that is the same in each run, above the first part of a path that is a template.

    :return: None if the path has no template in its folder, or begins with it.
    """
    folder = template.rpartition("/")[0] if isinstance(template, str) else ""
    above = folder.partition("{{")[0].rpartition("/")[0]
    return above if "{{" in folder and not above.endswith("/") and above else None


def default_previous_path(folder: str, campaign_id: str) -> str:
    """Return the path of the last snapshot of a campaign in a folder; an empty one is the working directory."""
    name = quote(campaign_id, safe="", errors="backslashreplace")
    if len(name) > _LONGEST_NAME:
        name = sha256(name.encode()).hexdigest()
    return f"{folder}{'/' if folder else ''}_{name}.snapshot"


class ForgottenInFolders:
    """The people that must not be written to some files. Make it before anything with people is read."""

    def __init__(self, addresses: AddressHash, *paths: str | None) -> None:
        from airflow_provider_salesblink.results.folder import Folder
        from airflow_provider_salesblink.results.forgotten import forgotten_for

        self._lists = []
        for path in filter(None, paths):
            with fail_for_good("output_path", path):
                target = ObjectStoragePath(path)
                folder = Folder(target.fs, target.parent.path)
                self._lists.append((folder, forgotten_for(folder, addresses)))

    def others(self, people: Iterable[Prospect]) -> Iterator[Prospect]:
        """Yield people, except those that were forgotten.

        :raises ForgottenMeanwhileError: at the end, if somebody was forgotten meanwhile.
        """
        for each in people:
            if not any(forgotten.has(each["email"]) for _, forgotten in self._lists):
                yield each
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise if somebody was forgotten since this was made.

        :raises ForgottenMeanwhileError: so it is.
        """
        for folder, forgotten in self._lists:
            forgotten.check_unchanged(folder)


class StoredFiles:
    """Files that are read and written by path, each as a whole.

    :param previous_path: the path that the argument of this name gives; all other paths are output paths.
    :param check: runs right before a file takes its place, and raises if it must not.
    """

    def __init__(self, previous_path: str | None = None, check: Callable[[], None] = lambda: None) -> None:
        self._previous_path = previous_path
        self._check = check

    def exists(self, path: str) -> bool:
        """Return whether there is a file."""
        with fail_for_good(self._argument(path), path):
            target = ObjectStoragePath(path)
            # A cached listing would not show what another run wrote.
            target.fs.invalidate_cache()
            return bool(target.exists())

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file to read its bytes."""
        return open_bytes(path, self._argument(path))

    def replace(self, path: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a file, which takes the place of an earlier one only when it is complete."""
        folder, name = self._place(path)

        def write_and_check(file: IO[bytes]) -> None:
            write(file)
            self._check()

        try:
            folder.replace(name, write_and_check)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            with fail_for_good(self._argument(path), path):
                raise error from None

    def delete(self, path: str) -> None:
        """Remove a file, which may be missing."""
        with fail_for_good(self._argument(path), path):
            ObjectStoragePath(path).unlink(missing_ok=True)

    @contextmanager
    def locked(self, path: str) -> Iterator[None]:
        """Keep other runs from changing the folder of a file meanwhile, where that is possible."""
        folder, _ = self._place(path)
        with ExitStack() as stack:
            with fail_for_good(self._argument(path), path):
                stack.enter_context(folder.locked())
            yield

    def _place(self, path: str) -> tuple[Folder, str]:
        from airflow_provider_salesblink.results.folder import Folder

        with fail_for_good(self._argument(path), path):
            target = ObjectStoragePath(path)
            return Folder(target.fs, target.parent.path), target.name

    def _argument(self, path: str) -> str:
        return "previous_path" if self._previous_path and path.startswith(self._previous_path) else "output_path"
