"""The health of a campaign to poll (API v1), from SalesBlink's feeds. One poll serves all who watch the campaign."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_salesblink.client.errors import UnsupportedByApiError
from airflow_provider_salesblink.client.v1 import decoding, times
from airflow_provider_salesblink.waiting.changes import short_hash
from airflow_provider_salesblink.waiting.conditions import Hopeless, Met
from airflow_provider_salesblink.waiting.health import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.health import HealthLimits

log = logging.getLogger(__name__)

Json = dict[str, Any]

_MARGIN = 1000
"""Milliseconds to ask for on both sides, because SalesBlink does not document whether a limit is included."""
_MOST_READINGS = 3
"""How often to read a feed whose pages move meanwhile."""
# Words in the messages of /reports, which has all messages if it ignores its filter.
_REPORTED = {"Bounced": "bounce", "Unsubscribed": "unsub"}


@dataclass(frozen=True)
class Health:
    """The health of a campaign in one poll.

    :param state: ``paused``, ``archived`` or ``completed``; None while the campaign runs.
    :param exceeded: the rates that are beyond their limits for sure.
    :param unclear: the rates that may be beyond them: SalesBlink does not show who all the people of the events are.
    """

    campaign_id: str
    state: str | None
    sample: Sample
    exceeded: list[str]
    unclear: list[str] = field(default_factory=list)

    def found(self) -> dict[str, Any]:
        """Return what goes to XCom: figures, no person."""
        word = "unhealthy" if self.exceeded else "ended" if self.state else "healthy"
        return {
            "outcome": word,
            "campaign_id": self.campaign_id,
            "state": self.state or "running",
            "exceeded": ", ".join(self.exceeded),
            **self.sample.figures(),
        }


# Compared by identity: two tasks with the same limits are two conditions.
@dataclass(frozen=True, eq=False)
class Unhealthy:
    """The condition that a campaign is beyond its limits, or no longer runs."""

    limits: HealthLimits


@dataclass(frozen=True, eq=False)
class EveryHealth:
    """The request for the campaign's health from each poll."""

    limits: HealthLimits


@dataclass(frozen=True)
class CampaignHealth:
    """A campaign and its events (``GET /sequences/{id}``, ``/reports``, ``/replies``, ``/sent``).

    Its conditions are :class:`Unhealthy` and :class:`EveryHealth`. A poll reads the longest of their windows. Each poll
    reads the whole window again, so late events count as soon as they arrive, and a restart forgets nothing.
    """

    campaign_id: str

    def look(
        self, client: SalesBlinkClient, conditions: Iterable[Unhealthy | EveryHealth]
    ) -> Iterator[tuple[Unhealthy | EveryHealth, Met | Hopeless | Health]]:
        """Read the campaign and its feeds, and yield each condition that they decide.

        :raises UnsupportedByApiError: the connection uses the classic API.
        :raises NotFoundError: there is no such campaign.
        """
        now, conditions = int(time.time() * 1000), list(conditions)
        longest = max((each.limits.window for each in conditions), default=0.0)
        events = _Events.read(client, self.campaign_id, now - int(longest * 1000), now)
        state = _state(client, self.campaign_id, is_silent=not events.sent)
        for condition in conditions:
            health = Health(self.campaign_id, state, *events.judge(condition.limits, now))
            if isinstance(condition, EveryHealth):
                if health.unclear:
                    log.warning("%s", _why_unclear(health))
                yield condition, health
            elif health.exceeded or state:
                yield condition, Met(health.found())
            elif health.unclear:
                yield condition, Hopeless(_why_unclear(health))

    def __str__(self) -> str:
        return f"the health of campaign {self.campaign_id}"


class _Event(NamedTuple):
    """When something happened, and the hash of the person; None if the feed does not show who."""

    time: int
    person: bytes | None


@dataclass
class _Events:
    """The events of a campaign in a window, each once."""

    bounced: list[_Event] = field(default_factory=list)
    unsubscribed: list[_Event] = field(default_factory=list)
    replied: list[_Event] = field(default_factory=list)
    sent: list[_Event] = field(default_factory=list)

    @classmethod
    def read(cls, client: SalesBlinkClient, campaign_id: str, since: int, now: int) -> _Events:
        """Read the feeds. The mails come last: nothing counts whose mail was not read."""
        feed, window = _Feed(client, campaign_id, since, now), (_time_of(since - _MARGIN), _time_of(now + _MARGIN))
        events = client.events

        def reported(message: str) -> list[_Event]:
            return feed.read(
                lambda on_move: filter(
                    lambda event: _is_reported(event, message),
                    events.reports(message, campaign_id, *window, on_move=on_move),
                )
            )

        try:
            bounced = reported("Bounced")
        except UnsupportedByApiError as error:
            error.append("CampaignHealthSensor and its triggers read these events, so they need API v1.")
            raise
        return cls(
            bounced,
            reported("Unsubscribed"),
            feed.read(lambda on_move: events.replies(campaign_id, *window, on_move=on_move)),
            feed.read(lambda on_move: events.sent(campaign_id, *window, on_move=on_move)),
        )

    def judge(self, limits: HealthLimits, now: int) -> tuple[Sample, list[str], list[str]]:
        """Return the sample that decides, the rates beyond their limits for sure, and those that may be beyond them."""
        start = now - int(limits.window * 1000)
        times_sent = sorted((event.time for event in self.sent if event.time >= start), reverse=True)

        def decide(*, is_sure: bool) -> tuple[Sample, list[str]]:
            newest = lambda size: self.sample(times_sent[size - 1], is_sure=is_sure)  # noqa: E731
            return limits.decide(self.sample(start, is_sure=is_sure), newest)

        sample, exceeded = decide(is_sure=True)
        return sample, exceeded, [] if exceeded else decide(is_sure=False)[1]

    def sample(self, since: int, *, is_sure: bool = True) -> Sample:
        """Return the counts of the mails sent since a time, and of what the people who got them did since then.

        A bounce in the window of a mail before it belongs to that mail. Counted, it would make a campaign look bad that
        has just ended a day's mails. Nor does a mail count twice that SalesBlink reports as bounced several times.

        :param is_sure: count only what certainly belongs to these mails; else everything that may. It is the other way
            round for replies, which speak for a campaign.
        """
        mails = Counter(event.person for event in self.sent if event.time >= since)

        def count(events: list[_Event], *, is_sure: bool, most: int | None = None) -> int:
            found = Counter(event.person for event in events if event.time >= since)
            nameless = found.pop(None, 0)
            sure = sum(min(many, mails[who], most or many) for who, many in found.items())
            if is_sure:
                return sure
            return min(sure + nameless + min(found.total() - sure, mails[None]), mails.total())

        return Sample(
            mails.total(),
            count(self.bounced, is_sure=is_sure),
            count(self.unsubscribed, is_sure=is_sure, most=1),
            count(self.replied, is_sure=not is_sure),
        )


class _Feed:
    """Reads feeds of a campaign.

    :param since: Unix milliseconds.
    :param now: Unix milliseconds; events with a later time do not count yet.
    """

    def __init__(self, client: SalesBlinkClient, campaign_id: str, since: int, now: int) -> None:
        self._hash = client.addresses
        self._campaign_id = campaign_id
        self._since = since
        self._now = now

    def read(self, ask: Callable[[Callable[[], None]], Iterator[Json]]) -> list[_Event]:
        """Return the events of a feed, each once. Read it again if its pages moved: an event may be missing.

        :param ask: takes what to call when pages move, and returns the events.
        """
        found: dict[str, _Event] = {}
        for _ in range(_MOST_READINGS):
            moves: list[bool] = []
            known = len(found)
            found.update(self._kept(ask(lambda moves=moves: moves.append(True))))  # type: ignore[misc]
            if not moves or len(found) == known:
                break
        return list(found.values())

    def _kept(self, events: Iterator[Json]) -> Iterator[tuple[str, _Event]]:
        for event in events:
            # An event without a time was found in the window that was asked for.
            when = self._now if event.get("time") is None else times.milliseconds("time", event["time"])
            of_campaign = decoding.text_id(event, "sequence_id", "sequence") in (None, self._campaign_id)
            if of_campaign and self._since <= when <= self._now:
                yield _identity(event), _Event(when, self._person(event.get("email")))

    def _person(self, email: object) -> bytes | None:
        return self._hash.digest(email) if isinstance(email, str) and email else None


def _why_unclear(health: Health) -> str:
    return (
        f"Campaign {health.campaign_id} may be beyond its limit: {', '.join(health.unclear)}. Some of its mails, or of "
        "what came of them, have no 'email' in SalesBlink's feeds, so it is not clear which mails count. Look at the "
        "campaign in SalesBlink."
    )


def _state(client: SalesBlinkClient, campaign_id: str, *, is_silent: bool) -> str | None:
    """Return the state of a campaign that does not run; None if it runs.

    Only the list of completed campaigns shows that one is completed. A campaign with mails in the window need not be
    looked up there.
    """
    found = client.campaigns.get(campaign_id)
    if found["raw"].get("archived") is True:
        return "archived"
    if found["paused"]:
        return "paused"
    if is_silent and any(each["id"] == campaign_id for each in client.campaigns.in_state("completed")):
        return "completed"
    return None


def _is_reported(event: Json, message: str) -> bool:
    shown = event.get("message")
    return not shown or _REPORTED[message] in str(shown).casefold()


def _identity(event: Json) -> str:
    return decoding.text_id(event) or short_hash(json.dumps(event, sort_keys=True, default=str), 12)


def _time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
