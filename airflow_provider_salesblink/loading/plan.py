"""What to do with each row, decided before anything is sent.

The plan lives in a private SQLite file that disappears with the process: a million rows, and a million people who are
in the campaign already, take little memory.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from email_validator import EmailNotValidError, validate_email

from airflow_provider_salesblink.client.addresses import fingerprint
from airflow_provider_salesblink.client.columns import EMAIL, differing
from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.loading.row_numbers import Runs, in_runs
from airflow_provider_salesblink.loading.rows import Reject, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.client.records import Prospect

Mode = Literal["insert", "upsert", "mirror"]
Action = Literal["add", "update", "unsubscribe"]

_TABLES = """
CREATE TABLE known (person BLOB, id TEXT, unsubscribed INTEGER, fields TEXT);
CREATE TABLE seen (person BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE step (
    number INTEGER, action TEXT, person BLOB, id TEXT, columns TEXT, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE reject (number INTEGER, reason TEXT, columns TEXT, readable INTEGER);
"""
_BATCH = 1000
_CACHE = 64_000
"""Kilobytes of the plan that are kept in memory. With SQLite's usual 2,000, many rows cost more each than few."""

Left = dict[str, Any]
"""What :meth:`Plan.left` gives: plain JSON."""


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
    """How many rows, or people, the plan says what of."""

    rows: int = 0
    add: int = 0
    update: int = 0
    unsubscribe: int = 0
    there: int = 0
    opted_out: int = 0
    repeats: int = 0
    rejected: int = 0
    unreadable: int = 0
    in_campaign: int = 0
    subscribed: int = 0


def _as_json(columns: Mapping[str, Any]) -> str:
    """A refused row as JSON, whatever it holds."""
    try:
        text = json.dumps(dict(columns), ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({ascii(name): type(value).__name__ for name, value in columns.items()})
    # Half a surrogate pair cannot be written to any file.
    return text.encode(errors="replace").decode()


class Plan:
    """The decisions for one load."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.counts = Counts()
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
            known = (fingerprint(each["email"]), each["id"], bool(each["unsubscribed"]), fields)
            self._database.execute("INSERT INTO known VALUES (?, ?, ?, ?)", known)
            self.counts.in_campaign += 1
            self.counts.subscribed += not each["unsubscribed"]
        self._database.execute("COMMIT")
        if hidden and not self.counts.in_campaign:
            # Everybody would be taken for missing, and added once more.
            raise UnreadableResponseError("The campaign's list shows no addresses, so nobody can be looked for in it.")
        self._database.execute("CREATE INDEX IF NOT EXISTS known_person ON known (person)")

    def decide(self, source: Iterator[Row | Reject]) -> None:
        """Decide for each row what is to be done."""
        self._database.execute("BEGIN")
        for row in source:
            self.counts.rows += 1
            if isinstance(row, Reject):
                # Even where it shows an address: a mirror must not take the person for gone.
                self.counts.unreadable += 1
                self._refuse(row)
            else:
                self._decide(row)
        if self.mode == "mirror":
            self._leave_out_the_rest()
        self._database.execute("COMMIT")

    def _decide(self, row: Row) -> None:
        address = row.columns[EMAIL].strip()
        who = fingerprint(address)
        if not self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (who,)).rowcount:
            self.counts.repeats += 1
            return
        known = self._known(who)
        if any(unsubscribed for _, unsubscribed, _ in known):
            self.counts.opted_out += 1
        elif not known:
            self._decide_new(row, address, who)
        else:
            self._decide_there(row, who, known)

    def _decide_new(self, row: Row, address: str, who: bytes) -> None:
        try:
            validate_email(address, check_deliverability=False, globally_deliverable=False)
        except EmailNotValidError:
            self._refuse(Reject(row.number, f"Its {EMAIL!r} is no e-mail address.", row.columns), readable=True)
            return
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

    def _leave_out_the_rest(self) -> None:
        self.counts.unsubscribe = self._database.execute(
            "INSERT INTO step (number, action, person, id, columns) SELECT 0, 'unsubscribe', person, id, '{}' "
            "FROM known WHERE NOT unsubscribed AND id IS NOT NULL AND person NOT IN seen"
        ).rowcount

    def _plan(
        self, number: int, action: Action, who: bytes, prospect_id: str | None, columns: Mapping[str, str]
    ) -> None:
        step = (number, action, who, prospect_id, json.dumps(columns, ensure_ascii=False))
        self._database.execute("INSERT INTO step (number, action, person, id, columns) VALUES (?, ?, ?, ?, ?)", step)
        setattr(self.counts, action, getattr(self.counts, action) + 1)

    def _refuse(self, reject: Reject, *, readable: bool = False) -> None:
        self.counts.rejected += 1
        row = (reject.number, reject.reason, _as_json(reject.columns), readable)
        self._database.execute("INSERT INTO reject VALUES (?, ?, ?, ?)", row)

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

    def settle(self, step: Step) -> None:
        """Note that a step needs no more sending."""
        self._database.execute("UPDATE step SET done = 1 WHERE rowid = ?", (step.key,))

    def refuse(self, step: Step, reason: str) -> None:
        """Note that SalesBlink refused a step."""
        self.settle(step)
        self._refuse(Reject(step.number, reason, step.columns), readable=True)

    def opt_out(self, step: Step) -> None:
        """Note that somebody who was to be added has opted out, in another campaign."""
        self.settle(step)
        self.counts.add -= 1
        self.counts.opted_out += 1

    def drop(self, action: Action) -> int:
        """Take all steps of a kind out of the plan; how many there were."""
        return self._database.execute("DELETE FROM step WHERE action = ? AND NOT done", (action,)).rowcount

    def rejects(self) -> Iterator[Reject]:
        """The rows that cannot be loaded, in their order."""
        found = self._database.execute("SELECT number, reason, columns FROM reject ORDER BY number, rowid")
        for number, reason, columns in found:
            yield Reject(number, reason, json.loads(columns))

    def left(self, most: int) -> Left | None:
        """What is still to be sent, in row numbers and ids; None where that is more than ``most`` entries."""

        def listed(entries: Iterable[Any]) -> list[Any]:
            return list(islice(entries, most + 1))

        added = self._database.execute("SELECT number FROM step WHERE NOT done AND action = 'add' ORDER BY number")
        changed = self._database.execute(
            "SELECT number, id, columns FROM step WHERE NOT done AND action = 'update' ORDER BY rowid"
        )
        out = self._database.execute("SELECT id FROM step WHERE NOT done AND action = 'unsubscribe' ORDER BY rowid")
        refused = self._database.execute("SELECT number, reason FROM reject WHERE readable ORDER BY rowid")
        left = {
            "add": listed(in_runs(number for (number,) in added)),
            "update": listed([number, who, list(json.loads(columns))] for number, who, columns in changed),
            "unsubscribe": listed(who for (who,) in out),
            "refused": listed(map(list, refused)),
        }
        return None if sum(map(len, left.values())) > most else {"counts": asdict(self.counts), **left}

    def go_on(self, source: Iterable[Row | Reject], left: Left) -> None:
        """Plan what :meth:`left` said of the same source, without knowing whom the campaign holds."""
        adds, refused = Runs(left["add"]), dict(left["refused"])
        updates: dict[int, list[tuple[str, list[str]]]] = {}
        for number, prospect_id, names in left["update"]:
            updates.setdefault(number, []).append((prospect_id, names))
        self._database.execute("BEGIN")
        for row in source:
            if isinstance(row, Reject):
                self._refuse(row)
                continue
            address = row.columns[EMAIL].strip()
            if row.number in refused:
                self._refuse(Reject(row.number, refused[row.number], row.columns), readable=True)
            elif row.number in adds:
                self._plan(row.number, "add", fingerprint(address), None, {**row.columns, EMAIL: address})
            for prospect_id, names in updates.get(row.number, ()):
                change = {name: row.columns.get(name, "") for name in names}
                self._plan(row.number, "update", fingerprint(address), prospect_id, change)
        for prospect_id in left["unsubscribe"]:
            self._plan(0, "unsubscribe", b"", prospect_id, {})
        self._database.execute("COMMIT")
        self._count(Counts(**left["counts"]))

    def forget(self) -> None:
        """Plan nothing, as at the beginning."""
        for table in ("known", "seen", "step", "reject"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608
        self._count(Counts())

    def _count(self, counts: Counts) -> None:
        for each in fields(counts):
            setattr(self.counts, each.name, getattr(counts, each.name))
