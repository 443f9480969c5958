"""The cursor: until when each feed has been extracted. Its text is the same wherever it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.events import time_text

if TYPE_CHECKING:
    from airflow_provider_salesblink.results.folder import Folder

VERSION = 1
FILE = "_cursor.json"


@dataclass(frozen=True)
class Position:
    """How far a feed has been extracted.

    :param until: everything before it that had arrived is written.
    :param events: how many events the last run read, to estimate the next one.
    :param seconds: the length of the window in which they were.
    """

    until: datetime
    events: int = 0
    seconds: float = 0.0


class CursorStore(Protocol):
    """Keeps a text between runs."""

    name: str
    """Where it is kept, for errors."""

    def load(self) -> str | None:
        """Return the text; None if there is none yet."""

    def save(self, text: str) -> None:
        """Keep the text in place of the earlier one."""


class CursorFile:
    """Keeps the cursor in a file next to the data."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.name = f"{folder}/{FILE}"

    def load(self) -> str | None:
        """Return the file's text; None if there is none yet."""
        try:
            with self._folder.opened(FILE) as file:
                return str(file.read().decode())
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            return ""

    def save(self, text: str) -> None:
        """Replace the file."""

        def write(file: IO[bytes]) -> None:
            file.write(text.encode())

        self._folder.replace(FILE, write)


class Cursor:
    """The positions of all feeds in a store.

    :param campaign_id: the sequence whose events are extracted, which has its own positions; None for all.
    """

    def __init__(self, store: CursorStore, campaign_id: str | None) -> None:
        self._store = store
        self._campaign_id = campaign_id

    def position(self, feed: str) -> Position | None:
        """Return how far a feed has been extracted; None if it has not been yet.

        :raises InvalidInputError: what is stored cannot be read.
        """
        return self._load().get(self._key(feed))

    def advance(self, feed: str, position: Position) -> None:
        """Store a feed's position, unless another run has come further."""
        found = self._load()
        known = found.get(self._key(feed))
        if known is None or known.until <= position.until:
            found[self._key(feed)] = position
            self._store.save(_as_text(found))

    def _key(self, feed: str) -> str:
        return feed if self._campaign_id is None else f"{feed} of {self._campaign_id}"

    def _load(self) -> dict[str, Position]:
        text = self._store.load()
        if text is None:
            return {}
        try:
            stored = json.loads(text)
            if stored["version"] == VERSION:
                return {key: _position(each) for key, each in stored["feeds"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise InvalidInputError(
            f"The cursor in {self._store.name} cannot be read, so it is not known what has been extracted. Restore it, "
            "or delete it: the next run then begins at since, and writes nothing twice."
        )


def _position(stored: dict[str, Any]) -> Position:
    until = datetime.fromisoformat(stored["until"]).astimezone(UTC)
    return Position(until, int(stored["events"]), float(stored["seconds"]))


def _as_text(positions: dict[str, Position]) -> str:
    feeds = {
        key: {"until": time_text(each.until), "events": each.events, "seconds": each.seconds}
        for key, each in sorted(positions.items())
    }
    return json.dumps({"version": VERSION, "feeds": feeds}, indent=1) + "\n"
