"""Fingerprints of everything that a load may do, and the check that it does no more than was approved.

A fingerprint is a keyed hash, so a file of them reveals nobody. A plan is a set of them: a load does no more than the
plan exactly if each of its own fingerprints is in the set.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.loading.guards import nothing_sent
from airflow_provider_salesblink.loading.plan_steps import Action
from airflow_provider_salesblink.loading.report import LoadFailedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from airflow_provider_salesblink.loading.plan_steps import Step
    from airflow_provider_salesblink.loading.planned_load import PlannedLoad

FORMAT = "airflow-provider-salesblink plan 1"
_SIZE = 12
"""Bytes of a fingerprint. Two of 10,000,000 are the same with a probability of 1 to 10^15."""
_ROWS_NAMED = 5
_LIST = "list of the people to add"
"""The option that a campaign decides, where the load leaves open which of its lists it adds people to."""
_NEEDS_APPROVAL: tuple[Action, ...] = ("add", "update", "unsubscribe")
"""``opt_out`` is not among them: people who opted out according to the source are unsubscribed without an approval."""


class _Fingerprints:
    """Makes the fingerprints of a load."""

    def __init__(self, planned: PlannedLoad) -> None:
        self._key = planned.client.addresses.key_for("fingerprints of plans")
        # Somebody to add may be in the campaign when the load begins. It then sets the cells that differ.
        self._adds_may_become_updates = planned.plan.needs_columns
        self._list_id = planned.list_of_adds()

    def of_options(self, options: Mapping[str, object]) -> dict[str, str]:
        """Return the fingerprint of each option."""
        given = {**options, _LIST: self._list_id} if self._list_id else options
        texts = {name: json.dumps(value, sort_keys=True, default=str) for name, value in given.items()}
        return {name: self._make("option", name.encode(), text).hex() for name, text in texts.items()}

    def of_step(self, step: Step) -> list[bytes]:
        """Return the fingerprints of what a step does: adding a person, writing a cell, unsubscribing a person."""
        if step.action in ("unsubscribe", "opt_out"):
            return [self._make("unsubscribe", step.who, "")]
        if step.action == "update":
            return self._of_cells(step)
        added = self._make("add", step.who, json.dumps(step.columns, sort_keys=True))
        return [added, *self._of_cells(step)] if self._adds_may_become_updates else [added]

    def must_be_approved(self, step: Step) -> list[bytes]:
        """Return the fingerprints that an approved plan must have, so that it covers a step."""
        found = self.of_step(step)
        return found[:1] if step.action == "add" else found

    def _of_cells(self, step: Step) -> list[bytes]:
        cells = [json.dumps(cell) for cell in step.columns.items() if cell[0] != EMAIL]
        return [self._make("cell", step.who, cell) for cell in cells]

    def _make(self, kind: str, who: bytes, text: str) -> bytes:
        message = b"\0".join((kind.encode(), who.hex().encode(), text.encode(errors="surrogatepass")))
        return hashlib.blake2b(message, key=self._key, digest_size=_SIZE).digest()


class PlanFile:
    """The file of a plan: a line with the time, one with options and counts, and one for each fingerprint, sorted.

    :param options: options of the load that the plan itself does not know.
    """

    def __init__(self, planned: PlannedLoad, options: Mapping[str, object], planned_at: datetime) -> None:
        self._planned = planned
        self._options = {**planned.options, **options}
        self._planned_at = planned_at
        self._hash = hashlib.sha256()
        self.fingerprints = 0

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the lines after the first one. Complete after the last line."""
        return self._hash.hexdigest()

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        yield head(self._planned_at.isoformat())
        made, counts = _Fingerprints(self._planned), self._planned.plan.counts
        yield self._noted(f"{json.dumps({'options': made.of_options(self._options), 'counts': vars(counts)})}\n")
        database = self._planned.plan.database
        database.execute("DROP TABLE IF EXISTS made")
        database.execute("CREATE TABLE made (fingerprint BLOB)")
        _insert(
            database, "made", (each for step in _steps(self._planned, get_args(Action)) for each in made.of_step(step))
        )
        # In order, the digest does not depend on that of the rows, and the load can store them fast.
        for (fingerprint,) in database.execute("SELECT DISTINCT fingerprint FROM made ORDER BY fingerprint"):
            self.fingerprints += 1
            yield self._noted(f"{fingerprint.hex()}\n")

    def _noted(self, line: str) -> str:
        self._hash.update(line.encode())
        return line


def head(planned_at: str, **more: str) -> str:
    """Return the first line of a plan file."""
    return f"{json.dumps({'format': FORMAT, 'planned_at': planned_at, **more})}\n"


def planned_at_and_digest(lines: Iterable[bytes]) -> tuple[str, str]:
    """Return when the plan in a file was made, and its digest. Neither is checked: :class:`ApprovedPlan` does that.

    :param lines: the lines of the file.
    """
    rest, digest = iter(lines), hashlib.sha256()
    first = _object(next(rest, b"").decode(errors="replace"))
    for line in rest:
        digest.update(line)
    return str(first.get("planned_at")), digest.hexdigest()


class ApprovedPlan:
    """The plan that somebody approved, as its file holds it.

    :param lines: the lines of the file.
    :param digest: the digest that was approved.
    :param planned_at: when the approved plan was made.
    """

    def __init__(self, lines: Iterable[str], digest: str, planned_at: str) -> None:
        self._lines = iter(lines)
        self._digest = digest
        self._planned_at = planned_at

    def check(self, planned: PlannedLoad, options: Mapping[str, object]) -> None:
        """Check that a load does no more than this plan.

        :raises LoadFailedError: it does more, or the file holds another plan, or one that was used.
        """
        first = _object(next(self._lines, ""))
        problem = self._problem_of_file(first) or self._problem_of_rest(planned, options)
        if problem:
            raise LoadFailedError(
                f"{problem} {nothing_sent(planned.report).capitalize()}.", planned.report, permanent=True
            )

    def _problem_of_file(self, first: Mapping[str, Any]) -> str:
        if first.get("format") != FORMAT:
            return "The plan file of the approval is not a plan file of this version: plan and approve again."
        if first.get("used_at"):
            return (
                f"The approval was used: a load finished with it at {first['used_at']}. To load more, plan and approve "
                "again, in a new run."
            )
        if first.get("planned_at") != self._planned_at:
            return "The plan was made again after the approval: let somebody approve the new one."
        return ""

    def _problem_of_rest(self, planned: PlannedLoad, options: Mapping[str, object]) -> str:
        made, database = _Fingerprints(planned), planned.plan.database
        second = next(self._lines, "")
        hashed = hashlib.sha256(second.encode())
        database.execute("DROP TABLE IF EXISTS approved")
        database.execute("CREATE TABLE approved (fingerprint BLOB PRIMARY KEY) WITHOUT ROWID")
        _insert(database, "approved", self._read(hashed))
        if hashed.hexdigest() != self._digest:
            return "The plan file of the approval has changed since: plan and approve again."
        return _other_options(
            _object(second).get("options", {}), made.of_options({**planned.options, **options})
        ) or _more_than_approved(planned, made)

    def _read(self, hashed: Any) -> Iterator[bytes]:  # noqa: ANN401
        for line in self._lines:
            hashed.update(line.encode())
            try:
                yield bytes.fromhex(line)
            except ValueError:
                # The digest of the file is wrong too.
                continue


def _other_options(approved: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    differing = sorted(name for name in {**approved, **wanted} if approved.get(name) != wanted.get(name))
    others = [name for name in differing if name != _LIST]
    if others:
        # With another key, every fingerprint is another one.
        what = "connection, API key or hash_key" if "connection" in others else ", ".join(others)
        return (
            f"The load has other options than the approved plan: {what}. Give the plan and the load the same "
            "arguments, and plan and approve again."
        )
    # Only one of the two has it if the other adds nobody.
    if differing and _LIST in approved and _LIST in wanted:
        return (
            "The campaign has another list than when the plan was made, and people would be added to that one. Check "
            "the campaign's lists in SalesBlink, and plan and approve again."
        )
    return ""


def _more_than_approved(planned: PlannedLoad, made: _Fingerprints) -> str:
    """Return what the load would do that is not in the table ``approved``."""
    database, counts = planned.plan.database, Counter[str]()
    first_rows: dict[str, list[int]] = {action: [] for action in _NEEDS_APPROVAL}
    is_approved = "SELECT 1 FROM approved WHERE fingerprint = ?"
    for step in _steps(planned, _NEEDS_APPROVAL):
        if not all(database.execute(is_approved, (each,)).fetchone() for each in made.must_be_approved(step)):
            counts[step.action] += 1
            if step.number and len(first_rows[step.action]) < _ROWS_NAMED:
                first_rows[step.action].append(step.number)
    if not counts:
        return ""
    found = "; ".join(f"{action} {people:,}{_named(people, first_rows[action])}" for action, people in counts.items())
    return (
        f"The load would do more than was approved: {found}. These people are not in the approved plan, or have other "
        "columns there. Check what changed since, and plan and approve again."
    )


def _named(people: int, first_rows: list[int]) -> str:
    """Return how many people that is, and their first rows; people without a row in a mirror have none."""
    word = "person" if people == 1 else "people"
    rows = ", ".join(f"{number:,}" for number in first_rows) + ", ..." * (people > len(first_rows))
    return f" {word} (row{'s' * (people > 1)} {rows})" if first_rows else f" {word}"


def _steps(planned: PlannedLoad, actions: Iterable[Action]) -> Iterator[Step]:
    for action in actions:
        yield from planned.plan.steps(action)


def _insert(database: sqlite3.Connection, table: str, fingerprints: Iterable[bytes]) -> None:
    database.execute("BEGIN")
    statement = f"INSERT OR IGNORE INTO {table} VALUES (?)"  # noqa: S608
    database.executemany(statement, ((each,) for each in fingerprints))
    database.execute("COMMIT")


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
