"""Stores the events of people: mails sent, opened and clicked, replies, bounces and opt-outs."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import normalize_email
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., list[tuple[Any, ...]]]

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, time INT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL,
    lead_id TEXT, email TEXT NOT NULL, address TEXT NOT NULL, sequence_id TEXT, extra TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_time ON event (time, n);
CREATE INDEX IF NOT EXISTS event_address ON event (address, n);
CREATE INDEX IF NOT EXISTS event_lead ON event (lead_id, n);
CREATE INDEX IF NOT EXISTS event_sequence ON event (sequence_id, message);
"""
EVENT = "SELECT id, time, type, message, lead_id, email, sequence_id, extra FROM event"
OUTREACH = "outreach"
# One a line: the tool that builds the docs does not resolve imports of names that are assigned together.
SENT = "Sent"
OPENED = "Opened"
CLICKED = "Clicked"
REPLIED = "Replied"
BOUNCED = "Bounced"
UNSUBSCRIBED = "Unsubscribed"


@dataclass(frozen=True)
class Event:
    """Something that happened to a person.

    :param time: Unix milliseconds.
    :param type: kind of log entry, for example ``outreach``.
    :param message: what happened, for example ``Sent``.
    :param extra: further fields of the API, for example ``sender`` or ``link``.
    """

    id: str
    time: int
    type: str
    message: str
    lead_id: str | None
    email: str
    sequence_id: str | None
    extra: dict[str, Any]


@dataclass(frozen=True)
class EventFilter:
    """Which events to return. None means all.

    :param since: earliest time in Unix milliseconds, inclusive.
    :param until: latest time in Unix milliseconds.
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
            "time >= ?": self.since,
            "time <= ?" if self.until_is_included else "time < ?": self.until,
        }
        return {condition: value for condition, value in found.items() if value is not None}


EVERYTHING = EventFilter()


class EventStore:
    """The event log in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def record(
        self,
        *,
        message: str,
        type: str = OUTREACH,  # noqa: A002  # the API's name
        lead_id: str | None = None,
        email: str = "",
        sequence_id: str | None = None,
        time_ms: int | None = None,
        **extra: Any,
    ) -> Event:
        """Add an event, of the first mailbox unless ``extra`` has another ``sender``.

        :param time_ms: Unix milliseconds; now by default.
        :param extra: further fields of the API, for example ``sender`` or ``link``.
        """
        at = int(time.time() * 1000) if time_ms is None else time_ms
        extra = {"sender": MAILBOXES[0].id, **extra}
        event = Event(str(uuid.uuid4()), at, type, message, lead_id, email, sequence_id, extra)
        self._run(
            "INSERT INTO event (id, time, type, message, lead_id, email, address, sequence_id, extra)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(event.id, at, type, message, lead_id, email, normalize_email(email), sequence_id, json.dumps(extra)),
        )
        return event

    def find(
        self, wanted: EventFilter = EVERYTHING, *, newest_first: bool = False, limit: int = -1, skip: int = 0
    ) -> list[Event]:
        """Return the events that match, in the order of their times.

        :param limit: number of events at most; -1 = all.
        :param skip: number of events to leave out at the start.
        """
        where, values = _where(wanted)
        order = "DESC" if newest_first else "ASC"
        rows = self._run(
            f"{EVENT} {where} ORDER BY time {order}, n {order} LIMIT ? OFFSET ?",
            *(*values, limit, skip),
        )
        return [Event(*(*row[:-1], json.loads(row[-1]))) for row in rows]

    def count(self, wanted: EventFilter = EVERYTHING) -> int:
        """Return the number of events that match."""
        where, values = _where(wanted)
        ((found,),) = self._run(f"SELECT count(*) FROM event {where}", *values)  # noqa: S608  # the conditions are ours
        return int(found)


def _where(wanted: EventFilter) -> tuple[str, list[Any]]:
    conditions = wanted.conditions()
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), list(conditions.values())
