"""What came of a load: counts for XCom and the log, rejects for a file."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.loading.plan import Counts
    from airflow_provider_salesblink.loading.rows import Reject

FIRST_REASONS = 3

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# What begins a formula where a spreadsheet may begin a cell, should somebody open the file in one: it splits at commas
# and the like. And what some readers take for the end of a line.
_HAZARDS = re.compile(r"(?<!\w)[=+\-@\uff1d\uff0b\uff0d\uff20]|[\x7f-\x9f\u2028\u2029]")

_DONE = ("added", "updated", "unsubscribed", "taken_by_others", "held_back", "seen_again")


class LoadFailedError(Exception):
    """A load that did not come to its end as wanted: the message says what is done and what is not.

    :param report: what came of it so far.
    :param permanent: whether running it again would fail again.
    """

    def __init__(self, message: str, report: Report, *, permanent: bool) -> None:
        super().__init__(message)
        self.report = report
        self.permanent = permanent


@dataclass
class Ambiguous:
    """Answers that left open whether a person was added, and what reading the campaign back said."""

    lost: int = 0
    carried_out: int = 0
    not_carried_out: int = 0


@dataclass
class Report:
    """What came of a load, in numbers.

    :param planned: what the plan said.
    :param taken_by_others: people whom another load added meanwhile.
    :param held_back: people in no row of a mirror who were kept, since not every row could be read for sure.
    :param looked_up: people who were looked up in other campaigns before they were added.
    :param seen_again: people whom an earlier part of the same load brought there, and whom the plan finds there.
    """

    campaign_id: str
    mode: str
    planned: Counts
    dry_run: bool = False
    added: int = 0
    updated: int = 0
    unsubscribed: int = 0
    taken_by_others: int = 0
    held_back: int = 0
    seen_again: int = 0
    reads: int = 0
    looked_up: int = 0
    ambiguous: Ambiguous = field(default_factory=Ambiguous)
    first_rejects: list[str] = field(default_factory=list)

    def done(self) -> dict[str, Any]:
        """What was sent and found so far, for the run that goes on from here."""
        return {**{name: getattr(self, name) for name in _DONE}, "ambiguous": asdict(self.ambiguous)}

    def go_on(self, done: Mapping[str, Any]) -> None:
        """Count on from what :meth:`done` gave."""
        for name in _DONE:
            setattr(self, name, done.get(name, 0))
        self.ambiguous = Ambiguous(**done.get("ambiguous", {}))

    def see_again(self) -> None:
        """Note that the plan is made anew, from a campaign that shows what was done before."""
        self.seen_again = self.added + self.updated + self.taken_by_others

    def for_xcom(self) -> dict[str, Any]:
        """Counts and ids, no addresses."""
        planned = self.planned
        return {
            "outcome": "dry_run" if self.dry_run else "loaded",
            "campaign_id": self.campaign_id,
            "mode": self.mode,
            "rows": planned.rows,
            "added": planned.add if self.dry_run else self.added,
            "updated": planned.update if self.dry_run else self.updated,
            "unsubscribed": planned.unsubscribe + planned.opt_out if self.dry_run else self.unsubscribed,
            "there": max(0, planned.there - self.seen_again),
            "opted_out": planned.opted_out,
            "repeats": planned.repeats,
            "rejected": planned.rejected,
            "taken_by_others": self.taken_by_others,
            "held_back": self.held_back,
            "ambiguous": asdict(self.ambiguous),
        }


def as_json_lines(rejects: Iterable[Reject]) -> Iterator[str]:
    """The rejects as a file of one JSON object a line: row number, reason, and the row itself."""
    for reject in rejects:
        try:
            yield json_line({"row": reject.number, "reason": reject.reason, "columns": dict(reject.columns)})
        except (TypeError, ValueError, RecursionError):
            # A row that came as Python objects may hold itself, or a number too long to be written out.
            yield json_line({"row": reject.number, "reason": reject.reason, "columns": _outline(reject.columns)})


def json_line(record: Mapping[str, Any]) -> str:
    """``record`` as a line of JSON from which every value is read as it was, and in which none is a formula.

    What begins a formula in a spreadsheet, other ends of lines, and half a surrogate pair, which no file can hold, are
    written as JSON's escapes.
    """
    line = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)
    line = _STRING.sub(lambda string: _HAZARDS.sub(_escaped, string[0]), line)
    return line.encode("utf-8", "backslashreplace").decode() + "\n"


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def _outline(columns: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else type(value).__name__ for name, value in columns.items()}
