"""Update and unsubscribe the people of a plan, several calls in flight. Repeating a call changes nothing."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import (
    ApiRefusedError,
    InvalidRequestError,
    RateLimitedError,
    SalesBlinkError,
)
from airflow_provider_salesblink.loading.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.options import SendLimits
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.plan_steps import Action, Step
    from airflow_provider_salesblink.loading.report import Report


class Updater:
    """Updates and unsubscribes the people of a plan."""

    def __init__(self, plan: Plan, destination: Destination, report: Report, limits: SendLimits) -> None:
        self._plan = plan
        self._destination = destination
        self._report = report
        self._limits = limits
        self.in_doubt: set[int] = set()
        """Steps whose answers were lost: SalesBlink may have carried them out."""

    def opt_out(self) -> None:
        """Unsubscribe everybody who opted out according to the source.

        :raises SalesBlinkError: when SalesBlink cannot be reached, or refuses.
        """
        for _ in self._each("opt_out", "opted out", self._unsubscribe):
            self._report.unsubscribed += 1

    def update(self) -> None:
        """Update everybody whose fields differ.

        :raises SalesBlinkError: when SalesBlink cannot be reached, or refuses.
        """
        for _ in self._each("update", "updated", self._update):
            self._report.updated += 1

    def unsubscribe(self) -> None:
        """Unsubscribe everybody who has no row in a mirror.

        :raises SalesBlinkError: when SalesBlink cannot be reached, or refuses.
        """
        for _ in self._each("unsubscribe", "unsubscribed", self._unsubscribe):
            self._report.unsubscribed += 1

    def _each(self, action: Action, word: str, send: Callable[[Step], None]) -> Iterator[Step]:
        steps, total, calls = self._plan.steps(action), self._plan.to_send(action), self._plan.calls_to_send(action)
        with (
            Progress(word, total, calls=calls, per_minute=self._limits.writes_per_minute) as progress,
            ThreadPoolExecutor(self._limits.max_in_flight, thread_name_prefix="salesblink-load") as pool,
        ):
            while batch := list(islice(steps, self._limits.max_in_flight)):
                yield from self._finished(batch, [pool.submit(send, step) for step in batch], progress)

    def _update(self, step: Step) -> None:
        self._destination.update(str(step.prospect_id), step.columns, step.who)

    def _unsubscribe(self, step: Step) -> None:
        self._destination.unsubscribe(str(step.prospect_id), step.who)

    def _finished(self, steps: Sequence[Step], futures: Sequence[Future[None]], progress: Progress) -> Iterator[Step]:
        failed: SalesBlinkError | None = None
        for step, future in zip(steps, futures, strict=True):
            try:
                future.result()
            except (ApiRefusedError, InvalidRequestError) as error:
                self._plan.refuse(step, str(error))
            except SalesBlinkError as error:
                failed = error
                if not (error.permanent or isinstance(error, RateLimitedError)):
                    self.in_doubt.add(step.key)
                continue
            else:
                self._plan.mark_done(step, "updated" if step.action == "update" else None)
                yield step
            progress.step(len(step.columns) or 1)
        if failed is not None:
            raise failed
