"""The plan of a load: the people of the campaign, the steps to send, and the rejected rows.

The plan lives in a private SQLite file that disappears with the process, so a million rows and a million people in the
campaign take little memory. A ``Planner`` fills it before anything is sent.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.identity import identify
from airflow_provider_salesblink.loading.outcomes import RowOutcomes
from airflow_provider_salesblink.loading.plan_steps import Counts, Step
from airflow_provider_salesblink.loading.rows import Reject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_salesblink.choices import Mode
    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.loading.outcomes import Word
    from airflow_provider_salesblink.loading.plan_steps import Action

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE known (person BLOB, id TEXT, unsubscribed INTEGER, fields TEXT, is_address INTEGER, is_surely_out INTEGER);
CREATE TABLE step (
    number INTEGER, action TEXT, person BLOB, id TEXT, columns TEXT, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE reject (number INTEGER, reason TEXT, columns TEXT, blocks_person INTEGER);
"""
OUT_ELSEWHERE = "The person opted out in another campaign, or is on SalesBlink's blocklist."
_BATCH = 1000
_CACHE = 64_000
"""Kilobytes of the plan that are kept in memory. With SQLite's usual 2,000, each row of a large load costs more."""


class Plan:
    """The plan of one load.

    :param is_surely_out: whether SalesBlink itself shows a person as unsubscribed, rather than a column of theirs.
    :param one_call_per_update: whether one request sets all fields of a person, instead of one for each field.
    :param shows_every_id: whether a person of the campaign without an id is an error in a mode that needs ids.
    :param address_hash: hashes addresses for the outcomes of the rows; None to keep no outcomes.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        is_surely_out: Callable[[Prospect], bool] = lambda _: True,
        shows_every_id: bool = True,
        one_call_per_update: bool = False,
        address_hash: AddressHash | None = None,
    ) -> None:
        self.mode = mode
        self.counts = Counts()
        self._is_surely_out = is_surely_out
        self._shows_every_id = shows_every_id
        self._one_call_per_update = one_call_per_update
        # With an empty name, SQLite uses a temporary file that is deleted when it is closed or the process dies.
        self.database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.database.execute(f"PRAGMA cache_size = -{_CACHE}")
        self.database.executescript(_TABLES)
        self.outcomes = RowOutcomes(self.database, address_hash)

    @property
    def needs_columns(self) -> bool:
        """Return whether the mode compares the columns of people in the campaign."""
        return self.mode != "insert"

    def close(self) -> None:
        """Delete the plan."""
        self.database.close()

    def compare_with(self, people: Iterable[Prospect]) -> None:
        """Store the people of the campaign, in place of those of an earlier reading.

        :raises UnreadableResponseError: when the list shows no addresses, or no ids in a mode that needs them.
        """
        self.database.execute("DELETE FROM known")
        self.counts.in_campaign = self.counts.subscribed = 0
        keep_fields, hidden, without_id = self.needs_columns, 0, 0
        self.database.execute("BEGIN")
        for each in people:
            if each["email"] is None:
                hidden += 1
                continue
            without_id += each["id"] is None
            fields = json.dumps(each["fields"], default=str) if keep_fields else None
            # A mirror can only miss people whose own address can be read.
            who, is_clear = identify(each["email"])
            is_out = bool(each["unsubscribed"])
            is_surely_out = is_out and self._is_surely_out(each)
            known = (who, each["id"], is_out, fields, is_clear, is_surely_out)
            self.database.execute("INSERT INTO known VALUES (?, ?, ?, ?, ?, ?)", known)
            self.counts.in_campaign += 1
            self.counts.subscribed += not each["unsubscribed"]
        self.database.execute("COMMIT")
        if hidden and not self.counts.in_campaign:
            # Everybody would look missing, and be added a second time.
            raise UnreadableResponseError("The campaign's list shows no addresses, so nobody can be looked for in it.")
        if keep_fields and without_id:
            self._check_ids(without_id)
        self.database.execute("CREATE INDEX IF NOT EXISTS known_person ON known (person)")

    def _check_ids(self, without_id: int) -> None:
        if self._shows_every_id:
            raise UnreadableResponseError(f"The campaign's list shows no ids, which mode {self.mode!r} needs.")
        log.warning("People of the campaign without an id, who cannot be changed: %s.", f"{without_id:,}")

    def known(self, who: bytes) -> list[tuple[str | None, bool, str | None]]:
        """Return the id, the state and the fields of each prospect of a person in the campaign."""
        return self.database.execute("SELECT id, unsubscribed, fields FROM known WHERE person = ?", (who,)).fetchall()

    def opted_out(self, who: bytes) -> bool:
        """Return whether the campaign holds the person as unsubscribed."""
        return any(unsubscribed for _, unsubscribed, _ in self.known(who))

    def holds(self, who: bytes) -> bool:
        """Return whether the campaign holds the person."""
        return bool(self.known(who))

    def add_step(
        self, number: int, action: Action, who: bytes, prospect_id: str | None, columns: Mapping[str, str]
    ) -> None:
        """Plan a step for a row, and count it."""
        step = (number, action, who, prospect_id, json.dumps(columns, ensure_ascii=False))
        self.database.execute("INSERT INTO step (number, action, person, id, columns) VALUES (?, ?, ?, ?, ?)", step)
        setattr(self.counts, action, getattr(self.counts, action) + 1)

    def reject(self, reject: Reject) -> None:
        """Keep a row that cannot be loaded, and count it."""
        self.counts.rejected += 1
        row = (reject.number, reject.reason, _as_json(reject.columns), reject.blocks_person)
        self.database.execute("INSERT INTO reject VALUES (?, ?, ?, ?)", row)

    def steps(self, action: Action) -> Iterator[Step]:
        """Yield the steps of a kind that are still to be sent, in the order of the rows.

        Steps may be marked as done meanwhile.
        """
        last = 0
        while True:
            found = self.database.execute(
                "SELECT rowid, number, action, person, id, columns FROM step "
                "WHERE NOT done AND action = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                (action, last, _BATCH),
            ).fetchall()
            if not found:
                return
            for last, number, kind, who, prospect_id, columns in found:
                yield Step(last, number, kind, who, prospect_id, json.loads(columns))

    def to_send(self, action: Action) -> int:
        """Return how many steps of a kind are still to be sent."""
        found = self.database.execute("SELECT count(*) FROM step WHERE NOT done AND action = ?", (action,))
        return int(found.fetchone()[0])

    def calls_to_send(self, action: Action) -> int:
        """Return how many requests the steps of a kind take, of adds that are sent one by one."""
        if action != "update" or self._one_call_per_update:
            return self.to_send(action)
        found = self.database.execute(
            "SELECT count(*) FROM step, json_each(step.columns) WHERE NOT done AND action = 'update'"
        )
        return int(found.fetchone()[0])

    def mark_done(self, step: Step, outcome: Word | None = None, prospect_id: str | None = None) -> None:
        """Note that a step needs no more sending.

        :param outcome: what became of its row; None if nothing new.
        """
        self.database.execute("UPDATE step SET done = 1 WHERE rowid = ?", (step.key,))
        if outcome is not None:
            self.outcomes.change(step.who, outcome, prospect_id=prospect_id)

    def refuse(self, step: Step, reason: str) -> None:
        """Note that a step cannot be carried out, for a reason that concerns its row only."""
        self.mark_done(step)
        self.counts.opted_out -= step.action == "opt_out"
        self.outcomes.refuse(step, reason)
        self.reject(Reject(step.number, reason, step.columns or {"prospect_id": step.prospect_id}))
        if step.action == "unsubscribe":
            # It comes from no row.
            self.counts.rejected -= 1
            self.counts.not_unsubscribed += 1

    def opt_out(self, step: Step) -> None:
        """Note that a person who was to be added opted out elsewhere in the account."""
        self.mark_done(step)
        self.outcomes.change(
            step.who, "opted_out", "The person opted out in another campaign, or is on SalesBlink's blocklist."
        )
        self.counts.add -= 1
        self.counts.opted_out += 1
        self.counts.opted_out_elsewhere += 1

    def drop(self, action: Action) -> int:
        """Remove all steps of a kind that are not done; return how many there were."""
        return self.database.execute("DELETE FROM step WHERE action = ? AND NOT done", (action,)).rowcount

    def rejects(self) -> Iterator[Reject]:
        """Yield the rows that cannot be loaded, in their order."""
        found = self.database.execute(
            "SELECT number, reason, columns, blocks_person FROM reject ORDER BY number, rowid"
        )
        for number, reason, columns, blocks_person in found:
            yield Reject(number, reason, json.loads(columns), bool(blocks_person))


def _as_json(columns: Mapping[str, Any]) -> str:
    """Return a rejected row as JSON, whatever it holds."""
    try:
        text = json.dumps(dict(columns), ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({ascii(name): type(value).__name__ for name, value in columns.items()})
    # Half a surrogate pair cannot be written to any file.
    return text.encode(errors="replace").decode()
