"""People whose adds are in doubt, and the readings of the campaign that show whether they were added."""

from __future__ import annotations

import logging
import math
import time
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.loading.campaign_reader import CampaignReader
    from airflow_provider_salesblink.loading.options import SendLimits
    from airflow_provider_salesblink.loading.outcomes import Word
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.plan_steps import Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two looks for people whose adds are in doubt. Each pause is twice as long as the one before."""
MOST_RESENDS = 3
"""How often people are sent again if SalesBlink accepted them and the campaign does not show them in time."""
STEPS_AT_ONCE = 1000
"""People whose reservations are looked for in one call."""
NEVER_SHOWN = (
    "SalesBlink accepted the person several times, and the campaign's list never showed them. It may have found the "
    "address invalid, or the person on another list: see the settings of the list."
)


class StillImportingError(BudgetSpentError):
    """SalesBlink has not imported everybody yet, and the load may not wait for longer."""


class ReadBack:
    """Keeps who was sent without a final answer, and reads the campaign to see who was added.

    :param mark_done: called for each step that the campaign shows as done, with the outcome of its row.
    """

    def __init__(
        self,
        plan: Plan,
        reader: CampaignReader,
        report: Report,
        limits: SendLimits,
        mark_done: Callable[[Step, Word], None],
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._report = report
        self._limits = limits
        self._mark_done = mark_done
        self._doubtful: set[int] = set()
        self._accepted: set[int] = set()

    @property
    def in_doubt(self) -> frozenset[int]:
        """The steps of people who were sent, while it is not known whether they were added."""
        return frozenset(self._doubtful)

    def note_sent(self, steps: Iterable[Step]) -> None:
        """Note that people are being sent."""
        self._doubtful.update(step.key for step in steps)

    def note_accepted(self, steps: Iterable[Step]) -> None:
        """Note that SalesBlink accepted people, to add them later."""
        keys = [step.key for step in steps]
        self._doubtful.update(keys)
        self._accepted.update(keys)

    def note_decided(self, steps: Iterable[Step]) -> None:
        """Note that it is known what became of people."""
        self._doubtful.difference_update(step.key for step in steps)

    def wait_for_earlier_run(self, reservations: RetryingReservations) -> None:
        """Wait until the campaign shows the people that an earlier run of this load sent before it ended.

        Only where SalesBlink imports people later: otherwise the load waited before it read the campaign.
        """
        settling_time = self._limits.settling_time
        idle = reservations.idle_for() if settling_time else math.inf
        if math.isinf(idle):
            return
        steps = self._plan.steps("add")
        while batch := list(islice(steps, STEPS_AT_ONCE)):
            own = reservations.held([step.who for step in batch])
            self.note_accepted(step for step in batch if step.who in own)
        if self._doubtful:
            log.info("An earlier run of this load sent people that the campaign does not show yet: looking for them.")
            # Even if their time is over: people who do not show now are sent again, and that is counted.
            self.wait(max(0.0, settling_time - idle), polls=True)

    def wait(self, settling_time: float, *, polls: bool) -> None:
        """Read the campaign when the requests in doubt cannot take effect any more.

        :param polls: whether the people are expected to show: then also read it before, until it shows them all. The
            pauses grow with the time that a reading takes: a large campaign costs many requests.
        :raises StillImportingError: when this would take longer than the load may wait.
        """
        waited, pause = 0.0, FIRST_PAUSE
        while polls and waited + pause < settling_time:
            self._check_wait(waited + pause, settling_time - waited)
            self._limits.sleep(pause)
            took = self.reread(is_final=False)
            if not self._doubtful:
                return
            waited, pause = waited + pause + took, max(min(2 * pause, LONGEST_PAUSE), took)
        if polls:
            self._check_wait(settling_time, settling_time - waited)
        self._limits.sleep(max(0.0, settling_time - waited))
        self.reread()

    def _check_wait(self, total: float, left: float) -> None:
        if total > self._limits.longest_wait:
            raise StillImportingError(
                f"SalesBlink has not imported everybody yet: {len(self._doubtful):,} people.",
                status=None,
                retry_after=max(1.0, min(left, 2 * LONGEST_PAUSE)),
            )

    def reread(self, *, is_final: bool = True) -> float:
        """Read the campaign again, and mark the adds that it shows as done; return the seconds that this took.

        :param is_final: whether people whose adds are in doubt and who are not there were not added. Otherwise their
            requests may be under way.
        """
        started = time.monotonic()
        self._reader.read(is_exact=is_final and self._limits.settling_time > 0)
        missing = [step for step in self._plan.steps("add") if not self._is_done(step, is_final=is_final)]
        if is_final and missing:
            self._resend(missing)
        return time.monotonic() - started

    def _is_done(self, step: Step, *, is_final: bool) -> bool:
        """Note what the campaign shows; return False for an accepted person who does not show."""
        is_there, was_sent = self._plan.holds(step.who), step.key in self._doubtful
        was_lost = was_sent and step.key not in self._accepted
        if is_there:
            self._mark_done(step, "added" if was_sent else "taken_by_others")
            self._report.taken_by_others += not was_sent
            self._accepted.discard(step.key)
        if is_there and was_sent:
            self._report.count_added(1)
        if was_lost and (is_there or is_final):
            self._report.count_ambiguous("carried_out" if is_there else "not_carried_out", 1)
        if is_there or is_final:
            self._doubtful.discard(step.key)
        return step.key not in self._accepted

    def _resend(self, missing: list[Step]) -> None:
        """Let accepted people who do not show be sent again, or refuse them if that was done often enough."""
        self._accepted.clear()
        if self._report.resends < MOST_RESENDS:
            self._report.resends += 1
            log.warning(
                "SalesBlink accepted %s people, and the campaign does not show them in time: the load sends them again "
                "(%s of at most %s times).", f"{len(missing):,}", self._report.resends, MOST_RESENDS,
            )  # fmt: skip
            return
        for step in missing:
            self._plan.refuse(step, NEVER_SHOWN)
