"""Stores the leads. The classic API calls them prospects."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import find_email, normalize_email
from airflow_provider_salesblink.sandbox.lead_columns import snake_case
from airflow_provider_salesblink.sandbox.records import Person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.sandbox.blocklist_store import Run
    from airflow_provider_salesblink.sandbox.list_store import ListStore

COLUMNS = "p.id, {campaign}, p.fields, p.unsubscribed, p.list_id, p.archived"
FIRST_CAMPAIGN = "coalesce((SELECT campaign_id FROM attached a WHERE a.list_id = p.list_id ORDER BY a.n LIMIT 1), '')"
PERSON = f"SELECT {COLUMNS.format(campaign=FIRST_CAMPAIGN)} FROM prospect p"  # noqa: S608  # constants
PERSON_OF_CAMPAIGN = (
    f"SELECT {COLUMNS.format(campaign='a.campaign_id')} FROM prospect p JOIN attached a ON a.list_id = p.list_id"  # noqa: S608  # constants
)
PLANNED = (
    f"SELECT s.lead_id, s.email, {COLUMNS.format(campaign='s.sequence_id')} FROM planned s"  # noqa: S608  # constants
    " LEFT JOIN prospect p ON p.id = s.lead_id"
)
_PLAIN = re.compile(r"[a-z0-9@._ +-]+")


class LeadStore:
    """The leads in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    """

    def __init__(self, run: Run, lists: ListStore) -> None:
        self._run = run
        self._lists = lists

    def add(
        self,
        list_id: str,
        fields: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002
        unsubscribed: bool = False,
        archived: bool = False,
    ) -> str:
        """Add a lead to a list, even if the address is there already, and return its id."""
        lead_id = id or secrets.token_hex(12)
        self._run(
            "INSERT INTO prospect (id, list_id, address, fields, unsubscribed, archived, changed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(lead_id, list_id, normalize_email(find_email(fields)), json.dumps(dict(fields))),
            *(unsubscribed, archived, time.time()),
        )
        self._lists.add_columns(list_id, map(snake_case, fields))
        return lead_id

    def get(self, lead_id: str) -> Person | None:
        """Return a lead, or None if it does not exist."""
        rows = self._run(f"{PERSON} WHERE p.id = ?", lead_id)
        return person_of(rows[0]) if rows else None

    def with_database_id(self, wanted: str) -> Person | None:
        """Return the lead with a 24-digit database id, or None if it does not exist."""
        ids = (lead_id for (lead_id,) in self._run("SELECT id FROM prospect"))
        return next((self.get(lead_id) for lead_id in ids if database_id(lead_id) == wanted.casefold()), None)

    def all(self) -> list[Person]:
        """Return all leads, in the order they were added."""
        return [person_of(row) for row in self._run(f"{PERSON} ORDER BY p.n")]

    def on_list(
        self,
        list_id: str,
        *,
        archived: bool | None = None,
        text: str = "",
        newest_first: bool = False,
        limit: int = -1,
        skip: int = 0,
    ) -> list[Person]:
        """Return the leads of a list, in the order they were added.

        :param archived: only archived leads, or only the others; all by default.
        :param text: leave out leads that certainly do not contain this text, in lower case. Others may remain.
        :param limit: number of leads at most; -1 = all.
        """
        # The columns are JSON in ASCII, so only plain text stands there as it is.
        plain = text if _PLAIN.fullmatch(text) else "{"
        rows = self._run(
            f"{PERSON} WHERE p.list_id = ? AND instr(lower(p.fields), ?) AND (? IS NULL OR p.archived = ?)"
            f" ORDER BY p.n {'DESC' if newest_first else 'ASC'} LIMIT ? OFFSET ?",
            *(list_id, plain, archived, archived, limit, skip),
        )
        return [person_of(row) for row in rows]

    def duplicates(self, list_id: str) -> list[list[Person]]:
        """Return the leads of a list that share an address with another one, by address, oldest first."""
        rows = self._run("SELECT address FROM prospect WHERE list_id = ? GROUP BY address HAVING count(*) > 1", list_id)
        shared = [self.with_address(address) for (address,) in rows]
        return [[lead for lead in leads if lead.list_id == list_id] for leads in shared]

    def of_campaign(self, campaign_id: str) -> list[Person]:
        """Return the leads of all lists of a sequence, in the order they were added."""
        rows = self._run(f"{PERSON_OF_CAMPAIGN} WHERE a.campaign_id = ? ORDER BY p.n", campaign_id)
        return [person_of(row) for row in rows]

    def planned(self, sequence_id: str, *, limit: int = -1, skip: int = 0) -> list[tuple[str, str, Person | None]]:
        """Return the id and the address of each lead that a sequence has tasks for, and the lead if it still exists.

        :param limit: number of leads at most; -1 = all.
        """
        rows = self._run(
            f"{PLANNED} WHERE s.sequence_id = ? AND NOT s.removed ORDER BY s.n LIMIT ? OFFSET ?",
            *(sequence_id, limit, skip),
        )
        return [(lead_id, email, person_of(row) if row[0] else None) for lead_id, email, *row in rows]

    def with_address(self, email: str) -> list[Person]:
        """Return the leads with an address, on all lists, ignoring case and surrounding spaces."""
        return [
            person_of(row) for row in self._run(f"{PERSON} WHERE p.address = ? ORDER BY p.n", normalize_email(email))
        ]

    def set_fields(self, lead: Person, fields: Mapping[str, Any]) -> None:
        """Replace the columns of a lead."""
        self._run(
            "UPDATE prospect SET fields = ?, address = ?, changed = ? WHERE id = ?",
            *(json.dumps(dict(fields)), normalize_email(find_email(fields)), time.time(), lead.id),
        )
        self._lists.add_columns(lead.list_id, map(snake_case, fields))

    def set_unsubscribed(self, lead_id: str) -> None:
        """Mark a lead as unsubscribed."""
        self._run("UPDATE prospect SET unsubscribed = 1, changed = ? WHERE id = ?", time.time(), lead_id)

    def set_archived(self, lead_id: str, *, archived: bool) -> None:
        """Archive or restore a lead."""
        self._run("UPDATE prospect SET archived = ?, changed = ? WHERE id = ?", archived, time.time(), lead_id)

    def move(self, lead: Person, list_id: str) -> None:
        """Move a lead to another list."""
        self._run("UPDATE prospect SET list_id = ?, changed = ? WHERE id = ?", list_id, time.time(), lead.id)
        self._lists.add_columns(list_id, map(snake_case, lead.fields))

    def delete(self, lead_id: str) -> None:
        """Delete a lead."""
        self._run("DELETE FROM prospect WHERE id = ?", lead_id)


def database_id(lead_id: str) -> str:
    """Return the 24 hexadecimal digits that SalesBlink's database uses for a lead, which may differ from its id."""
    if re.fullmatch("[0-9a-f]{24}", lead_id):
        return lead_id
    return hashlib.sha256(lead_id.encode("utf-8", "replace")).hexdigest()[:24]


def person_of(row: Sequence[Any]) -> Person:
    """Return the lead in a row of ``COLUMNS``."""
    lead_id, campaign_id, columns, unsubscribed, list_id, archived = row
    fields = json.loads(columns)
    return Person(lead_id, campaign_id, find_email(fields), fields, bool(unsubscribed), list_id, bool(archived))
