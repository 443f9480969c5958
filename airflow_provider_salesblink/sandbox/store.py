"""What the sandbox remembers: campaigns, people, team. SQLite, in memory or in a file."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import compared, email_of, is_email
from airflow_provider_salesblink.sandbox.options import SandboxUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

IN_MEMORY = ":memory:"
APPLICATION_ID = 0x5A1E5B01  # marks a file as this sandbox's, so that no other database is ever written to

SCHEMA = """
CREATE TABLE IF NOT EXISTS campaign (n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, paused INT);
CREATE TABLE IF NOT EXISTS prospect (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, campaign_id TEXT NOT NULL, address TEXT NOT NULL,
    fields TEXT NOT NULL, unsubscribed INT, changed REAL);
CREATE INDEX IF NOT EXISTS prospect_campaign ON prospect (campaign_id, n);
CREATE INDEX IF NOT EXISTS prospect_address ON prospect (address, n);
CREATE INDEX IF NOT EXISTS prospect_changed ON prospect (changed);
CREATE TABLE IF NOT EXISTS member (n INTEGER PRIMARY KEY, record TEXT NOT NULL);
"""
PERSON = "SELECT id, campaign_id, fields, unsubscribed FROM prospect"


@dataclass(frozen=True)
class CampaignState:
    """A campaign as it stands."""

    id: str
    name: str
    paused: bool


@dataclass(frozen=True)
class Person:
    """A prospect as it stands; ``fields`` are its columns, in the order and spelling they came in."""

    id: str
    campaign_id: str
    email: str
    fields: dict[str, Any]
    unsubscribed: bool


class Store:
    """All state that outlives a request. Every method is one short transaction, safe from any thread."""

    def __init__(self, path: str | Path = IN_MEMORY) -> None:
        self._lock = threading.RLock()
        self._db = _opened(path)

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do all of a block's changes, or none."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def empty(self) -> None:
        """Forget everything."""
        with self.together():
            for table in ("campaign", "prospect", "member"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # the names stand one line above

    # Campaigns

    def add_campaign(self, name: str, *, paused: bool = False, id: str | None = None) -> CampaignState:  # noqa: A002
        """Add a campaign; an id is made up unless given."""
        campaign = CampaignState(id or secrets.token_hex(12), name, paused)
        try:
            self._run("INSERT INTO campaign (id, name, paused) VALUES (?, ?, ?)", campaign.id, name, paused)
        except sqlite3.IntegrityError:
            message = f"There is a campaign with the id '{campaign.id}' already"
            raise SandboxUsageError(message) from None
        return campaign

    def campaigns(self, containing: str = "") -> list[CampaignState]:
        """Campaigns whose name contains a text, whatever its case, in order of adding."""
        found = [_campaign(row) for row in self._run("SELECT id, name, paused FROM campaign ORDER BY n")]
        return [campaign for campaign in found if containing.casefold() in campaign.name.casefold()]

    def campaign(self, campaign_id: str) -> CampaignState | None:
        """One campaign, if it is there."""
        rows = self._run("SELECT id, name, paused FROM campaign WHERE id = ?", campaign_id)
        return _campaign(rows[0]) if rows else None

    def set_paused(self, campaign_id: str, *, paused: bool) -> CampaignState | None:
        """Pause a campaign or let it run on."""
        self._run("UPDATE campaign SET paused = ? WHERE id = ?", paused, campaign_id)
        return self.campaign(campaign_id)

    # People

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> Person:
        """Add a prospect, even where the campaign holds the address: nothing says that SalesBlink would not."""
        person = Person(secrets.token_hex(12), campaign_id, email_of(fields), dict(fields), unsubscribed)
        self._run(
            "INSERT INTO prospect (id, campaign_id, address, fields, unsubscribed, changed) VALUES (?, ?, ?, ?, ?, ?)",
            *(person.id, campaign_id, compared(person.email), json.dumps(person.fields), unsubscribed, time.time()),
        )
        return person

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """People of a campaign, or of all, in order of adding."""
        if campaign_id is None:
            return [_person(row) for row in self._run(f"{PERSON} ORDER BY n")]
        return [_person(row) for row in self._run(f"{PERSON} WHERE campaign_id = ? ORDER BY n", campaign_id)]

    def people_at(self, email: str) -> list[Person]:
        """Everybody with this address, in all campaigns; addresses compare trimmed and case-folded."""
        return [_person(row) for row in self._run(f"{PERSON} WHERE address = ? ORDER BY n", compared(email))]

    def person(self, prospect_id: str) -> Person | None:
        """One prospect, if it is there."""
        rows = self._run(f"{PERSON} WHERE id = ?", prospect_id)
        return _person(rows[0]) if rows else None

    def subscribed(self) -> list[str]:
        """Ids of all who have not opted out, in order of adding."""
        return [
            prospect_id for (prospect_id,) in self._run("SELECT id FROM prospect WHERE NOT unsubscribed ORDER BY n")
        ]

    def change(self, prospect_id: str, key: str, value: str) -> Person | None:
        """Set one column. ``email`` in any case means the column with the address, however it is spelt."""
        with self._lock:
            person = self.person(prospect_id)
            if person is None:
                return None
            spelt = next((column for column in person.fields if is_email(column)), key) if is_email(key) else key
            fields = person.fields | {spelt: value}
            self._run(
                "UPDATE prospect SET fields = ?, address = ?, changed = ? WHERE id = ?",
                *(json.dumps(fields), compared(email_of(fields)), time.time(), prospect_id),
            )
            return self.person(prospect_id)

    def unsubscribe(self, prospect_id: str) -> Person | None:
        """Stop all outreach to one prospect, for good."""
        self._run("UPDATE prospect SET unsubscribed = 1, changed = ? WHERE id = ?", time.time(), prospect_id)
        return self.person(prospect_id)

    # Team

    def add_member(self, record: Mapping[str, Any]) -> None:
        """Add a member to the team."""
        self._run("INSERT INTO member (record) VALUES (?)", json.dumps(dict(record)))

    def members(self) -> list[dict[str, Any]]:
        """Members of the team."""
        return [json.loads(record) for (record,) in self._run("SELECT record FROM member ORDER BY n")]

    # For the page

    def counts(self) -> dict[str, tuple[int, int]]:
        """Count the people, and the unsubscribed among them, by campaign id."""
        rows = self._run("SELECT campaign_id, count(*), sum(unsubscribed) FROM prospect GROUP BY campaign_id")
        return {campaign_id: (people, unsubscribed) for campaign_id, people, unsubscribed in rows}

    def lately_changed(self, most: int) -> list[tuple[Person, float]]:
        """Whoever was added or changed last, with the Unix time of it, latest first."""
        rows = self._run(
            "SELECT id, campaign_id, fields, unsubscribed, changed FROM prospect ORDER BY changed DESC, n DESC LIMIT ?",
            most,
        )
        return [(_person(row[:4]), row[4]) for row in rows]

    def _run(self, statement: str, *values: str | float) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()


def _opened(path: str | Path) -> sqlite3.Connection:
    try:
        # Autocommit: what a request changed is written when it is answered.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepared(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        message = f"Cannot use '{path}' as the sandbox's database: {error}"
        raise SandboxUsageError(message) from error
    return db


def _prepared(db: sqlite3.Connection, path: str | Path) -> None:
    (marked,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and marked != APPLICATION_ID:
        message = f"'{path}' is a database of something else; give the sandbox a file of its own"
        raise SandboxUsageError(message)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # With a write-ahead log, NORMAL loses nothing when the process is killed, and costs no disk sync a commit.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(SCHEMA)


def _campaign(row: tuple[Any, ...]) -> CampaignState:
    return CampaignState(row[0], row[1], bool(row[2]))


def _person(row: tuple[Any, ...]) -> Person:
    fields = json.loads(row[2])
    return Person(row[0], row[1], email_of(fields), fields, bool(row[3]))
