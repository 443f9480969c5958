"""Carry a plan out: several calls in flight, nobody twice, each answer in doubt looked up before anything is resent.

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
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    ApiRefusedError,
    BudgetSpentError,
    InvalidRequestError,
    RateLimitedError,
    SalesBlinkError,
)
from airflow_provider_salesblink.client.pacing import only_if
from airflow_provider_salesblink.loading.reservations import NotReservedError
from airflow_provider_salesblink.loading.reserved_in_redis import HELD_FOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.loading.plan import Action, Plan, Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations import PatientReservations

log = logging.getLogger(__name__)

MOST_ROUNDS = 20
"""After so many rounds in which nobody could be added for sure, a load gives up."""
LONGEST_SETTLE = 60.0
"""Seconds that a load waits, at most, for a server that asks for it; where it asks for more, the load ends for now."""
PROGRESS_EVERY = 10.0
"""Seconds between two lines of progress in the log."""


class Destination(Protocol):
    """Where people go: the campaign of one of SalesBlink's APIs."""

    def people(self) -> Iterable[Prospect]:
        """Everybody who is there."""

    def add(self, columns: dict[str, str]) -> None:
        """Send one person.

        :raises AmbiguousWriteError: sent, and not known whether carried out. An API that only accepts always does this.
        """

    def update(self, prospect_id: str, fields: dict[str, str], who: bytes) -> None:
        """Set fields of the person ``who``.

        :raises InvalidInputError: the id may be another person's.
        """

    def unsubscribe(self, prospect_id: str, who: bytes) -> None:
        """Stop all outreach to the person ``who``.

        :raises InvalidInputError: the id may be another person's.
        """


@dataclass
class _Round:
    in_doubt: int = 0
    not_sent: int = 0
    settle: float = 0.0
    budget: float = 0.0
    taken: list[bytes] = field(default_factory=list)
    failed: SalesBlinkError | None = None


class Sender:
    """Sends the steps of a plan.

    :param max_in_flight: how many calls at once at most.
    :param look: reads the campaign anew into the plan.
    :param looked_at: when, by the monotonic clock, the reading that the plan is made from began.
    :param sleep: how to wait for a server that may still be at work, or for another load's reservation.
    :param patient: whether a call that waited in vain for the budget is made again rather than the end of it.
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
        self._idle: dict[bytes, str] = {}
        self._doubtful: set[int] = set()
        self._took_over = -math.inf

    @property
    def in_doubt(self) -> bool:
        """Whether somebody may have been sent of whom it is not known if they were added."""
        return bool(self._doubtful)

    def opt_out(self) -> None:
        """Unsubscribe everybody of whom the source says that they opted out."""
        for _ in self._each("opt_out", self._unsubscribe):
            self._report.unsubscribed += 1

    def update(self) -> None:
        """Update everybody whose fields differ."""
        for _ in self._each("update", self._update):
            self._report.updated += 1

    def unsubscribe(self) -> None:
        """Unsubscribe everybody whom a mirror's source does not have."""
        for _ in self._each("unsubscribe", self._unsubscribe):
            self._report.unsubscribed += 1

    def add(self) -> bool:
        """Add everybody who is to be; whether nobody is left."""
        fruitless, left = 0, self._plan.to_send("add")
        while fruitless < MOST_ROUNDS:
            this = self._round()
            if not (this.in_doubt or this.taken or this.not_sent):
                return True
            if this.in_doubt or this.taken:
                # Asked before looking: whoever becomes idle only after the look may have added the person meanwhile.
                self._idle = self._idle_owners(this.taken)
                # What somebody else is about to add is there soon, or free when the reservation ends.
                others = min(2.0**fruitless, self._held_for) if len(self._idle) < len(this.taken) else 0.0
                self._sleep(max(min(this.settle, LONGEST_SETTLE), this.budget, others))
                self._look_back()
                self._give_way(this.settle - LONGEST_SETTLE)
            else:
                self._sleep(this.budget)
            before, left = left, self._plan.to_send("add")
            fruitless = 0 if left < before else fruitless + 1
        return not left

    def _give_way(self, wait: float) -> None:
        if wait > 0 and self._plan.to_send("add"):
            raise RateLimitedError(
                "SalesBlink had a problem of its own, and asks to be left alone.", status=None, retry_after=wait
            )

    def _round(self) -> _Round:
        this = _Round()
        with ThreadPoolExecutor(self._max_in_flight, thread_name_prefix="salesblink-load") as pool:
            for step, future in self._in_flight(pool, this):
                self._settle_add(step, future, this)
        if this.failed is not None:
            raise this.failed
        return this

    def _in_flight(self, pool: ThreadPoolExecutor, this: _Round) -> Iterator[tuple[Step, Future[None]]]:
        steps = self._plan.steps("add")
        running: dict[Future[None], Step] = {}
        progress = _Progress("added", self._plan.to_send("add"), self._report)
        while not this.failed and (batch := list(islice(steps, self._max_in_flight))):
            own = self._reserved([step.who for step in batch])
            # Only now: the store may have been waited for, or may have forgotten whom others have added.
            if self._view_is_old():
                # Whoever is still in flight would be found in the campaign, and counted as added by others.
                while running:
                    yield from self._finished(running)
                self._look_back(for_good=False)
            # Looking anew, now or before, may have settled steps that were at hand already.
            batch = [step for step in batch if not self._plan.holds(step.who)]
            this.taken += [step.who for step in batch if step.who not in own]
            for step in batch:
                if step.who not in own or this.failed:
                    continue
                self._doubtful.add(step.key)
                running[pool.submit(self._add, step)] = step
                if len(running) >= self._max_in_flight:
                    yield from self._finished(running)
                    progress.tell()
        while running:
            yield from self._finished(running)
            progress.tell()

    def _add(self, step: Step) -> None:
        # It may have waited for the budget for minutes.
        with only_if(partial(self._reservations.confirm, step.who)):
            self._destination.add(step.columns)

    def _reserved(self, people: list[bytes]) -> set[bytes]:
        own = self._reservations.take(people)
        for who in people:
            # Somebody who has done with a person who is not there is in nobody's way: they were taken out again since.
            if who not in own and who in self._idle and self._reservations.take_over(who, self._idle.pop(who)):
                # Its owner may have been at work again, and idle again, since they were looked for.
                self._took_over = time.monotonic()
                own.add(who)
        return own

    def _idle_owners(self, people: list[bytes]) -> dict[bytes, str]:
        owners = ((who, self._reservations.idle_owner(who)) for who in people)
        return {who: owner for who, owner in owners if owner is not None}

    @staticmethod
    def _finished(running: dict[Future[None], Step]) -> Iterator[tuple[Step, Future[None]]]:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future

    def _view_is_old(self) -> bool:
        # Others' reservations end after a while; whom they added before that, only a newer reading shows.
        too_old = time.monotonic() - self._held_for / 2
        return self._looked_at < max(too_old, self._reservations.known_since(), self._took_over)

    def _settle_add(self, step: Step, future: Future[None], this: _Round) -> None:
        try:
            future.result()
        except AmbiguousWriteError as error:
            self._report.ambiguous.lost += 1
            this.in_doubt += 1
            this.settle = max(this.settle, error.settle)
            return
        except (ApiRefusedError, InvalidRequestError) as error:
            self._plan.refuse(step, str(error))
        except NotReservedError:
            this.taken.append(step.who)
        except BudgetSpentError as error:
            this.not_sent += 1
            this.budget = max(this.budget, error.retry_after or 0.0)
            this.failed = this.failed or (None if self._patient else error)
        except SalesBlinkError as error:
            # Raised when the others in flight are settled, so that the report tells of them too.
            this.failed = this.failed or error
        else:
            self._plan.settle(step)
            self._report.added += 1
        self._doubtful.discard(step.key)

    def _look_back(self, *, for_good: bool = True) -> None:
        # Not for good: the server may still be at work on those who are not there yet.
        self._looked_at = time.monotonic()
        self._look()
        for step in self._plan.steps("add"):
            there, ours = self._plan.holds(step.who), step.key in self._doubtful
            if there:
                self._plan.settle(step)
                self._report.added += ours
                self._report.taken_by_others += not ours
            self._report.ambiguous.carried_out += ours and there
            self._report.ambiguous.not_carried_out += ours and not there and for_good
            if there or for_good:
                self._doubtful.discard(step.key)

    def _each(self, action: Action, send: Callable[[Step], None]) -> Iterator[Step]:
        steps = self._plan.steps(action)
        with ThreadPoolExecutor(self._max_in_flight, thread_name_prefix="salesblink-load") as pool:
            while batch := list(islice(steps, self._max_in_flight)):
                yield from self._settled(batch, [pool.submit(send, step) for step in batch])

    def _update(self, step: Step) -> None:
        self._destination.update(str(step.prospect_id), step.columns, step.who)

    def _unsubscribe(self, step: Step) -> None:
        self._destination.unsubscribe(str(step.prospect_id), step.who)

    def _settled(self, steps: Sequence[Step], futures: Sequence[Future[None]]) -> Iterator[Step]:
        failed: SalesBlinkError | None = None
        for step, future in zip(steps, futures, strict=True):
            try:
                future.result()
            except (ApiRefusedError, InvalidRequestError) as error:
                self._plan.refuse(step, str(error))
            except SalesBlinkError as error:
                failed = error
            else:
                self._plan.settle(step)
                yield step
        if failed is not None:
            raise failed


class _Progress:
    """A line in the log every so often: done, of how many, how fast, how long still."""

    def __init__(self, word: str, total: int, report: Report) -> None:
        self._word = word
        self._total = total
        self._report = report
        self._began = self._told = time.monotonic()
        self._before = report.added

    def tell(self) -> None:
        """Log the progress if it is time to."""
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY:
            return
        self._told = now
        done = self._report.added - self._before
        per_minute = done / (now - self._began) * 60
        left = (self._total - done) / per_minute if per_minute else 0.0
        log.info(
            "%s / %s %s, %.1f a minute, about %.0f min left; %s answers lost.",
            f"{done:,}", f"{self._total:,}", self._word, per_minute, left, self._report.ambiguous.lost,
        )  # fmt: skip
