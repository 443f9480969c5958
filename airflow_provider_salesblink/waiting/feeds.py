"""Feeds of events to poll (API v1). One poll of a feed serves all watchers over a connection."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import UnsupportedByApiError
from airflow_provider_salesblink.client.v1 import decoding, times
from airflow_provider_salesblink.waiting.changes import KINDS, short_hash
from airflow_provider_salesblink.waiting.feed_cursor import FeedEvent, FoundEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.feed_cursor import FeedCursor, FeedKind

Json = dict[str, Any]

_CALLS: dict[FeedKind, Callable[[SalesBlinkClient], Callable[..., Iterator[Json]]]] = {
    "replied": lambda client: client.events.replies,
    "opened": lambda client: client.events.opens,
    "clicked": lambda client: client.events.clicks,
}

_MARGIN = 1000
"""Milliseconds to ask for on both sides, because SalesBlink does not document whether a limit is included."""


# Compared by identity: two watchers of the same campaign are two conditions.
@dataclass(frozen=True, eq=False)
class NewEvents:
    """The request for the events of a campaign that a cursor does not know."""

    campaign_id: str
    cursor: FeedCursor


@dataclass(frozen=True)
class Feed:
    """A feed of events (``GET /replies``, ``/opens``, ``/clicks``, and ``/reports`` for bounces).

    Its conditions are :class:`NewEvents`. A poll reads the feed once: only the campaign's events if all conditions are
    about the same campaign, else those of all campaigns.
    """

    kind: FeedKind

    def look(
        self, client: SalesBlinkClient, conditions: Iterable[NewEvents]
    ) -> Iterator[tuple[NewEvents, FoundEvents]]:
        """Read the feed, and yield each condition with the events that are new to it.

        :raises UnsupportedByApiError: the connection uses the classic API.
        """
        now = int(time.time() * 1000)
        found = {condition: FoundEvents(now) for condition in conditions}
        by_campaign: defaultdict[str, list[NewEvents]] = defaultdict(list)
        for condition in found:
            by_campaign[condition.campaign_id].append(condition)
        only = next(iter(by_campaign)) if len(by_campaign) == 1 else None
        since = min((condition.cursor.since(now) for condition in found), default=now)
        for event in self._read(client, only, since, now):
            # Not every event shows its campaign. One that was asked for by its campaign is of that campaign.
            campaign_id = decoding.text_id(event, "sequence_id", "sequence") or only
            for condition in by_campaign.get(campaign_id or "", ()):
                self._add(found[condition], condition.cursor, event, client)
        yield from found.items()

    def __str__(self) -> str:
        return f"the feed of events {self.kind!r}"

    def _read(self, client: SalesBlinkClient, campaign_id: str | None, since: int, until: int) -> Iterator[Json]:
        window = (campaign_id, _time_of(since - _MARGIN), _time_of(until + _MARGIN))
        try:
            if self.kind == "bounced":
                return filter(_is_bounce, client.events.reports("Bounced", *window, on_move=_wait_for_next_poll))
            return _CALLS[self.kind](client)(*window, on_move=_wait_for_next_poll)
        except UnsupportedByApiError as error:
            error.append(f"On the classic API, ProspectEventTrigger reports {', '.join(KINDS[:-1])} and {KINDS[-1]}.")
            raise

    def _add(self, found: FoundEvents, cursor: FeedCursor, event: Json, client: SalesBlinkClient) -> None:
        # An event without a time counts from when it is found.
        when = found.now if event.get("time") is None else times.milliseconds("time", event["time"])
        key = self._key(event)
        if not cursor.is_new(when, key, found.now):
            return
        email = event.get("email")
        found.add(
            FeedEvent(
                when,
                {
                    "event": self.kind,
                    "prospect_id": decoding.text_id(event, "lead_id", "lead"),
                    "key": key,
                    "person": client.addresses.digest(email).hex() if isinstance(email, str) and email else None,
                },
            )
        )

    def _key(self, event: Json) -> str:
        """Return a hash of the event's id, or of its content if it has none. It is the same in each poll."""
        identity = decoding.text_id(event) or event
        return short_hash(json.dumps([self.kind, identity], sort_keys=True, default=str), 12)


def _is_bounce(event: Json) -> bool:
    """Return whether ``/reports`` shows a bounce: it would show everything if it ignored the filter."""
    message = event.get("message")
    return not message or "bounce" in str(message).casefold()


def _wait_for_next_poll() -> None:
    """Do nothing when pages moved: the next poll reads the same time again."""


def _time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
