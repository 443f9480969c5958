"""A snapshot of a campaign: one row for each person, with the person's state there, on both APIs."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.identity import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.client import Prospect

log = logging.getLogger(__name__)

Row = dict[str, Any]

COLUMNS = {
    "id": "text",
    "campaign_id": "text",
    "email": "text",
    "unsubscribed": "boolean",
    "status": "text",
    "fields": "json",
}
"""The columns of a row, in this order, and their types."""

_CACHE = 32_768
"""KiB of the people that are in memory at once; the others are in a temporary file."""
_ID = b"id "
_TABLES = """
CREATE TABLE now (number INTEGER PRIMARY KEY, key BLOB UNIQUE, row TEXT, is_out INTEGER);
CREATE TABLE earlier (key BLOB PRIMARY KEY, row TEXT, who BLOB);
CREATE INDEX earlier_who ON earlier (who);
"""
_BOTH = "now LEFT JOIN earlier USING (key)"
_GONE = "earlier WHERE NOT EXISTS (SELECT 1 FROM now WHERE now.key = earlier.key)"


def row_of(person: Prospect) -> Row:
    """Return the row of a person.

    ``status`` is the person's state in the campaign. Only the API v1 has one; a column of the person's own with this
    name is in ``fields``.
    """
    return {
        "id": person["id"],
        "campaign_id": person["campaign_id"],
        "email": person["email"],
        "unsubscribed": person["unsubscribed"],
        "status": getattr(person["fields"], "status", None),
        "fields": dict(person["fields"]),
    }


class People:
    """The people of a campaign now and, to compare, at an earlier time. They are in a temporary file, not in memory.

    The id says who a person is. Somebody without an id has the id that their address had at the earlier time; if there
    is none either, the address says who they are.
    """

    def __init__(self) -> None:
        # With an empty name, SQLite uses a temporary file that is deleted when it is closed or the process dies.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")
        self._repeated = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def read(self, people: Iterable[Prospect]) -> None:
        """Take in everybody who is in the campaign now. If a person comes twice, the last row counts.

        :raises UnreadableResponseError: two people with different addresses have the same id.
        """
        for person in people:
            row = self._with_known_id(row_of(person))
            new = (_key(row), _as_text(row), row["unsubscribed"] is True)
            insert = "INSERT OR IGNORE INTO now (key, row, is_out) VALUES (?, ?, ?)"
            if not self._database.execute(insert, new).rowcount:
                self._replace(row, new)
        if self._repeated:
            log.warning("Rows that repeat a person: %s. The last row of each person counts.", f"{self._repeated:,}")

    def _replace(self, row: Row, new: tuple[bytes, str, bool]) -> None:
        key, text, is_out = new
        (known,) = self._database.execute("SELECT row FROM now WHERE key = ?", (key,)).fetchone()
        addresses = {_who(json.loads(known)), _who(row)} - {b""}
        if len(addresses) > 1:
            raise UnreadableResponseError(
                "SalesBlink lists two people with different addresses under one id, so a snapshot cannot say who is "
                "who. Run the task again; if it fails again, look for people of this campaign who have the same id."
            )
        self._database.execute("UPDATE now SET row = ?, is_out = ? WHERE key = ?", (text, is_out, key))
        self._repeated += 1

    def _with_known_id(self, row: Row) -> Row:
        # The API v1 shows no id of a lead that is on no list any more, but in the campaign.
        if row["id"] or not row["email"]:
            return row
        found = self._database.execute("SELECT key FROM earlier WHERE who = ? LIMIT 2", (_who(row),)).fetchall()
        if len(found) != 1 or not found[0][0].startswith(_ID):
            return row
        return {**row, "id": found[0][0].removeprefix(_ID).decode(errors="surrogatepass")}

    def read_earlier(self, rows: Iterable[Row]) -> None:
        """Take in everybody who was in the campaign at the earlier time. Call it before :meth:`read`."""
        keyed = ((_key(row), _as_text(row), _who(row)) for row in rows)
        self._database.executemany("INSERT OR REPLACE INTO earlier VALUES (?, ?, ?)", keyed)

    def counts(self) -> dict[str, int]:
        """Return the number of people, and of those who are shown as unsubscribed."""
        found = self._database.execute("SELECT count(*), coalesce(sum(is_out), 0) FROM now").fetchone()
        return dict(zip(("count", "unsubscribed"), found, strict=True))

    def counts_of_changes(self) -> dict[str, int]:
        """Return the number of people who appeared, changed and left since the earlier time."""
        sums = "coalesce(sum(earlier.row IS NULL), 0), coalesce(sum(earlier.row != now.row), 0)"
        appeared, changed = self._database.execute(f"SELECT {sums} FROM {_BOTH}").fetchone()  # noqa: S608
        (left,) = self._database.execute(f"SELECT count(*) FROM {_GONE}").fetchone()  # noqa: S608
        return {"appeared": appeared, "changed": changed, "left": left}

    def rows(self) -> Iterator[Row]:
        """Yield the row of everybody who is in the campaign now, in SalesBlink's order."""
        for (text,) in self._database.execute("SELECT row FROM now ORDER BY number"):
            found = json.loads(text)
            yield {name: found[name] for name in COLUMNS}

    def pairs(self) -> Iterator[tuple[str | None, str | None]]:
        """Yield the earlier row and the row of now of everybody, as JSON, in the order of their ids.

        The first is None for people who appeared, the second for people who left.
        """
        both = f"SELECT key, earlier.row, now.row FROM {_BOTH}"  # noqa: S608
        gone = f"SELECT key, row, NULL FROM {_GONE}"  # noqa: S608
        for _, earlier, now in self._database.execute(f"{both} UNION ALL {gone} ORDER BY 1"):
            yield earlier, now


def _as_text(row: Row) -> str:
    """Return a row as JSON, which is the same for the same values."""
    return json.dumps(row, sort_keys=True, default=str)


def _key(row: Row) -> bytes:
    if row["id"]:
        return _ID + str(row["id"]).encode(errors="surrogatepass")
    return b"address " + _who(row) if row["email"] else b"row " + _as_text(row).encode()


def _who(row: Row) -> bytes:
    return fingerprint(row["email"]) if row["email"] else b""
