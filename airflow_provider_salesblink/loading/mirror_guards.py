"""Keep a mirror from unsubscribing people by mistake: an unsubscribe cannot be undone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_salesblink.loading.report import LoadFailedError

if TYPE_CHECKING:
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.report import Report

log = logging.getLogger(__name__)


def check_mirror(plan: Plan, report: Report, max_unsubscribes: float) -> None:
    """Check that a mirror has rows, and would not unsubscribe too many people. Other modes pass.

    :raises LoadFailedError: when it has no rows, or would unsubscribe too many.
    """
    counts = plan.counts
    if plan.mode != "mirror":
        return
    if not counts.rows:
        raise LoadFailedError(
            "The input is empty, so a mirror would unsubscribe everybody; nothing was sent. Check the source.",
            report,
            permanent=True,
        )
    hold_back_unsubscribes(plan, report)
    if counts.unsubscribe > max_unsubscribes * counts.subscribed:
        raise LoadFailedError(
            f"The mirror would unsubscribe {counts.unsubscribe:,} of {counts.subscribed:,} people, more than "
            f"max_unsubscribes={max_unsubscribes:g} allows; nothing was sent. Check the source, or allow more.",
            report,
            permanent=True,
        )


def hold_back_unsubscribes(plan: Plan, report: Report) -> None:
    """Drop the unsubscribes of people in no row while any row is rejected, because that row may be theirs."""
    counts = plan.counts
    if counts.rejected and counts.unsubscribe:
        report.held_back += plan.drop("unsubscribe")
        counts.unsubscribe = 0
        log.warning(
            "Held back: %s people who are in no row. Rows refused: %s; as these may be theirs, nobody is unsubscribed. "
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
