"""Decide for each row what to do, before anything is sent: add, update, leave alone, unsubscribe or reject."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.client.columns import EMAIL, differing, is_email
from airflow_provider_salesblink.client.identity import InvalidAddressError, addresses_in, fingerprint, read_person
from airflow_provider_salesblink.loading.rows import Reject, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from airflow_provider_salesblink.choices import OptOuts
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.suppressions import Suppressions

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE seen (person BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE excluded (person BLOB PRIMARY KEY, is_out INTEGER) WITHOUT ROWID;
"""
_IN_DOUBT, _OUT = 0, 1
"""Why a person is excluded: a row leaves open whether they opted out, or says that they did."""
_OUT_IN_SOURCE = "The source or the suppression list says that the person opted out."
_OUT_IN_CAMPAIGN = "The person is unsubscribed in the campaign."
_IN_NO_ROW = "NOT unsubscribed AND id IS NOT NULL AND person NOT IN (SELECT person FROM seen)"
_ROWS_NAMED = 10
"""Row numbers in one line of the log."""


class _RowNumbers:
    """A number of rows, and the numbers of the first of them."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def note(self, number: int) -> None:
        self._count += 1
        if len(self._first) < _ROWS_NAMED:
            self._first.append(f"{number:,}")

    def __bool__(self) -> bool:
        return self._count > 0

    def __str__(self) -> str:
        more = ", ..." if self._count > len(self._first) else ""
        return f"{self._count:,} row{'s' * (self._count != 1)} ({', '.join(self._first)}{more})"


class Planner:
    """Fills a plan from the rows of a source.

    :param suppressions: people who must not be mailed.
    :param opt_outs: what all modes but ``insert`` do with people in the campaign who opted out according to the source:
        ``unsubscribe`` them, or ``skip`` them.
    :param fill_empty: whether to set only fields that are empty in SalesBlink.
    :param column_values: makes a mapping of a prospect's fields that finds them under the names that users write.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        suppressions: Suppressions | None = None,
        opt_outs: OptOuts = "unsubscribe",
        fill_empty: bool = False,
        column_values: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        self._plan = plan
        self._mode = plan.mode
        self._counts = plan.counts
        self._suppressions = suppressions
        self._opt_outs = opt_outs
        self._fill_empty = fill_empty
        self._column_values = column_values
        self._still_subscribed = 0
        self._cleaned = _RowNumbers()
        self._repeated = _RowNumbers()
        self._outcomes = plan.outcomes
        self._database = plan.database
        self._database.executescript(_TABLES)

    def decide(
        self, source: Iterator[Row | Reject], check_columns: Callable[[Collection[str]], None] = lambda _: None
    ) -> None:
        """Decide for each row what to do.

        :param check_columns: raises when a row has columns that cannot be loaded.
        """
        self._database.execute("BEGIN")
        for row in source:
            self._counts.rows += 1
            if isinstance(row, Reject):
                self._reject(row)
            else:
                check_columns(row.columns)
                self._decide_row(row)
        if self._mode == "mirror":
            self._unsubscribe_missing()
        self._database.execute("COMMIT")
        self._log_findings()

    def _decide_row(self, row: Row) -> None:
        written = row.columns[EMAIL]
        try:
            address, who = read_person(written)
        except InvalidAddressError as reason:
            invalid = f"Its {EMAIL!r} is not an e-mail address: {reason}."
            self._reject(Reject(row.number, invalid, row.columns, row.opted_out))
            return
        if address != written:
            self._cleaned.note(row.number)
        is_out = row.opted_out or (self._suppressions is not None and self._suppressions.hold(address))
        first = self._first_row(who, row.number)
        if first is not None:
            self._counts.repeats += 1
            self._repeated.note(row.number)
            self._outcomes.note(row.number, "repeats", address, who, reason=f"Row {first} has the same person.")
        elif is_out:
            self._outcomes.note(row.number, "opted_out", address, who, reason=_OUT_IN_SOURCE, is_first=True)
        if is_out:
            self._opt_out(first, row.number, who)
        elif first is None:
            self._decide_person(row, address, who)

    def _decide_person(self, row: Row, address: str, who: bytes) -> None:
        known, word, reason = self._plan.known(who), "add", None
        if any(unsubscribed for _, unsubscribed, _ in known):
            self._counts.opted_out += 1
            word, reason = "opted_out", _OUT_IN_CAMPAIGN
        elif known:
            word = self._decide_update(row, who, known)
        elif self._mode == "update":
            self._counts.missing += 1
            word = "missing"
        else:
            self._plan.add_step(row.number, "add", who, None, {**row.columns, EMAIL: address})
        self._outcomes.note(row.number, word, address, who, reason=reason, is_first=True)

    def _decide_update(
        self, row: Row, who: bytes, known: list[tuple[str | None, bool, str | None]]
    ) -> Literal["update", "there"]:
        wanted = {name: text for name, text in row.columns.items() if name != EMAIL and text != ""}
        changed = False
        if self._mode != "insert":
            for prospect_id, _, fields in known:
                if prospect_id and fields is not None and (change := self._differing(fields, wanted)):
                    self._plan.add_step(row.number, "update", who, prospect_id, change)
                    changed = True
        self._counts.there += not changed
        return "update" if changed else "there"

    def _differing(self, fields: str | None, wanted: dict[str, str]) -> dict[str, str]:
        return differing(self._column_values(json.loads(fields or "{}")), wanted, only_empty=self._fill_empty)

    def _opt_out(self, first: int | None, number: int, who: bytes) -> None:
        """Plan what follows from a row whose person opted out.

        :param first: number of the person's earlier row; None if there is none.
        """
        was = self._excluded(who)
        if was == _OUT:
            return
        self._exclude(who, _OUT)
        if was is None:
            # A person in doubt is counted already, because their earlier row was rejected.
            if first is not None:
                self._take_back(who)
                self._outcomes.change(who, "opted_out", _OUT_IN_SOURCE)
            self._counts.opted_out += 1
        if self._mode == "insert":
            self._still_subscribed += self._plan.holds(who) and not self._plan.opted_out(who)
        elif self._opt_outs == "unsubscribe":
            # A column of the person's may say that they opted out while SalesBlink still mails them.
            found = self._database.execute("SELECT id FROM known WHERE person = ? AND NOT is_surely_out", (who,))
            for prospect_id in [prospect_id for (prospect_id,) in found if prospect_id]:
                self._plan.add_step(first or number, "opt_out", who, prospect_id, {})

    def _reject(self, reject: Reject) -> None:
        """Reject a row. If it leaves open whether its person opted out, exclude them whatever their other rows say."""
        self._plan.reject(reject)
        self._outcomes.note_reject(reject)
        if not reject.blocks_person:
            return
        for cell in (str(value) for name, value in reject.columns.items() if is_email(str(name))):
            for address in addresses_in(cell):
                self._exclude_in_doubt(fingerprint(address), reject.number)

    def _exclude_in_doubt(self, who: bytes, number: int) -> None:
        first = self._first_row(who, number)
        if self._excluded(who) is not None:
            return
        self._exclude(who, _IN_DOUBT)
        if first is not None:
            columns = self._take_back(who)
            reason = f"Row {number} leaves open whether the same person opted out: fix that row."
            self._plan.reject(Reject(first, reason, columns, blocks_person=True))
            self._outcomes.change(who, "rejected", reason)

    def _first_row(self, who: bytes, number: int) -> int | None:
        """Return the number of the person's earlier row; None if this row is their first."""
        if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (who, number)).rowcount:
            return None
        found = self._database.execute("SELECT number FROM seen WHERE person = ?", (who,)).fetchone()
        return int(found[0])

    def _excluded(self, who: bytes) -> int | None:
        """Return why a person is not to be added or changed; None if they may be."""
        found = self._database.execute("SELECT is_out FROM excluded WHERE person = ?", (who,)).fetchone()
        return None if found is None else int(found[0])

    def _exclude(self, who: bytes, why: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO excluded VALUES (?, ?)", (who, why))

    def _take_back(self, who: bytes) -> dict[str, str]:
        """Remove a person's steps from the plan and its counts; return the columns that were planned."""
        # Few plans have rows that contradict each other; the others do without the index.
        self._database.execute("CREATE INDEX IF NOT EXISTS step_person ON step (person)")
        found = self._database.execute("DELETE FROM step WHERE person = ? RETURNING action, columns", (who,)).fetchall()
        for action, _ in found:
            setattr(self._counts, action, getattr(self._counts, action) - 1)
        if not found and self._plan.opted_out(who):
            self._counts.opted_out -= 1
        elif not found and self._plan.holds(who):
            self._counts.there -= 1
        elif not found:
            self._counts.missing -= 1
        return json.loads(found[0][1]) if found else {}

    def _unsubscribe_missing(self) -> None:
        rest = f"SELECT 0, 'unsubscribe', person, id, '{{}}' FROM known WHERE is_address AND {_IN_NO_ROW}"  # noqa: S608
        inserted = self._database.execute(f"INSERT INTO step (number, action, person, id, columns) {rest}")
        self._counts.unsubscribe = inserted.rowcount
        found = self._database.execute(f"SELECT count(*) FROM known WHERE NOT is_address AND {_IN_NO_ROW}")  # noqa: S608
        self._counts.unclear = int(found.fetchone()[0])

    def _log_findings(self) -> None:
        if self._still_subscribed:
            log.warning(
                "People who opted out according to the source, and who are in the campaign: %s. Mode 'insert' "
                "leaves them there; 'upsert' unsubscribes them.", f"{self._still_subscribed:,}",
            )  # fmt: skip
        if self._counts.missing:
            log.info(
                "Rows not loaded, because the person is not in the campaign and mode 'update' adds nobody: %s.",
                f"{self._counts.missing:,}",
            )
        if self._cleaned:
            log.info("Cleaned the addresses of %s: blanks, invisible characters, mailto: or names.", self._cleaned)
        if self._repeated:
            log.info("Repeats of a person: %s. The first row of each person counts.", self._repeated)
