"""Stores the events of people: mails sent, opened and clicked, replies, bounces and opt-outs."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.sandbox.addresses import normalize_email
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_salesblink.sandbox.clock import Clock

    Run = Callable[..., list[tuple[Any, ...]]]

QUARTER_HOUR = 15 * 60 * 1000
SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, time INT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL,
    lead_id TEXT, email TEXT NOT NULL, address TEXT NOT NULL, sequence_id TEXT, arrives INT NOT NULL,
    extra TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_time ON event (time, n, arrives);
CREATE INDEX IF NOT EXISTS event_message ON event (message, time, n, arrives);
CREATE INDEX IF NOT EXISTS event_arrives ON event (arrives, n, message, time);
CREATE INDEX IF NOT EXISTS event_address ON event (address, n);
CREATE INDEX IF NOT EXISTS event_lead ON event (lead_id, n);
CREATE INDEX IF NOT EXISTS event_sequence ON event (sequence_id, time, n, message, arrives);
"""
COLUMNS = "id, time, type, message, lead_id, email, sequence_id, arrives, extra"
EVENT = f"SELECT {COLUMNS} FROM event"  # noqa: S608  # constants
INSERT = f"INSERT INTO event ({COLUMNS}, address) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants
# The plus keeps SQLite from using the index of the arrivals: nearly all events have arrived.
ARRIVED = "+arrives <= ?"
PENDING = "arrives > ?"
# SQLite estimates that a range of times selects few events, and would sort them by their arrivals.
BY_ARRIVAL = "INDEXED BY event_arrives"
Order = Literal["newest", "oldest", "arrival", "shuffled_ties"]
# The number in braces makes the order of events of the same millisecond another one each time.
ORDERS: dict[Order, str] = {
    "newest": "time DESC, n DESC",
    "oldest": "time ASC, n ASC",
    "arrival": "arrives DESC, n DESC",
    "shuffled_ties": "time DESC, n * {} % 10007",
}
Group = Literal["all", "email", "sender", "quarter_hour"]
GROUPS: dict[Group, str] = {
    "all": "''",
    "email": "email",
    "sender": "json_extract(extra, '$.sender')",
    "quarter_hour": f"time / {QUARTER_HOUR}",
}
OUTREACH = "outreach"
# One a line: the tool that builds the docs does not resolve imports of names that are assigned together.
SENT = "Sent"
OPENED = "Opened"
CLICKED = "Clicked"
REPLIED = "Replied"
BOUNCED = "Bounced"
UNSUBSCRIBED = "Unsubscribed"
ERROR = "Error"


@dataclass(frozen=True)
class Event:
    """Something that happened to a person.

    :param time: Unix milliseconds. It may lie in the future.
    :param type: kind of log entry, for example ``outreach``.
    :param message: what happened, for example ``Sent``.
    :param arrives: Unix milliseconds from which the API shows the event.
    :param extra: further fields of the API, for example ``sender`` or ``link``.
    """

    id: str
    time: int
    type: str
    message: str
    lead_id: str | None
    email: str
    sequence_id: str | None
    arrives: int
    extra: dict[str, Any]


@dataclass(frozen=True)
class EventFilter:
    """Which events to return. None means all.

    :param since: earliest time in Unix milliseconds.
    :param until: latest time in Unix milliseconds.
    :param since_is_included: whether an event at exactly ``since`` is returned.
    :param until_is_included: whether an event at exactly ``until`` is returned.
    """

    type: str | None = None
    message: str | None = None
    lead_id: str | None = None
    email: str | None = None
    sequence_id: str | None = None
    sender: str | None = None
    node: str | None = None
    since: int | None = None
    until: int | None = None
    since_is_included: bool = True
    until_is_included: bool = True

    def conditions(self) -> dict[str, Any]:
        """Return the SQL conditions with their values."""
        address = None if self.email is None else normalize_email(self.email)
        found = {
            "type = ?": self.type,
            "message = ?": self.message,
            "lead_id = ?": self.lead_id,
            "address = ?": address,
            "sequence_id = ?": self.sequence_id,
            "json_extract(extra, '$.sender') = ?": self.sender,
            "json_extract(extra, '$.node') = ?": self.node,
            "time >= ?" if self.since_is_included else "time > ?": self.since,
            "time <= ?" if self.until_is_included else "time < ?": self.until,
        }
        return {condition: value for condition, value in found.items() if value is not None}


EVERYTHING = EventFilter()


@dataclass
class Totals:
    """Numbers of events.

    :param counts: the number of events with each message.
    :param last: time of the last event in Unix milliseconds.
    """

    counts: Counter[str] = field(default_factory=Counter)
    last: int = 0

    def add(self, counts: Mapping[str, int], last: int) -> None:
        """Add the numbers of other events."""
        self.counts.update(counts)
        self.last = max(self.last, last)


class EventStore:
    """The event log in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    :param clock: decides which events have arrived.
    """

    def __init__(self, run: Run, clock: Clock) -> None:
        self._run = run
        self._clock = clock

    def record(
        self,
        *,
        message: str,
        type: str = OUTREACH,  # noqa: A002  # the API's name
        lead_id: str | None = None,
        email: str = "",
        sequence_id: str | None = None,
        time_ms: int | None = None,
        arrives_ms: int | None = None,
        **extra: Any,
    ) -> Event:
        """Add an event, of the first mailbox unless ``extra`` has another ``sender``.

        :param time_ms: Unix milliseconds; now by default. It may lie in the future.
        :param arrives_ms: Unix milliseconds from which the API shows the event; now by default.
        :param extra: further fields of the API, for example ``sender`` or ``link``.
        """
        at = int(time.time() * 1000) if time_ms is None else time_ms
        arrives = self._clock.unix_ms() if arrives_ms is None else arrives_ms
        extra = {"sender": MAILBOXES[0].id, **extra}
        event = Event(str(uuid.uuid4()), at, type, message, lead_id, email, sequence_id, arrives, extra)
        self._run(INSERT, *row_of(event))
        return event

    def find(
        self,
        wanted: EventFilter = EVERYTHING,
        *,
        order: Order = "oldest",
        shuffle: int = 0,
        limit: int = -1,
        skip: int = 0,
        pending: bool = False,
    ) -> list[Event]:
        """Return the events that match.

        :param shuffle: each number gives another order of ties, if ``order`` is ``shuffled_ties``.
        :param limit: number of events at most; -1 = all.
        :param skip: number of events to leave out at the start.
        :param pending: return events that have not arrived yet too.
        """
        where, values = _where(wanted.conditions() | ({} if pending else {ARRIVED: self._clock.unix_ms()}))
        source = f"{EVENT} {BY_ARRIVAL if order == 'arrival' else ''}"
        ordered = ORDERS[order].format(1 + 7919 * shuffle)
        rows = self._run(f"{source} {where} ORDER BY {ordered} LIMIT ? OFFSET ?", *(*values, limit, skip))
        return [Event(*(*row[:-1], json.loads(row[-1]))) for row in rows]

    def totals(self, wanted: EventFilter = EVERYTHING, by: Group = "all") -> dict[Any, Totals]:
        """Return the totals of the events that match and have arrived, by group, in the order of their first events."""
        where, values = _where(wanted.conditions() | {ARRIVED: self._clock.unix_ms()})
        rows = self._run(
            f"SELECT {GROUPS[by]}, message, count(*), max(time) FROM event {where}"  # noqa: S608  # constants of ours
            " GROUP BY 1, 2 ORDER BY min(time), min(n)",
            *values,
        )
        found: dict[Any, Totals] = defaultdict(Totals)
        for group, message, number, last in rows:
            found[group].add({message: number}, last)
        return found

    def total(self, wanted: EventFilter = EVERYTHING) -> Totals:
        """Return the totals of all events that match and have arrived."""
        return self.totals(wanted).get("", Totals())

    def count(self, wanted: EventFilter = EVERYTHING) -> int:
        """Return the number of events that match and have arrived."""
        where, values = _where(wanted.conditions() | {ARRIVED: self._clock.unix_ms()})
        ((found,),) = self._run(f"SELECT count(*) FROM event {where}", *values)  # noqa: S608  # the conditions are ours
        return int(found)

    def let_arrive(self, wanted: EventFilter = EVERYTHING, *, order: Order = "oldest") -> None:
        """Make one event that matches and is still to come arrive now: the first one in this order."""
        now = self._clock.unix_ms()
        where, values = _where(wanted.conditions() | {PENDING: now})
        first = f"SELECT n FROM event {where} ORDER BY {ORDERS[order].format(1)} LIMIT 1"  # noqa: S608  # the conditions are ours
        self._run(f"UPDATE event SET arrives = ? WHERE n = ({first})", now, *values)  # noqa: S608  # the same


def row_of(event: Event) -> tuple[Any, ...]:
    """Return the values of an event for ``INSERT``."""
    *values, extra = vars(event).values()
    return (*values, json.dumps(extra), normalize_email(event.email))


def _where(conditions: dict[str, Any]) -> tuple[str, list[Any]]:
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), list(conditions.values())
