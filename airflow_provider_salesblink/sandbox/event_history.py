"""Fills the event log with a past: many mails and what came of them. Some events arrive late, or have future dates."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.activity import HISTORY
from airflow_provider_salesblink.sandbox.event_store import (
    BOUNCED,
    CLICKED,
    ERROR,
    INSERT,
    OPENED,
    OUTREACH,
    REPLIED,
    SENT,
    UNSUBSCRIBED,
    Event,
    row_of,
)
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.options import (
    SandboxUsageError,
    parse_number,
    parse_whole_number,
    require_known,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.sandbox.records import Person
    from airflow_provider_salesblink.sandbox.store import Store

HOUR = 3600 * 1000
DAY = 24 * HOUR
LATEST_ARRIVAL = 2 * DAY
AHEAD = 18 * HOUR
BOUNCES = 0.03
ERRORS = 0.005
# What follows a mail: the event, its share of the mails, and its average distance from the mail in hours.
FOLLOW_UPS = (
    (OPENED, 0.5, 6),
    (OPENED, 0.15, 30),
    (CLICKED, 0.08, 7),
    (REPLIED, 0.05, 24),
    (UNSUBSCRIBED, 0.01, 24),
)
# "client" stands for the fields that SalesBlink's description does not name.
DETAILS: dict[str, dict[str, Any]] = {
    OPENED: {"client": {"name": "Mail", "mobile": True}},
    CLICKED: {"link": "https://example.com/offer", "template_name": "Offer"},
    REPLIED: {"body": "Thank you, that sounds good.", "template_name": "Offer"},
    ERROR: {"body": json.dumps({"message": "The mailbox is full."})},
}


@dataclass(frozen=True)
class History:
    """A past of the people in a sandbox.

    :param events: number of events.
    :param days: how many days ago it begins. It ends now.
    :param late: share of the events that arrive up to two days late; the last of them arrive after now.
    :param future: share of the events that are dated about 18 hours in the future.
    :raises SandboxUsageError: a value is out of range.
    """

    events: int = 100_000
    days: float = 14
    late: float = 0.05
    future: float = 0.001

    def __post_init__(self) -> None:
        for problem in self._problems():
            message = f"{HISTORY}: {problem}"
            raise SandboxUsageError(message)

    def _problems(self) -> Iterable[str]:
        if self.events < 0:
            yield "events must be at least 0"
        if not 0 < self.days <= 3650:
            yield "days must be more than 0 and at most 3650"
        if not (self.late >= 0 and self.future >= 0 and self.late + self.future <= 1):
            yield "late and future are shares of the events: at least 0 each, and at most 1 together"


def parse_histories(text: str) -> list[History]:
    """Return the parts ``history[:events=N][:days=N][:late=share][:future=share]`` of the text form of ``--life``.

    :raises SandboxUsageError: an option is unknown, or a value is out of range.
    """
    parts = [part.strip().split(":") for part in text.split(",")]
    return [History(**dict(map(_option, options))) for name, *options in parts if name == HISTORY]


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    require_known(name, ("events", "days", "late", "future"), f"option of {HISTORY}")
    return name, parse_whole_number(value, name) if name == "events" else parse_number(value, name)


def fill_events(store: Store, history: History, random_seed: int) -> None:
    """Add the events of a history to random people of the store. Only the event log changes.

    The same random seed gives the same ids, and an event that is there already stays as it is. So a sandbox with a
    database file does not grow when it starts again.

    :raises SandboxUsageError: nobody in the store has an address.
    """
    people = [person for person in store.people() if person.email]
    if not people:
        message = f"{HISTORY}: the events need people with an address. Use a seed, or add people first"
        raise SandboxUsageError(message)
    events = _Generator(history, people, store.clock.unix_ms(), random_seed).events()
    rows = (row_of(event) for event in itertools.islice(events, history.events))
    store.run_many(f"{INSERT} ON CONFLICT (id) DO NOTHING", rows)


class _Generator:
    """Makes up events.

    :param now: Unix milliseconds.
    """

    def __init__(self, history: History, people: list[Person], now: int, random_seed: int) -> None:
        self._history = history
        self._people = people
        self._now = now
        self._random = random.Random(random_seed)
        # Ids have random numbers of their own, so that they do not depend on the people.
        self._ids = random.Random(random_seed)

    def events(self) -> Iterator[Event]:
        """Yield events without end."""
        span = int(self._history.days * DAY)
        while True:
            sent = self._now - self._random.randrange(span)
            person = self._random.choice(self._people)
            details = {"sender": self._random.choice(MAILBOXES).id, "node": f"step-{self._random.randint(1, 4)}"}
            for message, distance in self._mail():
                if sent + distance <= self._now:
                    yield self._event(person, message, sent + distance, details | DETAILS.get(message, {}))

    def _mail(self) -> Iterator[tuple[str, int]]:
        """Yield what happens to one mail, with the milliseconds since it was sent."""
        fate = self._random.random()
        if fate < ERRORS:
            yield ERROR, 0
            return
        yield SENT, 0
        if fate < ERRORS + BOUNCES:
            yield BOUNCED, self._random.randrange(HOUR)
            return
        for message, share, hours in FOLLOW_UPS:
            if self._random.random() < share:
                yield message, int(self._random.expovariate(1 / hours) * HOUR)

    def _event(self, person: Person, message: str, at: int, extra: dict[str, Any]) -> Event:
        at, arrives = self._times(at)
        event_id = str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
        return Event(event_id, at, OUTREACH, message, person.id, person.email, person.campaign_id, arrives, extra)

    def _times(self, at: int) -> tuple[int, int]:
        """Return the time that an event shows, and when it arrives."""
        chance = self._random.random()
        if chance < self._history.late:
            return at, at + self._random.randrange(LATEST_ARRIVAL)
        if chance < self._history.late + self._history.future:
            arrives = self._now - self._random.randrange(HOUR)
            return arrives + AHEAD, arrives
        return at, at
