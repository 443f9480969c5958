"""What to do with each row, decided before anything is sent.

The plan lives in a private SQLite file that disappears with the process: a million rows, and a million people who are
in the campaign already, take little memory.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.client.columns import EMAIL, differing, is_email
from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.identity import (
    InvalidAddressError,
    addresses_in,
    fingerprint,
    identify,
    read_person,
)
from airflow_provider_salesblink.loading.rows import Reject, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from airflow_provider_salesblink.choices import Mode, OptOuts
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.loading.suppressions import Suppressions

log = logging.getLogger(__name__)

Action = Literal["opt_out", "add", "update", "unsubscribe"]
"""``opt_out`` unsubscribes people who opted out according to the source; ``unsubscribe`` those in no row
of a mirror."""

_TABLES = """
CREATE TABLE known (person BLOB, id TEXT, unsubscribed INTEGER, fields TEXT, is_address INTEGER, is_surely_out INTEGER);
CREATE TABLE seen (person BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID;
CREATE TABLE excluded (person BLOB PRIMARY KEY, is_out INTEGER) WITHOUT ROWID;
CREATE TABLE step (
    number INTEGER, action TEXT, person BLOB, id TEXT, columns TEXT, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE reject (number INTEGER, reason TEXT, columns TEXT);
"""
_IN_DOUBT, _OUT = 0, 1
"""Why a person is excluded: a row leaves open whether they opted out, or says that they did."""
_IN_NO_ROW = "NOT unsubscribed AND id IS NOT NULL AND person NOT IN (SELECT person FROM seen)"
_BATCH = 1000
_ROWS_NAMED = 10
"""Row numbers in one line of the log."""
_CACHE = 64_000
"""Kilobytes of the plan that are kept in memory. With SQLite's usual 2,000, many rows cost more each than few."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to send.

    :param key: its place in the plan.
    :param number: the row it comes from; 0 for people who are in no row.
    :param who: the person, as :func:`addresses.fingerprint` has them.
    :param prospect_id: whom to update or unsubscribe.
    :param columns: of the person to add, or the fields to set.
    """

    key: int
    number: int
    action: Action
    who: bytes
    prospect_id: str | None
    columns: dict[str, str]


@dataclass
class Counts:
    """Number of rows or people per planned action.

    ``rows`` is the sum of ``add``, ``update`` (where each person is in the campaign once), ``there``, ``opted_out``,
    ``repeats`` and ``rejected``. ``opted_out`` includes ``opted_out_elsewhere``, in other campaigns.
    ``opt_out`` and ``unsubscribe`` count people to unsubscribe, ``unclear`` people in no row of a mirror whose own
    address cannot be read.
    """

    rows: int = 0
    add: int = 0
    update: int = 0
    unsubscribe: int = 0
    there: int = 0
    opted_out: int = 0
    repeats: int = 0
    rejected: int = 0
    opt_out: int = 0
    opted_out_elsewhere: int = 0
    in_campaign: int = 0
    subscribed: int = 0
    unclear: int = 0


def _as_json(columns: Mapping[str, Any]) -> str:
    """A refused row as JSON, whatever it holds."""
    try:
        text = json.dumps(dict(columns), ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({ascii(name): type(value).__name__ for name, value in columns.items()})
    # Half a surrogate pair cannot be written to any file.
    return text.encode(errors="replace").decode()


class _RowNumbers:
    """How many rows, and the numbers of the first of them."""

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


class Plan:
    """The decisions for one load.

    :param suppressions: people who must not be mailed.
    :param opt_outs: what to do in ``upsert`` and ``mirror`` with people in the campaign who opted out according to the
        source: ``unsubscribe`` them, or ``skip`` them.
    :param is_surely_out: whether it is SalesBlink that says of an unsubscribed person that they are, and not a column.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        suppressions: Suppressions | None = None,
        opt_outs: OptOuts = "unsubscribe",
        is_surely_out: Callable[[Prospect], bool] = lambda _: True,
    ) -> None:
        self.mode = mode
        self.counts = Counts()
        self._suppressions = suppressions
        self._opt_outs = opt_outs
        self._is_surely_out = is_surely_out
        self._left_in = 0
        self._cleaned = _RowNumbers()
        self._repeated = _RowNumbers()
        # The empty name: a file of SQLite's own that is deleted when it is closed, or when the process dies.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def compare_with(self, people: Iterable[Prospect]) -> None:
        """Take in whom the campaign holds. Call again to look anew."""
        self._database.execute("DELETE FROM known")
        self.counts.in_campaign = self.counts.subscribed = 0
        keep_fields, hidden = self.mode != "insert", 0
        self._database.execute("BEGIN")
        for each in people:
            if each["email"] is None:
                hidden += 1
                continue
            if keep_fields and each["id"] is None:
                raise UnreadableResponseError(f"The campaign's list shows no ids, which mode {self.mode!r} needs.")
            fields = json.dumps(each["fields"], default=str) if keep_fields else None
            # Who is gone from the rows of a mirror is known only of people whose own address can be read.
            who, is_clear = identify(each["email"])
            is_out = bool(each["unsubscribed"])
            is_surely_out = is_out and self._is_surely_out(each)
            known = (who, each["id"], is_out, fields, is_clear, is_surely_out)
            self._database.execute("INSERT INTO known VALUES (?, ?, ?, ?, ?, ?)", known)
            self.counts.in_campaign += 1
            self.counts.subscribed += not each["unsubscribed"]
        self._database.execute("COMMIT")
        if hidden and not self.counts.in_campaign:
            # Everybody would be taken for missing, and added once more.
            raise UnreadableResponseError("The campaign's list shows no addresses, so nobody can be looked for in it.")
        self._database.execute("CREATE INDEX IF NOT EXISTS known_person ON known (person)")

    def decide(
        self, source: Iterator[Row | Reject], check_columns: Callable[[Collection[str]], None] = lambda _: None
    ) -> None:
        """Decide for each row what is to be done.

        :param check_columns: raises where a row has columns that cannot be loaded.
        """
        self._database.execute("BEGIN")
        for row in source:
            self.counts.rows += 1
            if isinstance(row, Reject):
                self._refuse(row)
                self._doubt(row)
            else:
                check_columns(row.columns)
                self._decide(row)
        if self.mode == "mirror":
            self._leave_out_the_rest()
        self._database.execute("COMMIT")
        self._log_findings()

    def _decide(self, row: Row) -> None:
        written = row.columns[EMAIL]
        try:
            address, who = read_person(written)
        except InvalidAddressError as reason:
            reject = Reject(row.number, f"Its {EMAIL!r} is no e-mail address: {reason}.", row.columns, row.opted_out)
            self._refuse(reject)
            self._doubt(reject)
            return
        if address != written:
            self._cleaned.note(row.number)
        is_out = row.opted_out or (self._suppressions is not None and self._suppressions.hold(address))
        first = self._first_row(who, row.number)
        if first is not None:
            self.counts.repeats += 1
            self._repeated.note(row.number)
        if is_out:
            self._opt_out(first, row.number, who)
        elif first is None:
            self._decide_who(row, address, who)

    def _decide_who(self, row: Row, address: str, who: bytes) -> None:
        known = self._known(who)
        if any(unsubscribed for _, unsubscribed, _ in known):
            self.counts.opted_out += 1
        elif known:
            self._decide_there(row, who, known)
        else:
            self._plan(row.number, "add", who, None, {**row.columns, EMAIL: address})

    def _decide_there(self, row: Row, who: bytes, known: list[tuple[str | None, bool, str | None]]) -> None:
        wanted = {name: text for name, text in row.columns.items() if name != EMAIL and text != ""}
        changed = False
        if self.mode != "insert":
            for prospect_id, _, fields in known:
                if prospect_id and (change := differing(json.loads(fields or "{}"), wanted)):
                    self._plan(row.number, "update", who, prospect_id, change)
                    changed = True
        self.counts.there += not changed

    def _opt_out(self, first: int | None, number: int, who: bytes) -> None:
        """Plan what follows from a row whose person opted out.

        :param first: number of the person's earlier row; None where there is none.
        """
        was = self._excluded(who)
        if was == _OUT:
            return
        self._exclude(who, _OUT)
        if was is None:
            # A person in doubt is counted already: their earlier row was refused.
            if first is not None:
                self._take_back(who)
            self.counts.opted_out += 1
        if self.mode == "insert":
            self._left_in += self.holds(who) and not self.opted_out(who)
        elif self._opt_outs == "unsubscribe":
            # A person's own column may say that they opted out while SalesBlink goes on mailing them.
            found = self._database.execute("SELECT id FROM known WHERE person = ? AND NOT is_surely_out", (who,))
            for prospect_id in [prospect_id for (prospect_id,) in found if prospect_id]:
                self._plan(first or number, "opt_out", who, prospect_id, {})

    def _doubt(self, reject: Reject) -> None:
        """Exclude a person where a row leaves open whether they opted out, whatever their other rows say."""
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
            reason = f"Row {number} leaves open whether the same person opted out: mend that row."
            self._refuse(Reject(first, reason, columns))

    def _first_row(self, who: bytes, number: int) -> int | None:
        """Number of the person's earlier row; None where this row is their first."""
        if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (who, number)).rowcount:
            return None
        found = self._database.execute("SELECT number FROM seen WHERE person = ?", (who,)).fetchone()
        return int(found[0])

    def _excluded(self, who: bytes) -> int | None:
        """Why a person is excluded from being added and changed; None where they are not."""
        found = self._database.execute("SELECT is_out FROM excluded WHERE person = ?", (who,)).fetchone()
        return None if found is None else int(found[0])

    def _exclude(self, who: bytes, why: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO excluded VALUES (?, ?)", (who, why))

    def _take_back(self, who: bytes) -> dict[str, str]:
        """Take what was planned for a person out of the plan and its counts; the columns that were planned."""
        # Few plans have rows that contradict each other; the others do without the index.
        self._database.execute("CREATE INDEX IF NOT EXISTS step_person ON step (person)")
        found = self._database.execute("DELETE FROM step WHERE person = ? RETURNING action, columns", (who,)).fetchall()
        for action, _ in found:
            setattr(self.counts, action, getattr(self.counts, action) - 1)
        if not found and self.opted_out(who):
            self.counts.opted_out -= 1
        elif not found:
            self.counts.there -= 1
        return json.loads(found[0][1]) if found else {}

    def _leave_out_the_rest(self) -> None:
        rest = f"SELECT 0, 'unsubscribe', person, id, '{{}}' FROM known WHERE is_address AND {_IN_NO_ROW}"  # noqa: S608
        inserted = self._database.execute(f"INSERT INTO step (number, action, person, id, columns) {rest}")
        self.counts.unsubscribe = inserted.rowcount
        found = self._database.execute(f"SELECT count(*) FROM known WHERE NOT is_address AND {_IN_NO_ROW}")  # noqa: S608
        self.counts.unclear = int(found.fetchone()[0])

    def _log_findings(self) -> None:
        if self._left_in:
            log.warning(
                "People who opted out according to the source, and who are in the campaign: %s. Mode 'insert' "
                "leaves them there; 'upsert' unsubscribes them.", f"{self._left_in:,}",
            )  # fmt: skip
        if self._cleaned:
            log.info("Cleaned the addresses of %s: blanks, invisible characters, mailto: or names.", self._cleaned)
        if self._repeated:
            log.info("Repeats of a person: %s. The first row of each person counts.", self._repeated)

    def _plan(
        self, number: int, action: Action, who: bytes, prospect_id: str | None, columns: Mapping[str, str]
    ) -> None:
        step = (number, action, who, prospect_id, json.dumps(columns, ensure_ascii=False))
        self._database.execute("INSERT INTO step (number, action, person, id, columns) VALUES (?, ?, ?, ?, ?)", step)
        setattr(self.counts, action, getattr(self.counts, action) + 1)

    def _refuse(self, reject: Reject) -> None:
        self.counts.rejected += 1
        row = (reject.number, reject.reason, _as_json(reject.columns))
        self._database.execute("INSERT INTO reject VALUES (?, ?, ?)", row)

    def _known(self, who: bytes) -> list[tuple[str | None, bool, str | None]]:
        return self._database.execute("SELECT id, unsubscribed, fields FROM known WHERE person = ?", (who,)).fetchall()

    def opted_out(self, who: bytes) -> bool:
        """Whether the campaign holds the person as unsubscribed."""
        return any(unsubscribed for _, unsubscribed, _ in self._known(who))

    def holds(self, who: bytes) -> bool:
        """Whether the campaign holds the person."""
        return bool(self._known(who))

    def steps(self, action: Action) -> Iterator[Step]:
        """What is still to be sent, in the order of the rows. Steps may be settled meanwhile."""
        last = 0
        while True:
            found = self._database.execute(
                "SELECT rowid, number, action, person, id, columns FROM step "
                "WHERE NOT done AND action = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                (action, last, _BATCH),
            ).fetchall()
            if not found:
                return
            for last, number, kind, who, prospect_id, columns in found:
                yield Step(last, number, kind, who, prospect_id, json.loads(columns))

    def to_send(self, action: Action) -> int:
        """How many steps of a kind are still to be sent."""
        found = self._database.execute("SELECT count(*) FROM step WHERE NOT done AND action = ?", (action,))
        return int(found.fetchone()[0])

    def calls_to_send(self, action: Action) -> int:
        """Return how many requests the steps of a kind take: an update is one for each field."""
        if action != "update":
            return self.to_send(action)
        found = self._database.execute(
            "SELECT count(*) FROM step, json_each(step.columns) WHERE NOT done AND action = 'update'"
        )
        return int(found.fetchone()[0])

    def mark_done(self, step: Step) -> None:
        """Note that a step needs no more sending."""
        self._database.execute("UPDATE step SET done = 1 WHERE rowid = ?", (step.key,))

    def refuse(self, step: Step, reason: str) -> None:
        """Note that SalesBlink refused a step."""
        self.mark_done(step)
        self.counts.opted_out -= step.action == "opt_out"
        self._refuse(Reject(step.number, reason, step.columns or {"prospect_id": step.prospect_id}))

    def opt_out(self, step: Step) -> None:
        """Note that somebody who was to be added has opted out, in another campaign."""
        self.mark_done(step)
        self.counts.add -= 1
        self.counts.opted_out += 1
        self.counts.opted_out_elsewhere += 1

    def drop(self, action: Action) -> int:
        """Take all steps of a kind out of the plan; how many there were."""
        return self._database.execute("DELETE FROM step WHERE action = ? AND NOT done", (action,)).rowcount

    def rejects(self) -> Iterator[Reject]:
        """The rows that cannot be loaded, in their order."""
        found = self._database.execute("SELECT number, reason, columns FROM reject ORDER BY number, rowid")
        for number, reason, columns in found:
            yield Reject(number, reason, json.loads(columns))
