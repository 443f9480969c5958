"""Reservations in a file that the processes of a machine share."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

from airflow_provider_salesblink.loading.reservations import HELD_FOR, Holder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

LOCK_TIMEOUT = 60.0


class FileReservations:
    """Reservations in a file that the processes of this machine share."""

    def __init__(self, path: Path, scope: str, owner: str, *, held_for: float = HELD_FOR) -> None:
        self._path = path
        self._scope = scope
        self._owner = owner
        self._held_for = held_for
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database:
            # No write-ahead log: switching to it does not wait for others who open the file at the same moment.
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "CREATE TABLE IF NOT EXISTS reservation "
                "(scope TEXT, person BLOB, owner TEXT, until REAL, PRIMARY KEY (scope, person)) WITHOUT ROWID"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS at_work (scope TEXT, owner TEXT, since REAL, PRIMARY KEY (scope, owner))"
            )
            database.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=LOCK_TIMEOUT, isolation_level=None)

    def acquire(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; return those of ``people`` that it holds now."""
        now = time.time()
        with closing(self._open()) as database:
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM reservation WHERE until < ?", (now,))
            own = {who for who in people if self._reserve(database, who, now)}
            database.execute("DELETE FROM at_work WHERE since < ?", (now - self._held_for,))
            database.execute("INSERT OR REPLACE INTO at_work VALUES (?, ?, ?)", (self._scope, self._owner, now))
            database.execute("COMMIT")
        return own

    def renew(self, people: Sequence[bytes]) -> bool:
        """Restart the life of reservations and mark the load as active; return whether this load holds them all."""
        now = time.time()
        with closing(self._open()) as database:
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("BEGIN IMMEDIATE")
            held = database.executemany(
                "UPDATE reservation SET until = ? WHERE scope = ? AND person = ? AND owner = ? AND until >= ?",
                [(now + self._held_for, self._scope, who, self._owner, now) for who in people],
            ).rowcount
            database.execute("INSERT OR REPLACE INTO at_work VALUES (?, ?, ?)", (self._scope, self._owner, now))
            database.execute("COMMIT")
        return held == len(people)

    def held(self, people: Sequence[bytes]) -> set[bytes]:
        """Return those of ``people`` that this load, or an earlier run of it, has reserved."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT person FROM reservation WHERE scope = ? AND owner = ? AND until >= ?",
                (self._scope, self._owner, time.time()),
            )
            own = {who for (who,) in found}
        return own.intersection(people)

    def complete_since(self) -> float:
        """Return minus infinity: a file loses nothing."""
        return -math.inf

    def idle_owner(self, who: bytes) -> str | None:
        """Return the owner of a person's reservation if it is idle; None if it is active or there is none."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT owner FROM reservation WHERE scope = ? AND person = ? AND NOT EXISTS "
                "(SELECT * FROM at_work WHERE at_work.scope = reservation.scope AND at_work.owner = reservation.owner)",
                (self._scope, who),
            ).fetchone()
        return str(found[0]) if found else None

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT person, owner, EXISTS "
                "(SELECT * FROM at_work WHERE at_work.scope = reservation.scope AND at_work.owner = reservation.owner) "
                "FROM reservation WHERE scope = ? AND owner <> ? AND until >= ?",
                (self._scope, self._owner, time.time()),
            ).fetchall()
        return {who: Holder(owner, bool(is_active)) for who, owner, is_active in found if who in people}

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner that is still idle; return whether it worked."""
        now = time.time()
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            taken = database.execute(
                "UPDATE reservation SET owner = ?, until = ? "
                "WHERE scope = ? AND person = ? AND owner = ? AND NOT EXISTS "
                "(SELECT * FROM at_work WHERE at_work.scope = reservation.scope AND at_work.owner = reservation.owner)",
                (self._owner, now + self._held_for, self._scope, who, idle_owner),
            ).rowcount
            database.execute("INSERT OR REPLACE INTO at_work VALUES (?, ?, ?)", (self._scope, self._owner, now))
            database.execute("COMMIT")
        return bool(taken)

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        with closing(self._open()) as database:
            database.executemany(
                "DELETE FROM reservation WHERE scope = ? AND person = ? AND owner = ?",
                [(self._scope, who, self._owner) for who in people],
            )

    def idle_for(self) -> float:
        """Return the seconds since an unfinished earlier run of this load was active; infinite if there is none."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT since FROM at_work WHERE scope = ? AND owner = ?", (self._scope, self._owner)
            ).fetchone()
        return max(0.0, time.time() - found[0]) if found else math.inf

    def finish(self) -> None:
        """Mark the load as idle: none of its requests is under way."""
        with closing(self._open()) as database:
            database.execute("DELETE FROM at_work WHERE scope = ? AND owner = ?", (self._scope, self._owner))

    def _reserve(self, database: sqlite3.Connection, who: bytes, now: float) -> bool:
        return bool(
            database.execute(
                "INSERT INTO reservation VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET until = excluded.until WHERE owner = excluded.owner",
                (self._scope, who, self._owner, now + self._held_for),
            ).rowcount
        )
