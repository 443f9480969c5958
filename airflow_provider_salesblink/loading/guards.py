"""Keep a load from doing harm by mistake: a source that is wrong stops it before anything is sent."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.loading.report import LoadFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.report import Report

log = logging.getLogger(__name__)

MOST_UNSUBSCRIBES = 0.1

_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_DECIMAL = re.compile(r"\d*\.\d+|\d+\.|\d(\.\d+)?[eE]-\d{1,3}", re.ASCII)


@dataclass(frozen=True)
class Guards:
    """What makes a load fail instead of doing harm.

    A limit of adds or updates is a whole number, or a share of the people in the campaign (a float from 0.0 to 1.0).
    None sets no limit. Text that spells either counts too: ``1`` is one person, ``1.0`` is everybody.

    :param max_rejected: how many rows may be rejected before the load fails. It sends the other rows anyway.
    :param max_unsubscribes: the largest share of the campaign's subscribed people that a mirror may unsubscribe.
        It does not limit people who opted out according to the source.
    :param max_adds: how many people the load may add. Of an empty campaign, every share is nobody.
    :param max_updates: how many people the load may update.
    :raises InvalidInputError: when a number is out of bounds.
    """

    max_rejected: int = 0
    max_unsubscribes: float = MOST_UNSUBSCRIBES
    max_adds: float | str | None = None
    max_updates: float | str | None = None

    def __post_init__(self) -> None:
        validation.whole_number("max_rejected", self.max_rejected, 0)
        # A percentage would switch the guard off, and an unsubscribe cannot be undone.
        validation.number("max_unsubscribes", self.max_unsubscribes, 0, 1)
        _limit("max_adds", self.max_adds)
        _limit("max_updates", self.max_updates)

    def check(self, plan: Plan, report: Report) -> None:
        """Check what a load is going to do, before it sends anything.

        :raises LoadFailedError: when a mirror has no rows, or a limit is exceeded.
        """
        for problem in self.problems(plan, report):
            raise LoadFailedError(problem, report, permanent=True)

    def problems(self, plan: Plan, report: Report) -> Iterator[str]:
        """Yield why a load must not send anything, a sentence for each guard that stops it."""
        counts = plan.counts
        if plan.mode == "mirror":
            yield from _problems_of_mirror(plan, report, self.max_unsubscribes)
        before = max(0, counts.in_campaign - report.added)
        adds, updates = counts.add + report.added, counts.update + report.updated
        yield from _excess("add", adds, before, _limit("max_adds", self.max_adds), report)
        yield from _excess("update", updates, before, _limit("max_updates", self.max_updates), report)


@dataclass(frozen=True)
class _Limit:
    """The most people that a load may add or update.

    :param given: as the user wrote it.
    :param share: the share of the people in the campaign; None if ``number`` says how many.
    """

    given: str
    number: int = 0
    share: float | None = None

    def of(self, in_campaign: int) -> int:
        """Return how many people that is."""
        # Rounded, because 0.29 of 100 people are 29, and not 28.999999999999996.
        return self.number if self.share is None else int(round(self.share * in_campaign, 6))

    def in_words(self, in_campaign: int) -> str:
        """Return what the limit allows, where it is a share."""
        return "" if self.share is None else f" ({self.of(in_campaign):,} of the {in_campaign:,} in the campaign)"


def _limit(argument: str, value: object) -> _Limit | None:
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else "" if isinstance(value, bool) else str(value)
    if _WHOLE.fullmatch(text):
        return _Limit(f"{int(text):,}", number=int(text))
    if _DECIMAL.fullmatch(text) and float(text) <= 1:
        return _Limit(text, share=float(text))
    raise InvalidInputError(
        f"{argument} is neither a whole number, such as 1000, nor a share of the people in the campaign from 0.0 to "
        "1.0, such as 0.1 for a tenth of them. Leave it out for no limit."
    )


def _excess(action: str, people: int, in_campaign: int, limit: _Limit | None, report: Report) -> Iterator[str]:
    """Yield the problem if a load, with all its parts, would change more people than ``limit``."""
    if limit is None or people <= limit.of(in_campaign):
        return
    needs_number = limit.share is not None and not in_campaign
    remedy = "pass a number of people: a share of an empty campaign is nobody" if needs_number else "allow more"
    yield (
        f"The load would {action} {people:,} people, more than max_{action}s={limit.given} allows"
        f"{limit.in_words(in_campaign)}; {nothing_sent(report)}. Check the source, or {remedy}."
    )


def _problems_of_mirror(plan: Plan, report: Report, max_unsubscribes: float) -> Iterator[str]:
    counts = plan.counts
    if not counts.rows:
        yield (
            f"The input is empty, so a mirror would unsubscribe everybody; {nothing_sent(report)}. Check the source."
        )
    elif counts.unsubscribe > max_unsubscribes * counts.subscribed:
        yield (
            f"The mirror would unsubscribe {counts.unsubscribe:,} of {counts.subscribed:,} people, more than "
            f"max_unsubscribes={max_unsubscribes:g} allows; {nothing_sent(report)}. Check the source, or allow more."
        )


def nothing_sent(report: Report) -> str:
    """Return that nothing was sent, or nothing more than earlier parts of the load have sent."""
    is_first_part = not (report.added or report.updated or report.unsubscribed)
    return "nothing was sent" if is_first_part else "nothing more was sent"


def hold_back_unsubscribes(plan: Plan, report: Report) -> None:
    """Drop the unsubscribes of people without a row while any row is rejected, because that row may be theirs."""
    counts = plan.counts
    if counts.rejected and counts.unsubscribe:
        report.held_back += plan.drop("unsubscribe")
        counts.unsubscribe = 0
        log.warning(
            "Held back: %s people who have no row. Rows refused: %s; as these may be theirs, nobody is unsubscribed. "
            "Fix the rows and run the load again.",
            f"{report.held_back:,}", f"{counts.rejected:,}",
        )  # fmt: skip
    if counts.unclear:
        report.held_back += counts.unclear
        log.warning(
            "%s people in the campaign have an address that cannot be read: they are not unsubscribed.",
            f"{counts.unclear:,}",
        )
        counts.unclear = 0
