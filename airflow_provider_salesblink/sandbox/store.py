"""Stores the sandbox's campaigns, people and team members in SQLite, in memory or in a file."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import find_email, is_email_column, normalize_email
from airflow_provider_salesblink.sandbox.options import SandboxUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

IN_MEMORY = ":memory:"
APPLICATION_ID = 0x5A1E5B01  # marks a sandbox's file, so that the sandbox never writes to another database

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
    """The current state of a campaign."""

    id: str
    name: str
    paused: bool


@dataclass(frozen=True)
class Person:
    """The current state of a prospect. ``fields`` are its columns, in their original order and spelling."""

    id: str
    campaign_id: str
    email: str
    fields: dict[str, Any]
    unsubscribed: bool


class Store:
    """The database. Each method is one short transaction, and may be called from any thread."""

    def __init__(self, path: str | Path = IN_MEMORY) -> None:
        self._lock = threading.RLock()
        self._db = _open(path)

    def close(self) -> None:
        """Close the database. Do not use the store afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Apply all changes of a ``with`` block, or none if it raises."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def clear(self) -> None:
        """Delete all data."""
        with self.transaction():
            for table in ("campaign", "prospect", "member"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # the names come from the line above

    # Campaigns

    def add_campaign(self, name: str, *, paused: bool = False, id: str | None = None) -> CampaignState:  # noqa: A002
        """Add a campaign, with a random id by default."""
        campaign = CampaignState(id or secrets.token_hex(12), name, paused)
        try:
            self._run("INSERT INTO campaign (id, name, paused) VALUES (?, ?, ?)", campaign.id, name, paused)
        except sqlite3.IntegrityError:
            message = f"A campaign with the id '{campaign.id}' already exists"
            raise SandboxUsageError(message) from None
        return campaign

    def campaigns(self, containing: str = "") -> list[CampaignState]:
        """Return the campaigns whose name contains a text, ignoring case, in the order they were added."""
        found = [_campaign(row) for row in self._run("SELECT id, name, paused FROM campaign ORDER BY n")]
        return [campaign for campaign in found if containing.casefold() in campaign.name.casefold()]

    def campaign(self, campaign_id: str) -> CampaignState | None:
        """Return a campaign, or None if it does not exist."""
        rows = self._run("SELECT id, name, paused FROM campaign WHERE id = ?", campaign_id)
        return _campaign(rows[0]) if rows else None

    def set_paused(self, campaign_id: str, *, paused: bool) -> CampaignState | None:
        """Pause or resume a campaign, and return it, or None if it does not exist."""
        self._run("UPDATE campaign SET paused = ? WHERE id = ?", paused, campaign_id)
        return self.campaign(campaign_id)

    # People

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> Person:
        """Add a prospect, even if the campaign has the address already: SalesBlink documents no check."""
        person = Person(secrets.token_hex(12), campaign_id, find_email(fields), dict(fields), unsubscribed)
        self._run(
            "INSERT INTO prospect (id, campaign_id, address, fields, unsubscribed, changed) VALUES (?, ?, ?, ?, ?, ?)",
            *(person.id, campaign_id, normalize_email(person.email)),
            *(json.dumps(person.fields), unsubscribed, time.time()),
        )
        return person

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """Return the people of one campaign or of all campaigns, in the order they were added."""
        if campaign_id is None:
            return [_person(row) for row in self._run(f"{PERSON} ORDER BY n")]
        return [_person(row) for row in self._run(f"{PERSON} WHERE campaign_id = ? ORDER BY n", campaign_id)]

    def find_people(self, email: str) -> list[Person]:
        """Return the people with an address, in all campaigns, ignoring case and surrounding spaces."""
        return [_person(row) for row in self._run(f"{PERSON} WHERE address = ? ORDER BY n", normalize_email(email))]

    def person(self, prospect_id: str) -> Person | None:
        """Return a prospect, or None if it does not exist."""
        rows = self._run(f"{PERSON} WHERE id = ?", prospect_id)
        return _person(rows[0]) if rows else None

    def subscribed_ids(self) -> list[str]:
        """Return the ids of all people who have not opted out, in the order they were added."""
        return [
            prospect_id for (prospect_id,) in self._run("SELECT id FROM prospect WHERE NOT unsubscribed ORDER BY n")
        ]

    def set_column(self, prospect_id: str, key: str, value: str) -> Person | None:
        """Set one column. ``email`` in any case means the email column, however it is spelled."""
        with self._lock:
            person = self.person(prospect_id)
            if person is None:
                return None
            column = _email_column(person, default=key) if is_email_column(key) else key
            fields = person.fields | {column: value}
            self._run(
                "UPDATE prospect SET fields = ?, address = ?, changed = ? WHERE id = ?",
                *(json.dumps(fields), normalize_email(find_email(fields)), time.time(), prospect_id),
            )
            return self.person(prospect_id)

    def unsubscribe(self, prospect_id: str) -> Person | None:
        """Stop all outreach to a prospect, permanently."""
        self._run("UPDATE prospect SET unsubscribed = 1, changed = ? WHERE id = ?", time.time(), prospect_id)
        return self.person(prospect_id)

    # Team

    def add_member(self, record: Mapping[str, Any]) -> None:
        """Add a member to the team."""
        self._run("INSERT INTO member (record) VALUES (?)", json.dumps(dict(record)))

    def members(self) -> list[dict[str, Any]]:
        """Return the members of the team."""
        return [json.loads(record) for (record,) in self._run("SELECT record FROM member ORDER BY n")]

    # For the page

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the number of people and the number of unsubscribed people of each campaign."""
        rows = self._run("SELECT campaign_id, count(*), sum(unsubscribed) FROM prospect GROUP BY campaign_id")
        return {campaign_id: (people, unsubscribed) for campaign_id, people, unsubscribed in rows}

    def recently_changed(self, most: int) -> list[tuple[Person, float]]:
        """Return the people added or changed last, each with the Unix time of the change, latest first."""
        rows = self._run(
            "SELECT id, campaign_id, fields, unsubscribed, changed FROM prospect ORDER BY changed DESC, n DESC LIMIT ?",
            most,
        )
        return [(_person(row[:4]), row[4]) for row in rows]

    def _run(self, statement: str, *values: str | float) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()


def _open(path: str | Path) -> sqlite3.Connection:
    try:
        # Autocommit: a request's changes are written before its response is sent.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        message = f"Cannot use '{path}' as the sandbox's database: {error}"
        raise SandboxUsageError(message) from error
    return db


def _prepare(db: sqlite3.Connection, path: str | Path) -> None:
    (marked,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and marked != APPLICATION_ID:
        message = f"'{path}' is a database of another application. Choose another file for the sandbox"
        raise SandboxUsageError(message)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # With a write-ahead log, NORMAL loses nothing if the process is killed, and needs no disk sync per commit.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(SCHEMA)


def _email_column(person: Person, *, default: str) -> str:
    return next((column for column in person.fields if is_email_column(column)), default)


def _campaign(row: tuple[Any, ...]) -> CampaignState:
    return CampaignState(row[0], row[1], bool(row[2]))


def _person(row: tuple[Any, ...]) -> Person:
    fields = json.loads(row[2])
    return Person(row[0], row[1], find_email(fields), fields, bool(row[3]))
