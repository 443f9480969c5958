"""Figures of a report: how many mails were sent, opened and so on, by day, by mailbox and by campaign."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_salesblink.results.windows import Window

    Row = Mapping[str, Any]

MEASURES = ("sent", "opens", "clicks", "replies", "bounces", "unsubscribes")
"""What is counted, named as SalesBlink's totals are."""
ADDED = "added"
"""How many people were added: a measure that only some sources have."""
Added = Literal["outcomes", "first_mails"]
"""Where the numbers of people added come from: files of outcomes, or each person's first mail."""

LONGEST_NAME = 160
"""Characters of a name that a report shows."""

_OF_FEED = {name: name for name in ("sent", "opens", "clicks", "replies")}
_OF_REPORT = {"bounced": "bounces", "unsubscribed": "unsubscribes"}
_TABLE = """
PRAGMA cache_size = -8000;
CREATE TABLE event (key INTEGER PRIMARY KEY, measure TEXT, time INTEGER, person INTEGER, campaign INTEGER,
    mailbox INTEGER);
"""
_BATCH = 5_000
_DAY = 24 * 3600 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True)
class Group:
    """The counts of a campaign, of a mailbox, or of everything together.

    :param id: SalesBlink's id; None where the events do not say.
    :param events: how many events there are of each measure.
    :param people: how many people these are, each counted once; None where the events do not say.
    """

    id: str | None
    name: str
    events: Counter[str]
    people: Counter[str] | None = None


@dataclass(frozen=True)
class Figures:
    """What a report shows.

    :param days: the counts of each UTC day on which something happened, in their order.
    :param campaigns: the counts of each campaign, the one with most mails first; empty if there are none of them.
    :param newest: the time of the newest event; None without one.
    :param added: what "people added" means here; None if the source does not say.
    :param nameless: events that do not say whose they are.
    :param future: events that are left out because their time has not come yet.
    :param undated: events that are left out because they have no time.
    :param is_by_salesblink: whether SalesBlink itself counted, so that nothing is known of single events.
    :param missing: the measures that are not known, because their feeds were not extracted.
    """

    total: Group
    days: dict[date, Counter[str]]
    mailboxes: list[Group]
    campaigns: list[Group] = field(default_factory=list)
    newest: datetime | None = None
    added: Added | None = None
    nameless: int = 0
    future: int = 0
    undated: int = 0
    is_by_salesblink: bool = False
    missing: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to show."""
        return not self.days


class EventTally:
    """Counts events as they are read. A repeated event counts once.

    What it needs to know of each event, about 40 bytes, is in a temporary file, so memory does not grow with the number
    of events. It grows with the numbers of campaigns and mailboxes.

    :param window: only events in it count.
    :param campaign_id: only this campaign's events count; None for all campaigns.
    :param reference: returns what to show as the id of a mailbox, which may be an address.
    """

    def __init__(self, window: Window, campaign_id: str | None, reference: Callable[[str | None], str | None]) -> None:
        self._window = window
        self._campaign_id = campaign_id
        self._reference = reference
        self._numbers: dict[str | None, int] = {None: 0}
        self._names: dict[str, tuple[int, str]] = {}
        self._mailboxes: dict[str | None, int] = {}
        self._left_out = Counter[str]()
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLE)

    def add(self, rows: Iterable[Row], now: datetime) -> None:
        """Count rows of event files. Those after ``now`` are left out."""
        self._insert(filter(None, (self._record(row, now) for row in rows)))

    def add_outcomes(self, rows: Iterable[Row]) -> None:
        """Count the people who were added, from rows of outcomes files."""
        self._insert(filter(None, map(self._added, rows)))

    def figures(self, names: Mapping[str, str], added: Added | None) -> Figures:
        """Return the figures.

        :param names: campaign's id -> name, of campaigns whose events have no name.
        :param added: what to count as people added.
        """
        has_people = self._has_people()
        people = self._people("0") if has_people else {}
        days = self._days()
        if added == "first_mails":
            added = "first_mails" if has_people else None
            for day, count in self._first_mails():
                days[day][ADDED] = count
        newest = self._one("SELECT max(time) FROM event WHERE measure != 'added'")
        return Figures(
            total=Group(None, "", sum(days.values(), Counter()), people.get(0, Counter()) if has_people else None),
            days=days,
            mailboxes=self._groups("mailbox", {}, {}),
            campaigns=self._groups("campaign", names, self._people("campaign") if has_people else {}),
            newest=None if newest is None else _EPOCH + timedelta(milliseconds=newest),
            added=added,
            nameless=self._one("SELECT count(*) FROM event WHERE person IS NULL AND measure != 'added'"),
            future=self._left_out["future"],
            undated=self._left_out["undated"],
        )

    def unnamed(self) -> list[str]:
        """Return the ids of the campaigns whose events have no name."""
        found = self._database.execute("SELECT DISTINCT campaign FROM event WHERE campaign != 0").fetchall()
        ids = {number: each for each, number in self._numbers.items()}
        return sorted(each for (number,) in found if (each := ids[number]) and each not in self._names)

    def name(self, campaign_id: str) -> str | None:
        """Return the newest name that the events have of a campaign; None if they have none."""
        return clean_name(self._names[campaign_id][1]) if campaign_id in self._names else None

    def close(self) -> None:
        """Delete the temporary file."""
        self._database.close()

    # Reading rows.

    def _record(self, row: Row, now: datetime) -> tuple[Any, ...] | None:
        measure = measure_of(row)
        if measure is None or (self._campaign_id is not None and row.get("sequence_id") != self._campaign_id):
            return None
        time = None if row.get("time") is None else _time(row["time"])
        if time is not None and time not in self._window:
            return None
        if time is None or time > now:
            self._left_out["undated" if time is None else "future"] += 1
            return None
        at, campaign = _milliseconds(time), row.get("sequence_id")
        if campaign and row.get("sequence_name"):
            self._names[campaign] = max(self._names.get(campaign, (0, "")), (at, row["sequence_name"]))
        who = row.get("person") or row.get("lead_id") or row.get("email")
        mailbox = self._number_of_mailbox(row.get("sender"))
        person = _key(who) if who else None
        return _key(row["feed"], str(row["id"])), measure, at, person, self._number(campaign), mailbox

    def _added(self, row: Row) -> tuple[Any, ...] | None:
        if row["outcome"] != "added":
            return None
        time = _time(row["time"])
        if time not in self._window:
            return None
        key = _key(ADDED, str(row["person"]), str(row["prospect_id"]), row["time"])
        return key, ADDED, _milliseconds(time), None, 0, 0

    def _number_of_mailbox(self, sender: str | None) -> int:
        if sender not in self._mailboxes:
            self._mailboxes[sender] = self._number(self._reference(sender))
        return self._mailboxes[sender]

    def _number(self, text: str | None) -> int:
        return self._numbers.setdefault(text or None, len(self._numbers))

    def _insert(self, records: Iterator[tuple[Any, ...]]) -> None:
        self._database.execute("BEGIN")
        while batch := list(islice(records, _BATCH)):
            self._database.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)", batch)
        self._database.execute("COMMIT")

    # Counting them.

    def _days(self) -> dict[date, Counter[str]]:
        found = self._database.execute(
            f"SELECT time / {_DAY} AS day, measure, count(*) FROM event GROUP BY day, measure ORDER BY day"  # noqa: S608
        )
        days: dict[date, Counter[str]] = {}
        for day, measure, count in found:
            days.setdefault(_date(day), Counter())[measure] = count
        return days

    def _first_mails(self) -> list[tuple[date, int]]:
        found = self._database.execute(
            f"SELECT first / {_DAY} AS day, count(*) FROM "  # noqa: S608
            "(SELECT min(time) AS first FROM event WHERE measure = 'sent' AND person IS NOT NULL GROUP BY person) "
            "GROUP BY day"
        )
        return [(_date(day), count) for day, count in found]

    def _people(self, group: str) -> dict[int, Counter[str]]:
        return self._counters(
            f"SELECT {group}, measure, count(DISTINCT person) FROM event "  # noqa: S608
            "WHERE measure != 'added' GROUP BY 1, 2"
        )

    def _groups(self, column: str, names: Mapping[str, str], people: Mapping[int, Counter[str]]) -> list[Group]:
        ids = {number: text for text, number in self._numbers.items()}
        counters = self._counters(
            f"SELECT {column}, measure, count(*) FROM event WHERE measure != 'added' GROUP BY 1, 2"  # noqa: S608
        )
        groups = [
            Group(ids[number], self._shown_name(ids[number], names), events, people.get(number))
            for number, events in counters.items()
        ]
        return sorted(groups, key=by_size)

    def _shown_name(self, group_id: str | None, names: Mapping[str, str]) -> str:
        if group_id is None:
            return ""
        found = self.name(group_id) or names.get(group_id)
        return found or clean_name(group_id)

    def _counters(self, statement: str) -> dict[int, Counter[str]]:
        found: dict[int, Counter[str]] = {}
        for group, measure, count in self._database.execute(statement):
            found.setdefault(group, Counter())[measure] = count
        return found

    def _has_people(self) -> bool:
        """Return whether events say whose they are; no events at all are those of nobody."""
        return bool(
            self._one(
                "SELECT NOT EXISTS (SELECT * FROM event WHERE measure != 'added') "
                "OR EXISTS (SELECT * FROM event WHERE person IS NOT NULL)"
            )
        )

    def _one(self, statement: str) -> Any:  # noqa: ANN401  # what a database holds
        return self._database.execute(statement).fetchone()[0]


def measure_of(row: Row) -> str | None:
    """Return what an event counts as; None if it is not counted."""
    if row["feed"] == "reports":
        return _OF_REPORT.get(str(row.get("message") or "").casefold())
    return _OF_FEED.get(row["feed"])


def measures_of(feed: str) -> tuple[str, ...]:
    """Return the measures that come from a feed."""
    return tuple(_OF_REPORT.values()) if feed == "reports" else (_OF_FEED[feed],)


def by_size(group: Group) -> tuple[int, str, str]:
    """Return by what to sort groups: the one with most mails first."""
    return -group.events["sent"], group.name.casefold(), group.id or ""


def clean_name(name: str) -> str:
    """Return a name as a page can show it: on one line, not too long, and without addresses."""
    line = redacted(_CONTROL.sub(" ", name).encode("utf-8", "replace").decode()).strip()
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}…"


def _key(*texts: str) -> int:
    """Return a number for texts. Among a million events, two have the same one once in 30 million reports."""
    joined = "\0".join(texts).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), signed=True)


def _time(text: object) -> datetime:
    """Return the time of a row.

    :raises InvalidInputError: it is not ISO text with a time zone.
    """
    try:
        time: datetime | None = datetime.fromisoformat(str(text))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidInputError(
            "A row of the files has a time that is not ISO text with a time zone: extract it again."
        )
    return time


def _milliseconds(time: datetime) -> int:
    return int((time - _EPOCH) / timedelta(milliseconds=1))


def _date(day: int) -> date:
    return (_EPOCH + timedelta(days=day)).date()
