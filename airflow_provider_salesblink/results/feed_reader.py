"""Read a feed of SalesBlink in a window of time: exactly that window, and again where its pages moved."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.results.events import REPORTED, is_of_feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.choices import FeedName
    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.results.windows import Window

log = logging.getLogger(__name__)

Event = dict[str, Any]

MARGIN = timedelta(seconds=1)
"""More than asked for on both sides, because SalesBlink does not document whether an event at a limit is included."""
_MOST_READINGS = 3


class FeedReader:
    """Reads one feed, part by part.

    :param campaign_id: the sequence whose events to read; None for all.
    """

    def __init__(self, client: SalesBlinkClient, feed: FeedName, campaign_id: str | None) -> None:
        self._client = client
        self._feed = feed
        self._campaign_id = campaign_id
        self._has_moved = False
        self.left_out = 0
        """How many events of the answers were not of the window that was asked for."""

    def read(self, window: Window, take: Callable[[Event], bool]) -> int:
        """Give each event of the window to ``take``; an event may come more than once.

        :param take: returns whether the event is new.
        :return: how many events were new.
        """
        new = 0
        for reading in range(_MOST_READINGS):
            self._has_moved = False
            found = sum(take(event) for event in self._each(window))
            new += found
            if not self._has_moved:
                return new
            # Pages also move in an order that changes each time. Then another reading that finds nothing is enough.
            if reading and not found:
                break
        log.warning(
            "The pages of %s moved, or repeated events, each time that they were read, so an event may be missing. A "
            "later run that reads the same time again brings it.",
            self._feed,
        )
        return new

    def finds_any(self, window: Window) -> bool:
        """Return whether the window has an event."""
        return next(self._each(window), None) is not None

    def _note_move(self) -> None:
        self._has_moved = True

    def _each(self, window: Window) -> Iterator[Event]:
        wide = window.widened(MARGIN)
        for message in REPORTED if self._feed == "reports" else (None,):
            for event in self._asked(message, wide):
                if not is_of_feed(self._feed, event, message):
                    continue
                if event.get("time") is None or event["time"] in window:
                    yield event
                elif event["time"] not in wide:
                    self.left_out += 1

    def _asked(self, message: str | None, wide: Window) -> Iterator[Event]:
        events = self._client.events
        if message is not None:
            return events.reports(message, self._campaign_id, wide.since, wide.until, on_move=self._note_move)
        read = {"sent": events.sent, "opens": events.opens, "clicks": events.clicks, "replies": events.replies}
        return read[self._feed](self._campaign_id, wide.since, wide.until, on_move=self._note_move)
