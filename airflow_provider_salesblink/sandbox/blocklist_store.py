"""Stores the blocklists: addresses and domains that get no mail. Each user has an own list."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.sandbox.addresses import normalize_email

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Run = Callable[..., list[tuple[Any, ...]]]

SCHEMA = """
CREATE TABLE IF NOT EXISTS blocked (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, owner TEXT NOT NULL, entry TEXT NOT NULL, shows_at REAL NOT NULL,
    created REAL NOT NULL, UNIQUE (owner, entry));
CREATE INDEX IF NOT EXISTS blocked_entry ON blocked (entry);
"""
User = Literal["administrator", "member"]
ADMINISTRATOR: User = "administrator"


@dataclass(frozen=True)
class BlockedEntry:
    """An entry of a blocklist.

    :param entry: an address or a domain, in lower case.
    :param by: the user whose blocklist it is on.
    :param created: Unix time when it was added.
    """

    id: str
    entry: str
    by: User
    created: float

    @property
    def kind(self) -> Literal["email", "domain"]:
        """Return whether the entry is an address or a domain."""
        return "email" if "@" in self.entry else "domain"


class BlocklistStore:
    """The blocklists in the sandbox's database.

    :param run: executes a statement with its values, and returns the rows.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def add(self, entries: Iterable[str], *, by: User = ADMINISTRATOR, delay: float = 0) -> None:
        """Block addresses and domains. An entry that is there already stays as it is.

        :param delay: seconds until the API shows the entries. Mail is blocked at once.
        """
        now = time.time()
        for entry in filter(None, map(normalize_email, entries)):
            self._run(
                "INSERT OR IGNORE INTO blocked (id, owner, entry, shows_at, created) VALUES (?, ?, ?, ?, ?)",
                *(str(uuid.uuid4()), by, entry, now + delay, now),
            )

    def remove(self, entries: Iterable[str], *, by: User = ADMINISTRATOR) -> None:
        """Unblock addresses and domains."""
        for entry in map(normalize_email, entries):
            self._run("DELETE FROM blocked WHERE owner = ? AND entry = ?", by, entry)

    def remove_id(self, entry_id: str, *, by: User = ADMINISTRATOR) -> bool:
        """Unblock one entry, and return whether it was there."""
        return bool(self._run("DELETE FROM blocked WHERE owner = ? AND id = ? RETURNING id", by, entry_id))

    def clear(self, *, by: User = ADMINISTRATOR) -> None:
        """Remove all entries of one user."""
        self._run("DELETE FROM blocked WHERE owner = ?", by)

    def blocks(self, email: str) -> bool:
        """Return whether the address or its domain is blocked by any user, ignoring case."""
        address = normalize_email(email)
        domain = address.rpartition("@")[2]
        return bool(self._run("SELECT 1 FROM blocked WHERE entry IN (?, ?) LIMIT 1", address, domain))

    def entries(
        self, search: str | None = None, kind: str | None = None, *, by: User = ADMINISTRATOR
    ) -> list[BlockedEntry]:
        """Return the entries of one user that the API shows, in the order they were added.

        :param search: text that an entry must contain, ignoring case.
        :param kind: ``email`` or ``domain``.
        """
        rows = self._run(
            "SELECT id, entry, owner, created FROM blocked WHERE owner = ? AND shows_at <= ? ORDER BY n",
            *(by, time.time()),
        )
        found = [BlockedEntry(*row) for row in rows]
        return [entry for entry in found if normalize_email(search or "") in entry.entry and kind in {None, entry.kind}]
