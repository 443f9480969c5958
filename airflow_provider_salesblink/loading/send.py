"""Add the people of a plan: several calls in flight, nobody twice, each answer in doubt looked up before it is resent.

Adds are sent in rounds. What was in doubt at the end of a round is looked up with one reading of the campaign, however
many there were, and what is not there goes into the next round.
"""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
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
    ROWS_OWN_FAULT,
    UNKNOWN,
    LookupAhead,
    NotLookedUp,
    TooLongAgoError,
)
from airflow_provider_salesblink.loading.other_loads import wait_for_others
from airflow_provider_salesblink.loading.progress import Progress
from airflow_provider_salesblink.loading.reservations import NotReservedError
from airflow_provider_salesblink.loading.reservations_redis import HELD_FOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.opt_out_lookups import LookedUp, Source
    from airflow_provider_salesblink.loading.plan import Plan, Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations import PatientReservations

log = logging.getLogger(__name__)

MOST_ROUNDS = 20
"""After so many rounds in which nobody could be added for sure, a load gives up."""
LONGEST_SETTLING_TIME = 60.0
"""Seconds that a load waits, at most, for a server that asks for it; where it asks for more, the load ends for now."""


@dataclass
class _Round:
    in_doubt: int = 0
    not_sent: int = 0
    settling_time: float = 0.0
    budget: float = 0.0
    taken: list[bytes] = field(default_factory=list)
    failed: SalesBlinkError | None = None
    unread: SalesBlinkError | None = None


class Sender:
    """Adds the people of a plan.

    :param max_in_flight: how many calls at once at most.
    :param look: reads the campaign anew into the plan.
    :param looked_at: when, by the monotonic clock, the reading that the plan is made from began.
    :param sleep: how to wait for a server that may still be at work, or for another load's reservation.
    :param patient: whether a call that waited in vain for the budget is made again rather than the end of it.
    :param longest_wait: most seconds to wait for people that another load holds.
    :param look_up: whether to look people up in the other campaigns of the account before they are added.
    :param writes_per_minute: how many are allowed, 0 for no limit; likewise reads.
    """

    def __init__(
        self,
        plan: Plan,
        destination: Destination,
        report: Report,
        *,
        reservations: PatientReservations,
        max_in_flight: int,
        look: Callable[[], None],
        looked_at: float,
        sleep: Callable[[float], None],
        patient: bool = False,
        held_for: float = HELD_FOR,
        longest_wait: float = math.inf,
        look_up: bool = False,
        writes_per_minute: int = 0,
        reads_per_minute: int = 0,
    ) -> None:
        self._plan = plan
        self._destination = destination
        self._report = report
        self._reservations = reservations
        self._max_in_flight = max_in_flight
        self._look = look
        self._sleep = sleep
        self._held_for = held_for
        self._looked_at = looked_at
        self._patient = patient
        self._doubtful: set[int] = set()
        self._longest_wait = longest_wait
        self._look_up = look_up
        self._writes_per_minute = writes_per_minute
        self._reads_per_minute = reads_per_minute

    @property
    def in_doubt(self) -> bool:
        """Whether somebody may have been sent of whom it is not known if they were added."""
        return bool(self._doubtful)

    def add(self) -> bool:
        """Add everybody who is to be; whether nobody is left.

        :raises HeldByOthersError: another load holds some of them for too long.
        """
        limits = [self._writes_per_minute, *([self._reads_per_minute] if self._look_up else [])]
        slower = min(filter(None, limits), default=0)
        with Progress("added", self._plan.to_send("add"), per_minute=slower, more=self._what_else) as self._shown:
            return self._add_all()

    def _what_else(self) -> str:
        looked_up = f"{self._report.looked_up:,} looked up, " if self._look_up else ""
        return f"; {looked_up}{self._report.ambiguous.lost:,} answers lost"

    def _add_all(self) -> bool:
        fruitless, left = 0, self._plan.to_send("add")
        while fruitless < MOST_ROUNDS:
            this = self._round()
            if not (this.in_doubt or this.taken or this.not_sent):
                return True
            if this.in_doubt:
                self._sleep(max(min(this.settling_time, LONGEST_SETTLING_TIME), this.budget))
                self._look_back()
                self._give_way(this.settling_time - LONGEST_SETTLING_TIME)
            elif this.taken:
                self._wait_for_others(this.taken)
                self._look_back()
            else:
                self._sleep(this.budget)
            before, left = left, self._plan.to_send("add")
            fruitless = 0 if left < before else fruitless + 1
        return not left

    def _wait_for_others(self, people: list[bytes]) -> None:
        idle, waited = wait_for_others(
            self._reservations,
            people,
            longest_wait=self._longest_wait,
            sleep=self._sleep,
            is_view_old=self._view_is_old,
        )
        self._longest_wait -= waited
        for who, owner in idle.items():
            # The campaign is read after this: an owner that has finished may have added the person before.
            self._reservations.take_over(who, owner)

    def _give_way(self, wait: float) -> None:
        if wait > 0 and self._plan.to_send("add"):
            raise RateLimitedError(
                "SalesBlink had a problem of its own, and asks to be left alone.", status=None, retry_after=wait
            )

    def _round(self) -> _Round:
        this = _Round()
        with ThreadPoolExecutor(self._max_in_flight, thread_name_prefix="salesblink-load") as pool:
            for step, future in self._in_flight(pool, this):
                self._finish_add(step, future, this)
        if error := this.failed or this.unread:
            raise error
        return this

    def _in_flight(self, pool: ThreadPoolExecutor, this: _Round) -> Iterator[tuple[Step, Future[None]]]:
        running: dict[Future[None], Step] = {}
        with self._source() as source:
            while not (this.failed or source.is_over):
                # No more than can be sent: who is reserved and waits keeps others from being added.
                ready = source.ready(self._max_in_flight - len(running), running)
                yield from self._finished(running, timeout=0)
                batch = [each for each in ready if self._may_be_added(each, this)]
                if batch:
                    yield from self._submitted(pool, batch, running, this)
        while running:
            yield from self._finished(running)

    def _source(self) -> Source:
        steps = self._plan.steps("add")
        if not self._look_up:
            return NotLookedUp(steps)
        # More would only wait for the budget.
        at_once = min(self._max_in_flight, self._reads_per_minute or self._max_in_flight)
        return LookupAhead(steps, self._destination.opted_out_elsewhere, at_once)

    def _may_be_added(self, looked: LookedUp, this: _Round) -> bool:
        step, error = looked.step, looked.failed
        if isinstance(error, ROWS_OWN_FAULT):
            self._plan.refuse(step, str(error))
        elif error is not None:
            self._not_looked_up(step, error, this)
            return False
        elif looked.opted_out is None:
            self._plan.refuse(step, UNKNOWN)
        elif looked.opted_out:
            self._plan.opt_out(step)
        self._report.looked_up += self._look_up
        if looked.opted_out is not False or error:
            self._shown.step()
            return False
        return True

    def _not_looked_up(self, step: Step, error: SalesBlinkError, this: _Round) -> None:
        # No end at once: those who were looked up before are sent still, or the next run would do no more than this.
        this.not_sent += 1
        if isinstance(error, BudgetSpentError):
            this.budget = max(this.budget, error.retry_after or 0.0)
            if self._patient:
                return
        elif not this.unread:
            log.error("Row %d could not be looked up in other campaigns, so the load stops.", step.number)
        this.unread = this.unread or error

    def _submitted(
        self, pool: ThreadPoolExecutor, batch: list[LookedUp], running: dict[Future[None], Step], this: _Round
    ) -> Iterator[tuple[Step, Future[None]]]:
        own = self._reservations.take([each.step.who for each in batch])
        # Only now: the store may have been waited for, or may have forgotten people that others have added.
        if self._view_is_old():
            # People still in flight would be found in the campaign, and counted as added by others.
            while running:
                yield from self._finished(running)
            self._look_back(for_good=False)
        # Reading the campaign again may have finished steps that were at hand already.
        batch = [each for each in batch if not self._plan.holds(each.step.who)]
        this.taken += [each.step.who for each in batch if each.step.who not in own]
        for each in batch:
            if each.step.who not in own or this.failed:
                continue
            self._doubtful.add(each.step.key)
            running[pool.submit(self._add, each)] = each.step
            while len(running) >= self._max_in_flight:
                yield from self._finished(running)

    def _add(self, looked: LookedUp) -> None:
        # It may have waited for the budget for minutes.
        with check_before_write(partial(self._confirm, looked)):
            self._destination.add(looked.step.columns)

    def _confirm(self, looked: LookedUp) -> None:
        looked.check_age()
        self._reservations.confirm(looked.step.who)

    @staticmethod
    def _finished(
        running: dict[Future[None], Step], timeout: float | None = None
    ) -> Iterator[tuple[Step, Future[None]]]:
        finished, _ = wait(running, timeout, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future

    def _view_is_old(self) -> bool:
        # Others' reservations end after a while; whom they added before that, only a newer reading shows.
        too_old = time.monotonic() - self._held_for / 2
        return self._looked_at < max(too_old, self._reservations.known_since())

    def _finish_add(self, step: Step, future: Future[None], this: _Round) -> None:
        try:
            future.result()
        except AmbiguousWriteError as error:
            self._report.ambiguous.lost += 1
            this.in_doubt += 1
            this.settling_time = max(this.settling_time, error.settling_time)
            return
        except (ApiRefusedError, InvalidRequestError) as error:
            self._plan.refuse(step, str(error))
            self._shown.step()
        except NotReservedError:
            this.taken.append(step.who)
        except SalesBlinkError as error:
            self._not_sent(error, this)
        else:
            self._mark_done(step)
            self._report.added += 1
        self._doubtful.discard(step.key)

    def _not_sent(self, error: SalesBlinkError, this: _Round) -> None:
        """Note why somebody was not sent: to be sent in the next round, or the end of the load for now."""
        this.not_sent += 1
        if isinstance(error, BudgetSpentError):
            this.budget = max(this.budget, error.retry_after or 0.0)
        if not (isinstance(error, TooLongAgoError) or (isinstance(error, BudgetSpentError) and self._patient)):
            # Raised when the others in flight are settled, so that the report has them too.
            this.failed = this.failed or error

    def _mark_done(self, step: Step) -> None:
        self._plan.mark_done(step)
        self._shown.step()

    def _look_back(self, *, for_good: bool = True) -> None:
        # Not for good: the server may still be at work on those who are not there yet.
        self._looked_at = time.monotonic()
        self._look()
        for step in self._plan.steps("add"):
            there, ours = self._plan.holds(step.who), step.key in self._doubtful
            if there:
                self._mark_done(step)
                self._report.added += ours
                self._report.taken_by_others += not ours
            self._report.ambiguous.carried_out += ours and there
            self._report.ambiguous.not_carried_out += ours and not there and for_good
            if there or for_good:
                self._doubtful.discard(step.key)
