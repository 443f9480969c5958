"""The days whose files changed, until a run has reported them."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.results.folder import Folder


class ChangedDays:
    """The days of a feed that changed and are not reported yet, in a file next to the data.

    A run that fails after it has written files reports nothing. The next one finds no new events for these days, but
    they are here, so it reports them. The caller holds the folder's lock.

    :param feed: the feed's name, which is the name of its subfolder.
    """

    def __init__(self, folder: Folder, feed: str) -> None:
        self._folder = folder
        self._name = f"{feed}/_changed.json"

    def load(self) -> set[str]:
        """Return the days.

        :raises InvalidInputError: the file cannot be read.
        """
        try:
            with self._folder.opened(self._name) as file:
                return set(map(str, json.load(file)))
        except FileNotFoundError:
            return set()
        except (ValueError, TypeError) as error:
            raise InvalidInputError(
                f"{self._name} in output_path cannot be read, so it is not known which days have changed. Delete it, "
                "and load all days again."
            ) from error

    def add(self, days: Iterable[str]) -> None:
        """Add days. Do so before their files change, so that none is forgotten after a crash."""
        known = self.load()
        self._save(known, known.union(days))

    def remove(self, days: Iterable[str]) -> None:
        """Remove days that are reported."""
        known = self.load()
        self._save(known, known.difference(days))

    def _save(self, known: set[str], days: set[str]) -> None:
        def write(file: IO[bytes]) -> None:
            file.write(json.dumps(sorted(days)).encode() + b"\n")

        if days != known:
            self._folder.replace(self._name, write)
