"""Stores the sandbox's data in SQLite, in memory or in a file, as the classic API sees it: campaigns, people, team."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox import blocklist_store, event_store
from airflow_provider_salesblink.sandbox.addresses import is_email_column
from airflow_provider_salesblink.sandbox.blocklist_store import BlocklistStore
from airflow_provider_salesblink.sandbox.clock import Clock
from airflow_provider_salesblink.sandbox.database import IN_MEMORY, open_database
from airflow_provider_salesblink.sandbox.event_store import UNSUBSCRIBED, EventStore
from airflow_provider_salesblink.sandbox.lead_store import PERSON, LeadStore, person_of
from airflow_provider_salesblink.sandbox.list_store import ListStore
from airflow_provider_salesblink.sandbox.mail_ledger import MailLedger
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.records import CampaignState, Person
from airflow_provider_salesblink.sandbox.sequence_store import SequenceStore
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CAMPAIGN = "SELECT id, name, paused, archived FROM campaign"


class Store:
    """The database, as the classic API sees it. Each method is short, and may be called from any thread.

    :ivar rules: how the v1 API behaves where nobody has documented it.
    :ivar clock: decides which imports and late events are due.
    """

    def __init__(self, path: str | Path = IN_MEMORY) -> None:
        self._lock = threading.RLock()
        self._db = open_database(path, blocklist_store.SCHEMA + event_store.SCHEMA)
        self.rules = V1Rules()
        self.clock = Clock()
        self.blocklist = BlocklistStore(self.run)
        self.events = EventStore(self.run, self.clock)
        self.lists = ListStore(self.run)
        self.leads = LeadStore(self.run, self.lists)
        self.sequences = SequenceStore(self.run)
        self.ledger = MailLedger(self.run, self.blocklist, self.events, lambda: self.rules)

    def close(self) -> None:
        """Close the database. Do not use the store afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Apply all changes of a ``with`` block, or none if it raises. A block inside another one is part of it."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
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
            for (table,) in self.run("SELECT name FROM sqlite_master WHERE type = 'table'"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names

    # Campaigns

    def add_campaign(
        self,
        name: str,
        *,
        paused: bool = False,
        id: str | None = None,  # noqa: A002
        lists: Iterable[str] | None = None,
    ) -> CampaignState:
        """Add a campaign, with a random id and a list of its own by default. Its people start if it is running."""
        campaign = CampaignState(id or secrets.token_hex(12), name, paused)
        with self.transaction():
            try:
                self.run(
                    "INSERT INTO campaign (id, name, paused, created) VALUES (?, ?, ?, ?)",
                    *(campaign.id, name, paused, time.time()),
                )
            except sqlite3.IntegrityError:
                message = f"A campaign with the id '{campaign.id}' already exists"
                raise SandboxUsageError(message) from None
            self.lists.attach(campaign.id, [self.lists.add(name).id] if lists is None else lists)
            self.ledger.plan(campaign.id, "attached")
        return campaign

    def campaigns(self, containing: str = "") -> list[CampaignState]:
        """Return the campaigns whose name contains a text, ignoring case, in the order they were added."""
        found = [_campaign(row) for row in self.run(f"{CAMPAIGN} ORDER BY n")]
        return [campaign for campaign in found if containing.casefold() in campaign.name.casefold()]

    def campaign(self, campaign_id: str) -> CampaignState | None:
        """Return a campaign, or None if it does not exist."""
        rows = self.run(f"{CAMPAIGN} WHERE id = ?", campaign_id)
        return _campaign(rows[0]) if rows else None

    def set_paused(self, campaign_id: str, *, paused: bool) -> CampaignState | None:
        """Pause or resume a campaign, and return it, or None if it does not exist. Its people start when it resumes."""
        with self.transaction():
            self.run("UPDATE campaign SET paused = ? WHERE id = ?", paused, campaign_id)
            self.ledger.plan(campaign_id, "unpaused")
            return self.campaign(campaign_id)

    # People

    def add_lead(
        self,
        list_id: str,
        fields: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002
        unsubscribed: bool = False,
        archived: bool = False,
    ) -> str:
        """Add a lead to a list, start it in the running sequences of the list, and return its id."""
        with self.transaction():
            lead_id = self.leads.add(list_id, fields, id=id, unsubscribed=unsubscribed, archived=archived)
            self.ledger.enter(lead_id, "added")
            if unsubscribed:
                self._record_opt_out(lead_id)
        return lead_id

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> Person:
        """Add a prospect, even if the campaign has the address already: SalesBlink documents no check.

        :raises SandboxUsageError: the campaign has no list.
        """
        lists = self.lists.of_campaign(campaign_id)
        if not lists:
            message = f"The campaign '{campaign_id}' has no list. Give it one with add_campaign(..., lists=[...])"
            raise SandboxUsageError(message)
        lead_id = self.add_lead(lists[0], fields, unsubscribed=unsubscribed)
        added = self.leads.get(lead_id)
        assert added is not None  # noqa: S101  # nobody else knows its id yet
        # Another campaign may use the list too.
        return replace(added, campaign_id=campaign_id)

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """Return the people of one campaign or of all campaigns, in the order they were added."""
        return self.leads.all() if campaign_id is None else self.leads.of_campaign(campaign_id)

    def find_people(self, email: str) -> list[Person]:
        """Return the people with an address, in all campaigns, ignoring case and surrounding spaces."""
        return self.leads.with_address(email)

    def person(self, prospect_id: str) -> Person | None:
        """Return a prospect, or None if it does not exist."""
        return self.leads.get(prospect_id)

    def subscribed_ids(self) -> list[str]:
        """Return the ids of all people who have not opted out, in the order they were added."""
        return [prospect_id for (prospect_id,) in self.run("SELECT id FROM prospect WHERE NOT unsubscribed ORDER BY n")]

    def set_column(self, prospect_id: str, key: str, value: str) -> Person | None:
        """Set one column. ``email`` in any case means the email column, however it is spelled."""
        with self._lock:
            person = self.person(prospect_id)
            if person is None:
                return None
            column = _email_column(person, default=key) if is_email_column(key) else key
            self.leads.set_fields(person, person.fields | {column: value})
            return self.person(prospect_id)

    def unsubscribe(self, prospect_id: str) -> Person | None:
        """Stop all outreach to a prospect, permanently. SalesBlink puts the address on the blocklist."""
        with self.transaction():
            self.leads.set_unsubscribed(prospect_id)
            return self._record_opt_out(prospect_id)

    def _record_opt_out(self, prospect_id: str) -> Person | None:
        person = self.person(prospect_id)
        if person:
            self.blocklist.add([person.email], delay=self.rules.blocklist_delay)
            sequences: list[str | None] = [*self.ledger.sequences_of(prospect_id)]
            for sequence_id in sequences or [None]:
                self.events.record(message=UNSUBSCRIBED, lead_id=person.id, email=person.email, sequence_id=sequence_id)
        return person

    # Team

    def add_member(self, record: Mapping[str, Any]) -> None:
        """Add a member to the team."""
        self.run("INSERT INTO member (record) VALUES (?)", json.dumps(dict(record)))

    def members(self) -> list[dict[str, Any]]:
        """Return the members of the team."""
        return [json.loads(record) for (record,) in self.run("SELECT record FROM member ORDER BY n")]

    # For the page

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the number of people and the number of unsubscribed people of each campaign."""
        rows = self.run(
            "SELECT a.campaign_id, count(*), sum(p.unsubscribed) FROM prospect p"
            " JOIN attached a ON a.list_id = p.list_id GROUP BY a.campaign_id"
        )
        return {campaign_id: (people, unsubscribed) for campaign_id, people, unsubscribed in rows}

    def recently_changed(self, most: int) -> list[tuple[Person, float]]:
        """Return the people added or changed last, each with the Unix time of the change, latest first."""
        latest = PERSON.replace(" FROM prospect p", ", p.changed FROM prospect p")
        rows = self.run(f"{latest} ORDER BY p.changed DESC, p.n DESC LIMIT ?", most)
        return [(person_of(row[:-1]), row[-1]) for row in rows]

    def run(self, statement: str, *values: str | float | None) -> list[tuple[Any, ...]]:
        """Execute one SQL statement, and return its rows."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute one SQL statement for each row of values: for all, or for none if one fails."""
        with self.transaction():
            self._db.executemany(statement, rows)


def _email_column(person: Person, *, default: str) -> str:
    return next((column for column in person.fields if is_email_column(column)), default)


def _campaign(row: tuple[Any, ...]) -> CampaignState:
    return CampaignState(row[0], row[1], bool(row[2]), bool(row[3]))
