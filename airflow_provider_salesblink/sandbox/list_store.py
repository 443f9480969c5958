"""Stores the lists of leads, and which sequences use them."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.blocklist_store import ADMINISTRATOR
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.records import ListState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_salesblink.sandbox.blocklist_store import Run, User

LEAD_LIST = "SELECT id, name, archived, owner, settings, columns, created, modified FROM lead_list"


@dataclass(frozen=True)
class LeadList:
    """A list of leads.

    :param owner: the user who made it.
    :param settings: what the API's callers set, for example ``starred``.
    :param columns: its columns, under the names of the v1 API.
    :param created: Unix time.
    :param modified: Unix time.
    """

    id: str
    name: str
    archived: bool
    owner: User
    settings: dict[str, Any]
    columns: list[str]
    created: float
    modified: float

    @property
    def state(self) -> ListState:
        """Return what the sandbox's Python interface shows."""
        return ListState(self.id, self.name, self.archived)


class ListStore:
    """The lists in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def add(self, name: str, *, id: str | None = None, owner: User = ADMINISTRATOR, **settings: Any) -> LeadList:  # noqa: A002
        """Add a list, with a random id by default. Several lists may have one name."""
        now = time.time()
        added = LeadList(id or str(uuid.uuid4()), name, False, owner, settings, [], now, now)
        try:
            self._run(
                "INSERT INTO lead_list (id, name, owner, settings, created, modified) VALUES (?, ?, ?, ?, ?, ?)",
                *(added.id, name, owner, json.dumps(settings), now, now),
            )
        except sqlite3.IntegrityError:
            message = f"A list with the id '{added.id}' already exists"
            raise SandboxUsageError(message) from None
        return added

    def all(self) -> list[LeadList]:
        """Return all lists, in the order they were added."""
        return [_lead_list(row) for row in self._run(f"{LEAD_LIST} ORDER BY n")]

    def get(self, list_id: str) -> LeadList | None:
        """Return a list, or None if it does not exist."""
        rows = self._run(f"{LEAD_LIST} WHERE id = ?", list_id)
        return _lead_list(rows[0]) if rows else None

    def update(self, found: LeadList, changes: Mapping[str, Any]) -> None:
        """Change the name and the settings of a list."""
        settings = found.settings | {name: value for name, value in changes.items() if name != "name"}
        self._run(
            "UPDATE lead_list SET name = ?, settings = ?, modified = ? WHERE id = ?",
            *(changes.get("name", found.name), json.dumps(settings), time.time(), found.id),
        )

    def set_archived(self, list_id: str, *, archived: bool) -> None:
        """Archive or restore a list."""
        self._run("UPDATE lead_list SET archived = ?, modified = ? WHERE id = ?", archived, time.time(), list_id)

    def add_columns(self, list_id: str, names: Iterable[str]) -> None:
        """Add the columns that a list does not have yet."""
        for (columns,) in self._run("SELECT columns FROM lead_list WHERE id = ?", list_id):
            known = json.loads(columns)
            if new := [name for name in dict.fromkeys(names) if name not in known]:
                self._run("UPDATE lead_list SET columns = ? WHERE id = ?", json.dumps([*known, *new]), list_id)

    def size(self, list_id: str, *, with_archived: bool = False) -> int:
        """Return the number of leads, by default without those that are archived."""
        sql = "SELECT count(*) FROM prospect WHERE list_id = ? AND (? OR NOT archived)"
        ((size,),) = self._run(sql, list_id, with_archived)
        return int(size)

    def attach(self, campaign_id: str, list_ids: Iterable[str]) -> None:
        """Make a sequence use exactly these lists, in this order."""
        self._run("DELETE FROM attached WHERE campaign_id = ?", campaign_id)
        for list_id in dict.fromkeys(list_ids):
            self._run("INSERT INTO attached (campaign_id, list_id) VALUES (?, ?)", campaign_id, list_id)

    def of_campaign(self, campaign_id: str) -> list[str]:
        """Return the ids of the lists of a sequence."""
        rows = self._run("SELECT list_id FROM attached WHERE campaign_id = ? ORDER BY n", campaign_id)
        return [list_id for (list_id,) in rows]


def _lead_list(row: tuple[Any, ...]) -> LeadList:
    list_id, name, archived, owner, settings, columns, created, modified = row
    return LeadList(list_id, name, bool(archived), owner, json.loads(settings), json.loads(columns), created, modified)
