"""Find which events of a feed are new, and remember which were reported. Pure: no requests, no clock."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = logging.getLogger(__name__)

FeedKind = Literal["replied", "opened", "clicked", "bounced"]
FEED_KINDS: tuple[FeedKind, ...] = get_args(FeedKind)

MOST_EVENTS = 50_000
"""Maximum number of events to remember. A shelf with its part of them is below the 64 KB that Airflow's store is meant
for in one value."""

_SHELVES = tuple(str(number) for number in range(32))
_POSITION = "position"
FEED_SHELVES = (*_SHELVES, _POSITION)
"""All names of shelves that :meth:`FeedCursor.unsaved` may return."""

_ID_LENGTH = 11
"""Characters of a key to remember: 8 bytes of the hash, so that two of 50,000 events are hardly ever the same."""


class FeedEvent(NamedTuple):
    """An event of a feed, as far as a watcher reports it.

    :param time: Unix milliseconds.
    :param change: ``event``, ``prospect_id``, ``key`` and ``person``.
    """

    time: int
    change: dict[str, str | None]

    @property
    def key(self) -> str:
        """Return the text that identifies the event."""
        return str(self.change["key"])


class FoundEvents:
    """The events that one poll shows and that a watcher has not reported.

    :param now: when the poll began, in Unix milliseconds.
    """

    def __init__(self, now: int) -> None:
        self.now = now
        self.dropped: int | None = None
        """The time up to which events were dropped; None if none were."""
        self._events: dict[str, FeedEvent] = {}

    def add(self, event: FeedEvent) -> None:
        """Add an event. Far above :data:`MOST_EVENTS`, drop the oldest ones, which a cursor would forget anyway."""
        if self.dropped is not None and event.time <= self.dropped:
            return
        self._events[event.key] = event
        if len(self._events) > 2 * MOST_EVENTS:
            events = self.oldest_first()
            self.dropped = events[-MOST_EVENTS - 1].time
            self._events = {each.key: each for each in events if each.time > self.dropped}

    def oldest_first(self) -> list[FeedEvent]:
        """Return the events in the order of their times."""
        return sorted(self._events.values(), key=lambda event: event.time)


class FeedCursor:
    """The events of a feed that were reported, as short hashes with their times.

    Events arrive late. So each poll reads the ``lookback`` before the last poll again, and only what is not remembered
    is new. Events with a time in the future are new once that time has come.

    :param lookback: milliseconds.
    :param known: shelves of an earlier :meth:`unsaved`.
    """

    def __init__(self, lookback: int, known: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        known = known or {}
        self._lookback = lookback
        self._shelves: dict[str, dict[str, int]] = {name: dict(known.get(name, {})) for name in _SHELVES}
        position = known.get(_POSITION, {})
        self._polled: int | None = position.get("polled")
        self._forgotten: int | None = position.get("forgotten")
        self._unsaved: set[str] = set()
        known_lookback = position.get("lookback", lookback)
        if self._polled is not None and known_lookback < lookback:
            # What is older was forgotten, and would be reported again.
            self._forgotten = max(self._polled - known_lookback, self._forgotten or 0)

    def since(self, now: int) -> int:
        """Return the time from which events may be new.

        A last poll in the future, which a wrong clock left, counts as now: otherwise nothing would be read until then.
        """
        polled = now if self._polled is None else min(self._polled, now)
        since = polled - self._lookback
        return since if self._forgotten is None else max(since, self._forgotten + 1)

    def is_new(self, event_time: int, key: str, now: int) -> bool:
        """Return whether an event is to be reported in a poll that began at ``now``."""
        return self.since(now) <= event_time <= now and key[:_ID_LENGTH] not in self._shelf_of(key)[1]

    def begin(self, found: FoundEvents) -> None:
        """Take all events that were found as known. Report nothing."""
        for _ in self.advance(found):
            pass

    def advance(self, found: FoundEvents) -> Iterator[dict[str, str | None]]:
        """Yield what is new, oldest first, and take it as known."""
        # By the poll before this one: if only some shelves get stored, none of them lacks an event to recognize.
        self._forget_before(self.since(found.now))
        for event in found.oldest_first():
            # A later poll began before the earlier one was reported.
            if self.is_new(event.time, event.key, found.now):
                self._know(event)
                yield event.change
        self._forget_surplus()
        if found.dropped is not None:
            self._forget_through(found.dropped)
        self._polled = found.now

    def unsaved(self) -> dict[str, dict[str, Any]]:
        """Return the shelves that changed since the last call, and last the position."""
        shelves: dict[str, dict[str, Any]] = {name: dict(self._shelves[name]) for name in sorted(self._unsaved)}
        self._unsaved = set()
        position = {"polled": self._polled, "forgotten": self._forgotten, "lookback": self._lookback}
        return {**shelves, _POSITION: position}

    def _shelf_of(self, key: str) -> tuple[str, dict[str, int]]:
        name = _SHELVES[zlib.crc32(key.encode()) % len(_SHELVES)]
        return name, self._shelves[name]

    def _know(self, event: FeedEvent) -> None:
        name, shelf = self._shelf_of(event.key)
        shelf[event.key[:_ID_LENGTH]] = event.time
        self._unsaved.add(name)

    def _forget_before(self, time: int) -> None:
        """Forget events that are too old to be read again. Their shelves are stored when something else changes."""
        self._shelves = {
            name: {key: known for key, known in shelf.items() if known >= time} for name, shelf in self._shelves.items()
        }

    def _forget_surplus(self) -> None:
        times = sorted(known for shelf in self._shelves.values() for known in shelf.values())
        if len(times) > MOST_EVENTS:
            self._forget_through(times[-MOST_EVENTS - 1])

    def _forget_through(self, time: int) -> None:
        """Forget events up to a time, and report none of them from now on."""
        if self._forgotten is None:
            log.warning(
                "A watched campaign has more than %d events of one kind within the lookback. Of older ones, those "
                "that arrive late are not reported. Give the trigger a shorter lookback.",
                MOST_EVENTS,
            )
        self._forgotten = max(time, self._forgotten or time)
        self._unsaved.update(_SHELVES)
        self._forget_before(self._forgotten + 1)
