"""Read the campaign into the plan, and remember when."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

from airflow_provider_salesblink.loading.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.report import Report


class CampaignReader:
    """Reads the people of the campaign into the plan, and counts the readings in the report."""

    def __init__(self, destination: Destination, plan: Plan, report: Report) -> None:
        self._destination = destination
        self._plan = plan
        self._report = report
        self.read_at = -float("inf")
        """The monotonic time at which the last reading began."""

    def read(
        self, through: Callable[[Iterable[Prospect]], Iterable[Prospect]] = iter, *, is_exact: bool = False
    ) -> None:
        """Read the campaign, in place of an earlier reading.

        All readings but the first also show people who would get the same mails a second time.

        :param through: sees each person on the way, and passes them on.
        :param is_exact: whether people who do not show are certainly not there. The first reading may miss somebody.
        """
        # Only the plan compares columns, and it is made of the first reading.
        is_first = not self._report.reads
        with_columns = is_exact or (self._plan.needs_columns and is_first)
        self.read_at = time.monotonic()
        self._report.reads += 1
        with Progress("people of the campaign read") as progress:
            people = self._destination.people(with_columns=with_columns)
            people = people if is_first else chain(people, self._destination.people_elsewhere())
            self._plan.compare_with(progress.each(through(people)))
