"""The outcome of every row of a load: what became of it, why, when, and whose row it is, without an address."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.client.columns import is_email
from airflow_provider_salesblink.client.identity import InvalidAddressError, read_address
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.json_text import json_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.loading.plan_steps import Step
    from airflow_provider_salesblink.loading.rows import Reject

log = logging.getLogger(__name__)

Word = Literal[
    "added", "updated", "there", "opted_out", "repeats", "rejected", "taken_by_others", "missing",
    "not_sent", "in_doubt",
]  # fmt: skip
"""The outcome of a row. Only a load that fails or is deferred leaves the last two; the others are counts in XCom."""

_TABLE = """
CREATE TABLE outcome (number INTEGER, who BLOB, person BLOB, word TEXT, reason TEXT, prospect_id TEXT, time REAL,
    is_first INTEGER);
"""
_AFTER_ALL = {"added": "added", "in_doubt": "added", "updated": "updated", "taken_by_others": "taken_by_others"}
"""Outcome in one part of a load -> outcome in the next part, of a person who is in the campaign by then."""
_SHORTEST_PRIVATE = 3
"""Characters. A shorter cell shows nothing of a person, and is part of many words."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row.

    :param row: the row's number, as the source counts.
    :param person: the keyed hash of the row's address in hexadecimal; None where the row has no readable address.
    :param reason: why, without an address or a cell of the row; None where there is nothing to explain.
    :param prospect_id: the person's id in the campaign; None where it is not known.
    :param time: when the outcome was certain.
    """

    row: int
    person: str | None
    outcome: str
    reason: str | None
    prospect_id: str | None
    time: datetime

    def as_json_line(self) -> str:
        """Return the outcome as a line of the outcomes file."""
        # Written out, because this is a good part of the time that a row takes.
        return (
            f'{{"row": {self.row}, "person": {_as_json(self.person)}, "outcome": "{self.outcome}", '
            f'"reason": {_as_json(self.reason)}, "prospect_id": {_as_json(self.prospect_id)}, '
            f'"time": "{self.time.isoformat(timespec="milliseconds")}"}}\n'
        )


class RowOutcomes:
    """The outcomes of a load's rows, in the database of its plan. Without a hash, it keeps none.

    A row has one outcome. Rows of a person after the first one are ``repeats``; the person's first row has the outcome
    of the person.
    """

    def __init__(self, database: sqlite3.Connection, address_hash: AddressHash | None) -> None:
        self._database = database
        self._hash = address_hash
        self._has_index = False
        if self._hash is not None:
            self._database.executescript(_TABLE)

    # Noting outcomes.

    def note(
        self, number: int, word: str, address: str, who: bytes, *, reason: str | None = None, is_first: bool = False
    ) -> None:
        """Note the outcome of a row with an address.

        :param word: an outcome, or the planned action ``add`` or ``update``.
        :param is_first: whether it is the person's first row.
        """
        if self._hash is not None:
            self._insert(number, who, self._hash.digest(address), word, reason, is_first)

    def note_reject(self, reject: Reject) -> None:
        """Note a row that cannot be loaded."""
        if self._hash is not None:
            address = _address_in(reject.columns)
            person = None if address is None else self._hash.digest(address)
            self._insert(reject.number, None, person, "rejected", reject.reason, is_first=False)

    def change(self, who: bytes, word: str, reason: str | None = None, prospect_id: str | None = None) -> None:
        """Change the outcome of a person's first row. A rejected row stays rejected."""
        if self._hash is None:
            return
        self._index()
        self._database.execute(
            "UPDATE outcome SET word = ?, reason = ?, prospect_id = coalesce(?, prospect_id), time = ? "
            "WHERE is_first AND who = ? AND word != 'rejected'",
            (word, reason, prospect_id, time.time(), who),
        )

    def refuse(self, step: Step, reason: str) -> None:
        """Note that SalesBlink refused what was planned for a person.

        :param reason: SalesBlink's answer, which may repeat cells of the row.
        """
        private = sorted((text for text in step.columns.values() if len(text) >= _SHORTEST_PRIVATE), key=len)
        self.change(step.who, "rejected", redacted(reason, *reversed(private)))

    def continue_from(self, earlier: Iterable[Mapping[str, Any]]) -> None:
        """Take over what an earlier part of the same load did: its people are in the campaign now.

        :param earlier: the records of its outcomes file.
        """
        if self._hash is None:
            return
        self._database.execute("CREATE INDEX IF NOT EXISTS outcome_hash ON outcome (person) WHERE is_first")
        unread = 0
        for record in earlier:
            try:
                self._continue_row(record)
            except (KeyError, TypeError, ValueError, AttributeError):
                unread += 1
        if unread:
            log.warning("Lines of the earlier part's outcomes file that are not outcomes: %s.", f"{unread:,}")

    def _continue_row(self, record: Mapping[str, Any]) -> None:
        word, when = record["outcome"], datetime.fromisoformat(record["time"])
        row = (record["row"], bytes.fromhex(record["person"])) if word in _AFTER_ALL else None
        if row is not None:
            self._database.execute(
                "UPDATE outcome SET word = ?, prospect_id = ?, time = ? "
                "WHERE person = ? AND is_first AND word = 'there'",
                (_AFTER_ALL[word], record["prospect_id"], when.timestamp(), row[1]),
            )
        if row is not None and word == "in_doubt":
            # What the part before sent may still be under way, and this part may end before it is.
            self._database.execute(
                "UPDATE outcome SET word = 'in_doubt', reason = ? WHERE person = ? AND is_first AND word = 'add'",
                (record["reason"], row[1]),
            )

    def conclude(self, in_doubt: Iterable[int], *, is_sent: bool) -> None:
        """Note what became of the steps that are not done.

        :param in_doubt: the keys of the steps that may have been carried out.
        :param is_sent: whether a dry run came to the point where they would have been sent.
        """
        if is_sent:
            planned = "CASE word WHEN 'add' THEN 'added' WHEN 'update' THEN 'updated' ELSE word END"
            self._database.execute(f"UPDATE outcome SET word = {planned}")  # noqa: S608
            return
        self._database.execute(
            "UPDATE outcome SET word = 'not_sent', reason = NULL "
            "WHERE is_first AND word NOT IN ('rejected', 'in_doubt') "
            "AND who IN (SELECT person FROM step WHERE NOT done AND action != 'unsubscribe')"
        )
        for key in in_doubt:
            found = self._database.execute("SELECT person FROM step WHERE rowid = ?", (key,))
            for (who,) in found.fetchall():
                self.change(who, "in_doubt", "SalesBlink may have carried it out: the next run finds out.")

    # Reading them.

    def counts(self) -> dict[str, int]:
        """Return the number of rows with each outcome."""
        return dict(self._database.execute("SELECT word, count(*) FROM outcome GROUP BY word"))

    def each(self) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the rows."""
        known = "coalesce(prospect_id, (SELECT id FROM known WHERE known.person = who AND id IS NOT NULL LIMIT 1))"
        found = self._database.execute(
            f"SELECT number, person, word, reason, {known}, time FROM outcome ORDER BY rowid"  # noqa: S608
        )
        for number, person, word, reason, prospect_id, when in found:
            hashed = None if person is None else person.hex()
            yield Outcome(number, hashed, word, reason, prospect_id, datetime.fromtimestamp(when, UTC))

    def _insert(
        self, number: int, who: bytes | None, person: bytes | None, word: str, reason: str | None, is_first: bool
    ) -> None:
        record = (number, who, person, word, reason, time.time(), is_first)
        self._database.execute("INSERT INTO outcome VALUES (?, ?, ?, ?, ?, NULL, ?, ?)", record)

    def _index(self) -> None:
        # Built when it is first needed, because filling a table with an index takes longer.
        if not self._has_index:
            self._database.execute("CREATE INDEX outcome_person ON outcome (who) WHERE is_first")
            self._has_index = True


def _as_json(text: str | None) -> str:
    if text is None:
        return "null"
    return f'"{text}"' if text.isascii() and text.isalnum() else json_text(text)


def _address_in(columns: Mapping[Any, Any]) -> str | None:
    """Return the address of a rejected row, if it has a readable one."""
    found = [str(value) for name, value in columns.items() if is_email(str(name))]
    try:
        return read_address(found[0]) if found else None
    except InvalidAddressError:
        return None
