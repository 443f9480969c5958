"""Add the people of a plan: several calls in flight, nobody twice, each lost response checked before the next try.

Adds are sent in rounds. After a round, one reading of the campaign shows whether the people whose responses were lost
were added. Those who were not go into the next round. People that SalesBlink accepted and the campaign does not show
are not sent again: they may be imported later.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    ApiRefusedError,
    BudgetSpentError,
    InvalidRequestError,
    RateLimitedError,
    SalesBlinkError,
)
from airflow_provider_salesblink.client.rate_limit import check_before_write
from airflow_provider_salesblink.loading.opt_out_lookups import (
    ROW_ERRORS,
    UNKNOWN,
    LookupAhead,
    NoLookup,
    TooLongAgoError,
)
from airflow_provider_salesblink.loading.other_loads import wait_for_others
from airflow_provider_salesblink.loading.progress import Progress
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT
from airflow_provider_salesblink.loading.reservations_retry import NotReservedError
from airflow_provider_salesblink.loading.send_round import LONGEST_SETTLING_TIME, Round

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.loading.campaign_reader import CampaignReader
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.opt_out_lookups import LookedUp, Source
    from airflow_provider_salesblink.loading.options import SendLimits
    from airflow_provider_salesblink.loading.outcomes import Word
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.plan_steps import Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

log = logging.getLogger(__name__)

MOST_ROUNDS = 20
"""After this many rounds in a row in which nobody could be added for sure, a load gives up."""
FIRST_PAUSE = 1.0
"""Seconds before the first look for people whose adds are in doubt."""


class Sender:
    """Adds the people of a plan.

    :param reader: reads the campaign into the plan; it has read it once already.
    """

    def __init__(
        self,
        plan: Plan,
        reader: CampaignReader,
        destination: Destination,
        report: Report,
        reservations: RetryingReservations,
        limits: SendLimits,
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._destination = destination
        self._report = report
        self._reservations = reservations
        self._limits = limits
        self._longest_wait = limits.longest_wait
        self._doubtful: set[int] = set()
        self._accepted: set[int] = set()

    @property
    def in_doubt(self) -> frozenset[int]:
        """The steps of people who were sent, while it is not known whether they were added."""
        return frozenset(self._doubtful)

    def add(self) -> bool:
        """Add everybody the plan says to add; return whether nobody is left.

        :raises HeldByOthersError: when another load holds some of them for too long.
        """
        limits = [self._limits.writes_per_minute, *([self._limits.reads_per_minute] if self._limits.looks_up else [])]
        slower = min(filter(None, limits), default=0)
        people = self._plan.to_send("add")
        with Progress("added", people, per_minute=slower, more=self._more_progress) as self._progress:
            return self._add_all()

    def _more_progress(self) -> str:
        looked_up = f"{self._report.looked_up:,} looked up, " if self._limits.looks_up else ""
        return f"; {looked_up}{self._report.ambiguous.lost:,} answers lost"

    def _add_all(self) -> bool:
        fruitless, left = 0, self._plan.to_send("add")
        while fruitless < MOST_ROUNDS:
            last = self._send_round()
            if not (last.in_doubt or last.held_by_others or last.not_sent):
                self._log_missing()
                return not self._accepted
            self._prepare_next_round(last)
            before, left = left, self._plan.to_send("add")
            fruitless = 0 if left < before else fruitless + 1
        return not left

    def _log_missing(self) -> None:
        if self._accepted:
            log.error(
                "SalesBlink accepted people and the campaign does not show them: %s. It may import them later, or it "
                "refused them. The load does not send them again, because they could be mailed twice. Check the list.",
                f"{len(self._accepted):,}",
            )

    def _prepare_next_round(self, last: Round) -> None:
        if last.in_doubt:
            last.log_doubt()
            self._read_back(max(last.bounded_settling_time, last.retry_after), is_expected=last.accepted > 0)
            self._check_server_pause(last.settling_time - LONGEST_SETTLING_TIME)
        elif last.held_by_others:
            self._wait_for_others(last.held_by_others)
            self._reread_campaign()
        else:
            self._limits.sleep(last.retry_after)

    def _read_back(self, settling_time: float, *, is_expected: bool) -> None:
        """Read the campaign when the requests in doubt cannot take effect any more.

        :param is_expected: whether the people are expected to show: then also read it before, until it shows them all.
            The pauses grow with the time that a reading takes: a large campaign costs many requests.
        """
        waited, pause = 0.0, FIRST_PAUSE
        while is_expected and waited + pause < settling_time:
            self._limits.sleep(pause)
            started = time.monotonic()
            self._reread_campaign(is_final=False)
            if not self._doubtful:
                return
            took = time.monotonic() - started
            waited, pause = waited + pause + took, 2 * max(pause, took)
        self._limits.sleep(max(0.0, settling_time - waited))
        self._reread_campaign()

    def _wait_for_others(self, people: list[bytes]) -> None:
        idle, waited = wait_for_others(
            self._reservations,
            people,
            longest_wait=self._longest_wait,
            sleep=self._limits.sleep,
            is_reading_stale=self._is_reading_stale,
        )
        self._longest_wait -= waited
        for who, owner in idle.items():
            # The campaign is read after this, because an owner that has finished may have added the person before.
            self._reservations.take_over(who, owner)

    def _check_server_pause(self, seconds: float) -> None:
        if seconds > 0 and self._plan.to_send("add"):
            raise RateLimitedError("SalesBlink has a problem and asks for a pause.", status=None, retry_after=seconds)

    def _send_round(self) -> Round:
        current = Round()
        with ThreadPoolExecutor(self._limits.max_in_flight, thread_name_prefix="salesblink-load") as pool:
            for step, future in self._in_flight(pool, current):
                self._finish_add(step, future, current)
        if error := current.error or current.lookup_error:
            if current.in_doubt and isinstance(error, BudgetSpentError):
                # Otherwise the next part of the load counts the people as there, and waits for their requests first.
                with suppress(SalesBlinkError):
                    self._read_back(current.bounded_settling_time, is_expected=current.accepted > 0)
            raise error
        return current

    def _in_flight(self, pool: ThreadPoolExecutor, current: Round) -> Iterator[tuple[Step, Future[None]]]:
        running: dict[Future[None], Step] = {}
        with self._source() as source:
            while not (current.error or source.is_over):
                # No more than can be sent: people who are reserved and wait cannot be added by other loads.
                ready = source.ready(self._limits.max_in_flight - len(running), running)
                yield from self._finished(running, timeout=0)
                batch = [each for each in ready if self._may_be_added(each, current)]
                if batch:
                    yield from self._submit(pool, batch, running, current)
        while running:
            yield from self._finished(running)

    def _source(self) -> Source:
        # An import may take longer than the load waits for it.
        steps = (step for step in self._plan.steps("add") if step.key not in self._accepted)
        if not self._limits.looks_up:
            return NoLookup(steps)
        # More look-ups at once would only wait for the rate limit.
        at_once = min(self._limits.max_in_flight, self._limits.reads_per_minute or self._limits.max_in_flight)
        return LookupAhead(steps, self._destination.opted_out_elsewhere, at_once)

    def _may_be_added(self, looked_up: LookedUp, current: Round) -> bool:
        step, error = looked_up.step, looked_up.error
        if isinstance(error, ROW_ERRORS):
            self._plan.refuse(step, str(error))
        elif error is not None:
            self._note_lookup_error(step, error, current)
            return False
        elif looked_up.opted_out is None:
            self._plan.refuse(step, UNKNOWN)
        elif looked_up.opted_out:
            self._plan.opt_out(step)
        self._report.looked_up += self._limits.looks_up
        if looked_up.opted_out is not False or error:
            self._progress.step()
            return False
        return True

    def _note_lookup_error(self, step: Step, error: SalesBlinkError, current: Round) -> None:
        # The round does not end at once: people who were looked up before are still sent. Else each run of the load
        # could end at the same point.
        current.not_sent += 1
        if isinstance(error, BudgetSpentError):
            current.retry_after = max(current.retry_after, error.retry_after or 0.0)
            if self._limits.waits_for_rate_limit:
                return
        elif not current.lookup_error:
            log.error("Row %d could not be looked up in other campaigns, so the load stops.", step.number)
        current.lookup_error = current.lookup_error or error

    def _submit(
        self, pool: ThreadPoolExecutor, batch: list[LookedUp], running: dict[Future[None], Step], current: Round
    ) -> Iterator[tuple[Step, Future[None]]]:
        own = self._reservations.acquire([each.step.who for each in batch])
        # Checked only now, because the load may have waited for the store, or the store may have lost reservations of
        # people that others have added.
        if self._is_reading_stale():
            # People still in flight would be found in the campaign, and counted as added by others.
            while running:
                yield from self._finished(running)
            self._reread_campaign(is_final=False)
        # The reading may have shown that steps of the batch are done.
        batch = [each for each in batch if not self._plan.holds(each.step.who)]
        current.held_by_others += [each.step.who for each in batch if each.step.who not in own]
        for each in batch:
            if each.step.who not in own or current.error:
                continue
            self._doubtful.add(each.step.key)
            running[pool.submit(self._add, each)] = each.step
            while len(running) >= self._limits.max_in_flight:
                yield from self._finished(running)

    def _add(self, looked_up: LookedUp) -> None:
        # The call may wait for the rate limit for minutes, so the check runs right before the request.
        with check_before_write(partial(self._confirm, looked_up)):
            self._destination.add(looked_up.step.columns)

    def _confirm(self, looked_up: LookedUp) -> None:
        looked_up.check_age()
        self._reservations.confirm(looked_up.step.who)

    @staticmethod
    def _finished(
        running: dict[Future[None], Step], timeout: float | None = None
    ) -> Iterator[tuple[Step, Future[None]]]:
        finished, _ = wait(running, timeout, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future

    def _is_reading_stale(self) -> bool:
        # Other loads' reservations expire. Only a later reading shows the people they added before that.
        too_old = time.monotonic() - LONGEST_UNSENT
        return self._reader.read_at < max(too_old, self._reservations.complete_since())

    def _finish_add(self, step: Step, future: Future[None], current: Round) -> None:
        try:
            future.result()
        except AmbiguousWriteError as error:
            current.note_doubt(error)
            if error.is_accepted:
                self._accepted.add(step.key)
            else:
                self._report.ambiguous.lost += 1
            return
        except (ApiRefusedError, InvalidRequestError) as error:
            self._plan.refuse(step, str(error))
            self._progress.step()
        except NotReservedError as error:
            if not current.held_by_others:
                log.warning("Row %d: %s", step.number, error)
            current.held_by_others.append(step.who)
        except SalesBlinkError as error:
            self._note_not_sent(error, current)
        else:
            self._mark_done(step, "added")
            self._report.added += 1
        self._doubtful.discard(step.key)

    def _note_not_sent(self, error: SalesBlinkError, current: Round) -> None:
        """Note why a person was not sent: they go into the next round, or the error ends the load for now."""
        current.not_sent += 1
        if isinstance(error, BudgetSpentError):
            current.retry_after = max(current.retry_after, error.retry_after or 0.0)
        waits = isinstance(error, BudgetSpentError) and self._limits.waits_for_rate_limit
        if not (isinstance(error, TooLongAgoError) or waits):
            # Raised when no other call is in flight, so that the report has all of them.
            current.error = current.error or error

    def _mark_done(self, step: Step, outcome: Word) -> None:
        self._plan.mark_done(step, outcome)
        self._progress.step()

    def _reread_campaign(self, *, is_final: bool = True) -> None:
        """Read the campaign again, and mark the adds that it shows as done.

        :param is_final: whether people whose answers were lost and who are not there were not added. Otherwise their
            requests may be under way.
        """
        self._reader.read()
        for step in self._plan.steps("add"):
            is_there, was_sent = self._plan.holds(step.who), step.key in self._doubtful
            if is_there:
                self._mark_done(step, "added" if was_sent else "taken_by_others")
                self._report.added += was_sent
                self._report.taken_by_others += not was_sent
            was_lost = was_sent and step.key not in self._accepted
            self._report.ambiguous.carried_out += was_lost and is_there
            self._report.ambiguous.not_carried_out += was_lost and not is_there and is_final
            if is_there:
                self._accepted.discard(step.key)
            if is_there or (is_final and step.key not in self._accepted):
                self._doubtful.discard(step.key)
