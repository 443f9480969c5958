"""The result of a load: counts for XCom and the log, rejected rows for a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_salesblink.json_text import json_line
from airflow_provider_salesblink.loading.row_types import MAY_HAVE_OPTED_OUT
from airflow_provider_salesblink.metrics import ADDS, AMBIGUOUS, NO_METRICS, REJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_salesblink.loading.plan_steps import Counts
    from airflow_provider_salesblink.loading.rows import Reject
    from airflow_provider_salesblink.metrics import Observer

FIRST_REASONS = 3

_DONE = ("added", "updated", "unsubscribed", "taken_by_others", "held_back", "already_there", "resends")


class LoadFailedError(Exception):
    """A load failed. The message says what is done and what is not.

    :param report: the result so far.
    :param permanent: whether the load would fail again if it ran again.
    """

    def __init__(self, message: str, report: Report, *, permanent: bool) -> None:
        super().__init__(message)
        self.report = report
        self.permanent = permanent


@dataclass
class Ambiguous:
    """Lost responses, and what the campaign showed afterwards: whether the person was added or not."""

    lost: int = 0
    carried_out: int = 0
    not_carried_out: int = 0


@dataclass
class Report:
    """The result of a load, in numbers.

    :param planned: the counts of the plan.
    :param taken_by_others: people that another load added meanwhile.
    :param held_back: people without a row who stay subscribed in a mirror, because not every row could be read.
    :param looked_up: people who were looked up in other campaigns before they were added.
    :param already_there: people that an earlier part of the same load added or updated, and that the plan counts as
        there.
    :param resends: how often people were sent again that SalesBlink accepted and the campaign did not show.
    :param row_outcomes: how many rows have each outcome, if the load keeps outcomes.
    :param observer: takes the metrics.
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
    already_there: int = 0
    resends: int = 0
    reads: int = 0
    looked_up: int = 0
    row_outcomes: dict[str, int] | None = None
    ambiguous: Ambiguous = field(default_factory=Ambiguous)
    first_rejects: list[str] = field(default_factory=list)
    observer: Observer = field(default=NO_METRICS, repr=False)

    def count_added(self, people: int) -> None:
        """Count people that the load added."""
        self.added += people
        self.observer.count(ADDS, number=people)

    def count_ambiguous(self, word: Literal["lost", "carried_out", "not_carried_out"], people: int) -> None:
        """Count people whose response was lost, or what the campaign showed of them afterwards."""
        setattr(self.ambiguous, word, getattr(self.ambiguous, word) + people)
        self.observer.count(AMBIGUOUS, word, number=people)

    def count_rejects(self, rows: int) -> None:
        """Count the rejected rows for the metrics. The plan counts them for everything else."""
        self.observer.count(REJECTS, number=rows)

    def done(self) -> dict[str, Any]:
        """Return what was sent and found so far, for the next part of the same load."""
        return {**{name: getattr(self, name) for name in _DONE}, "ambiguous": asdict(self.ambiguous)}

    def resume(self, done: Mapping[str, Any]) -> None:
        """Continue counting from what :meth:`done` returned."""
        for name in _DONE:
            setattr(self, name, done.get(name, 0))
        self.ambiguous = Ambiguous(**done.get("ambiguous", {}))

    def count_already_there(self) -> None:
        """Note that the campaign was read after an earlier part of the load, so it shows what that part did."""
        self.already_there = self.added + self.updated + self.taken_by_others

    def for_xcom(self) -> dict[str, Any]:
        """Return counts and ids, without addresses."""
        planned = self.planned
        return {
            "outcome": "dry_run" if self.dry_run else "loaded",
            "campaign_id": self.campaign_id,
            "mode": self.mode,
            "rows": planned.rows,
            **self._counts_of_rows(),
            "unsubscribed": planned.unsubscribe + planned.opt_out if self.dry_run else self.unsubscribed,
            "not_unsubscribed": planned.not_unsubscribed,
            "held_back": self.held_back,
            "ambiguous": asdict(self.ambiguous),
        }

    def when_failed(self) -> dict[str, Any]:
        """Return the same of a load that failed, with the rows that have no outcome."""
        rest = self.planned.rows - sum(self._counts_of_rows().values())
        return {**self.for_xcom(), "not_sent or in_doubt": max(0, rest)}

    def _counts_of_rows(self) -> dict[str, int]:
        """Return how many rows have each outcome; together they are all rows."""
        planned = self.planned
        counts = {
            "added": planned.add if self.dry_run else self.added,
            "updated": planned.update if self.dry_run else self.updated,
            "there": max(0, planned.there - self.already_there),
            "missing": planned.missing,
            "opted_out": planned.opted_out,
            "repeats": planned.repeats,
            "rejected": planned.rejected,
            "taken_by_others": self.taken_by_others,
        }
        if self.row_outcomes is None:
            return counts
        return {**dict.fromkeys(counts, 0), **self.row_outcomes}


def not_everybody_added(report: Report, left: int) -> LoadFailedError:
    """Return the error about people who could not be added for sure."""
    return LoadFailedError(
        f"People who could not be added for sure: {left:,}; the log says why. The other rows are done or refused. "
        "Run it again: the load reads the campaign first, and adds nobody twice.",
        report,
        permanent=False,
    )


def check_rejects(report: Report, max_rejected: int, place: str) -> None:
    """Check that no more rows were rejected than the user allows.

    :param place: what the load is into, in one word.
    :raises LoadFailedError: when there are more.
    """
    refused = report.planned.rejected + report.planned.not_unsubscribed
    if refused > max_rejected:
        others = "nothing was sent" if report.dry_run else f"the other rows are done in {place} {report.campaign_id}"
        raise LoadFailedError(
            f"{refused:,} of {report.planned.rows:,} rows refused, more than max_rejected={max_rejected}; "
            f"{others}. First: {'; '.join(report.first_rejects)}.",
            report,
            permanent=True,
        )


def as_json_lines(rejects: Iterable[Reject]) -> Iterator[str]:
    """Yield the lines of a rejects file: one JSON object for each row, with its number, the reason, and the row.

    The columns have SalesBlink's names, without the opt-out columns. ``may_have_opted_out`` stands, and is true, where
    these may say that the person opted out.
    """
    for reject in rejects:
        line: dict[str, Any] = {"row": reject.number, "reason": reject.reason}
        if reject.blocks_person:
            line[MAY_HAVE_OPTED_OUT] = True
        try:
            yield json_line({**line, "columns": dict(reject.columns)})
        except (TypeError, ValueError, RecursionError):
            # A row of Python objects may contain itself, or a number that is too long to write.
            yield json_line({**line, "columns": _outline(reject.columns)})


def _outline(columns: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else type(value).__name__ for name, value in columns.items()}
