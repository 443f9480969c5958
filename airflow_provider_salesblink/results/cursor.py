"""The cursor: until when each feed has been extracted. Its text is the same wherever it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Protocol

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.events import time_text

if TYPE_CHECKING:
    from airflow_provider_salesblink.results.folder import Folder

VERSION = 1


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
    """Keeps a text for each feed between runs."""

    def place(self, feed: str) -> str:
        """Return where the text of a feed is kept, for errors."""

    def load(self, feed: str) -> str | None:
        """Return the text of a feed; None if there is none yet."""

    def save(self, feed: str, text: str) -> None:
        """Keep the text of a feed in place of the earlier one."""


class CursorFiles:
    """Keeps each feed's cursor in a file next to its data, so that two tasks for two feeds do not disturb each other.

    :param campaign_id: the sequence whose events are extracted, which has its own cursors; None for all.
    """

    def __init__(self, folder: Folder, campaign_id: str | None = None) -> None:
        self._folder = folder
        # An id may have characters that a name of a file must not have.
        self._suffix = "" if campaign_id is None else f"_{sha256(campaign_id.encode()).hexdigest()[:16]}"

    def place(self, feed: str) -> str:
        """Return the file's path."""
        return f"{self._folder}/{self._name(feed)}"

    def load(self, feed: str) -> str | None:
        """Return the file's text; None if there is none yet."""
        try:
            with self._folder.opened(self._name(feed)) as file:
                return str(file.read().decode(errors="replace"))
        except FileNotFoundError:
            return None

    def save(self, feed: str, text: str) -> None:
        """Replace the file."""

        def write(file: IO[bytes]) -> None:
            file.write(text.encode())

        self._folder.replace(self._name(feed), write)

    def _name(self, feed: str) -> str:
        return f"{feed}/_cursor{self._suffix}.json"


class Cursor:
    """The positions of all feeds in a store."""

    def __init__(self, store: CursorStore) -> None:
        self._store = store

    def position(self, feed: str) -> Position | None:
        """Return how far a feed has been extracted; None if it has not been yet.

        :raises InvalidInputError: what is stored cannot be read.
        """
        text = self._store.load(feed)
        if text is None:
            return None
        try:
            stored = json.loads(text)
            if stored["version"] == VERSION:
                until = datetime.fromisoformat(stored["until"]).astimezone(UTC)
                return Position(until, int(stored["events"]), float(stored["seconds"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise InvalidInputError(
            f"The cursor in {self._store.place(feed)} cannot be read, so it is not known what has been extracted. "
            "Restore it, or delete it: the next run then begins at since, and writes nothing twice."
        )

    def advance(self, feed: str, position: Position, now: datetime) -> None:
        """Store a feed's position, unless another run has come further.

        :param now: a cursor after it comes from a wrong clock, and is replaced.
        """
        known = self.position(feed)
        if known is None or known.until <= position.until or known.until > now:
            stored = {"until": time_text(position.until), "events": position.events, "seconds": position.seconds}
            self._store.save(feed, json.dumps({"version": VERSION, **stored}) + "\n")
