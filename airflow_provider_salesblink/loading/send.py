"""Add the people of a plan: several calls in flight, nobody twice, each lost response checked before the next try.

Adds are sent in rounds. After a round, a reading of the campaign shows whether the people whose adds are in doubt were
added: answers were lost, or SalesBlink only accepted the people. Those who were not go into the next round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from itertools import islice
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
from airflow_provider_salesblink.loading.account_opt_outs import FEW, AccountOptOuts, LookupInBulk
from airflow_provider_salesblink.loading.add_schedule import AddsPausedError
from airflow_provider_salesblink.loading.opt_out_lookups import (
    ROW_ERRORS,
    UNKNOWN,
    LookedUp,
    LookupAhead,
    NoLookup,
)
from airflow_provider_salesblink.loading.other_loads import wait_for_others
from airflow_provider_salesblink.loading.progress import Progress
from airflow_provider_salesblink.loading.read_back import NEVER_SHOWN, ReadBack
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT
from airflow_provider_salesblink.loading.send_round import LONGEST_SETTLING_TIME, Round
from airflow_provider_salesblink.loading.store_retry import NotReservedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.loading.add_schedule import AddSchedule
    from airflow_provider_salesblink.loading.campaign_reader import CampaignReader
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.opt_out_lookups import Source
    from airflow_provider_salesblink.loading.options import SendLimits
    from airflow_provider_salesblink.loading.outcomes import Word
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.plan_steps import Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

log = logging.getLogger(__name__)

MOST_ROUNDS = 20
"""After this many rounds in a row in which nobody could be added for sure, a load gives up."""
MOST_REFUSALS = 20
"""After this many refused calls in a row, all people of a refused call are refused, instead of sending parts of it."""
Group = list[LookedUp]
"""The people that one call adds."""
Ids = Sequence[str | None]
"""The ids of people who were added; None where the answer shows none."""
_Sent = tuple[Group, Future[Ids]]
_Running = dict[Future[Ids], Group]


class Sender:
    """Adds the people of a plan.

    :param reader: reads the campaign into the plan; it has read it once already.
    """

    def __init__(
        self,
        plan: Plan,
        reader: CampaignReader,
        destination: Destination,
        opt_outs: AccountOptOuts,
        report: Report,
        reservations: RetryingReservations,
        schedule: AddSchedule,
        limits: SendLimits,
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._destination = destination
        self._report = report
        self._reservations = reservations
        self._schedule = schedule
        self._limits = limits
        self._longest_wait = limits.longest_wait
        self._read_back = ReadBack(plan, reader, report, limits, self._mark_done)
        self._opt_outs = opt_outs

    @property
    def in_doubt(self) -> frozenset[int]:
        """The steps of people who were sent, while it is not known whether they were added."""
        return self._read_back.in_doubt

    def add(self) -> bool:
        """Add everybody the plan says to add; return whether nobody is left.

        :raises HeldByOthersError: when another load holds some of them for too long.
        :raises AddsPausedError: when the others may not be added today, or at this hour.
        """
        limits = [self._limits.writes_per_minute, *([self._limits.reads_per_minute] if self._limits.looks_up else [])]
        slower = min(filter(None, limits), default=0)
        people, per_minute = self._plan.to_send("add"), slower * self._limits.batch_size
        with Progress("added", people, per_minute=per_minute, more=self._more_progress) as self._progress:
            self._read_back.wait_for_earlier_run(self._reservations)
            return self._add_all()

    def _more_progress(self) -> str:
        looked_up = f"{self._report.looked_up:,} looked up, " * self._limits.looks_up
        return f"; {looked_up}{self._report.ambiguous.lost:,} answers lost"

    def _add_all(self) -> bool:
        fruitless, left = 0, self._plan.to_send("add")
        while fruitless < MOST_ROUNDS:
            last = self._send_round()
            if not (last.in_doubt or last.held_by_others or last.not_sent or last.pause):
                return True
            self._prepare_next_round(last)
            before, left = left, self._plan.to_send("add")
            fruitless = 0 if left < before else fruitless + 1
        return not left

    def _prepare_next_round(self, last: Round) -> None:
        if last.in_doubt:
            last.log_doubt()
            self._wait_for_doubtful(last)
            pause = last.settling_time - LONGEST_SETTLING_TIME
            if pause > 0 and self._plan.to_send("add"):
                raise RateLimitedError("SalesBlink has a problem and asks for a pause.", status=None, retry_after=pause)
        elif last.pause:
            # Only now, because the waits for what is in doubt are shorter.
            raise last.pause
        elif last.held_by_others:
            self._wait_for_others(last.held_by_others)
            self._read_back.reread()
        else:
            self._limits.sleep(last.retry_after)

    def _wait_for_doubtful(self, last: Round) -> None:
        imports, server = self._limits.settling_time, max(last.bounded_settling_time, last.retry_after)
        self._read_back.wait(max(imports, server), polls=imports > 0)

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

    def _send_round(self) -> Round:
        current = Round()
        current.pause = self._schedule.closed() if self._plan.to_send("add") else None
        with ThreadPoolExecutor(self._limits.max_in_flight, thread_name_prefix="salesblink-load") as pool:
            for group, future in self._in_flight(pool, current):
                self._finish_add(group, future, current)
        if error := current.error or current.lookup_error:
            if current.in_doubt and isinstance(error, BudgetSpentError):
                # Otherwise the next part of the load counts the people as there, and waits for their requests first.
                with suppress(SalesBlinkError):
                    self._wait_for_doubtful(current)
            raise error
        return current

    def _in_flight(self, pool: ThreadPoolExecutor, current: Round) -> Iterator[_Sent]:
        running: _Running = {}
        try:
            with self._source() as source:
                while not (current.error or current.pause or (source.is_over and not current.refused_groups)):
                    batch = self._next_batch(source, running, current)
                    yield from self._finished(running, timeout=0)
                    if batch:
                        yield from self._submit(pool, batch, running, current)
                    if source.is_over:
                        # A refused call comes back in parts.
                        yield from self._all_finished(running)
        except KeyboardInterrupt:
            # Else these people count as in doubt, and stay reserved until that expires.
            yield from self._all_finished(running)
            raise
        yield from self._all_finished(running)

    def _next_batch(self, source: Source, running: _Running, current: Round) -> Group:
        if current.refused_groups:
            return current.refused_groups.pop()
        # No more than can be sent: people who are reserved and wait cannot be added by other loads.
        most = (self._limits.max_in_flight - len(running)) * self._limits.batch_size
        return [each for each in source.ready(most, running) if self._may_be_added(each, current)]

    def _all_finished(self, running: _Running) -> Iterator[_Sent]:
        while running:
            yield from self._finished(running)

    def _source(self) -> Source:
        limits, steps = self._limits, self._plan.steps("add")
        if not limits.looks_up:
            return NoLookup(steps)
        if limits.batch_size > 1:
            return LookupInBulk(steps, self._opt_outs, self._destination, are_few=self._plan.to_send("add") <= FEW)
        # More look-ups at once would only wait for the rate limit.
        at_once = min(limits.max_in_flight, limits.reads_per_minute or limits.max_in_flight)
        return LookupAhead(steps, self._destination.opted_out_elsewhere, at_once)

    def _may_be_added(self, looked_up: LookedUp, current: Round) -> bool:
        step, error = looked_up.step, looked_up.error
        if isinstance(error, ROW_ERRORS):
            self._plan.refuse(step, str(error))
        elif error is not None:
            current.note_lookup_error(step, error, waits=self._limits.waits_for_rate_limit)
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

    def _submit(self, pool: ThreadPoolExecutor, batch: Group, running: _Running, current: Round) -> Iterator[_Sent]:
        own = self._reservations.acquire([each.step.who for each in batch])
        # Checked only now, because the load may have waited for the store, or the store may have lost reservations of
        # people that others have added.
        if self._is_reading_stale():
            # People still in flight would be found in the campaign, and counted as added by others.
            yield from self._all_finished(running)
            if self._read_back.reread(is_final=False) > LONGEST_UNSENT:
                own &= self._reservations.acquire(list(own))  # they may have ended meanwhile
        # The reading may have shown that steps of the batch are done.
        batch = [each for each in batch if not self._plan.holds(each.step.who)]
        current.held_by_others += [each.step.who for each in batch if each.step.who not in own]
        ready = iter([each for each in batch if each.step.who in own])
        while not (current.error or current.pause) and (group := list(islice(ready, self._limits.batch_size))):
            group = self._counted(group, current)
            if not group:
                continue
            self._read_back.note_sent(each.step for each in group)
            running[pool.submit(self._add, group)] = group
            while len(running) >= self._limits.max_in_flight:
                yield from self._finished(running)

    def _counted(self, group: Group, current: Round) -> Group:
        """Count people in the day; return those who may be added in it."""
        taken = self._schedule.take([each.step.who for each in group])
        for each in group:
            if each.step.who in taken.given_up:
                self._plan.refuse(each.step, NEVER_SHOWN)
                self._progress.step()
        current.pause = current.pause or taken.pause
        return [each for each in group if each.step.who in taken.may_be_sent]

    def _add(self, group: Group) -> Ids:
        # The call may wait for the rate limit for minutes, so the check runs right before the request.
        with check_before_write(partial(self._confirm, group)):
            return self._destination.add([each.step.columns for each in group])

    def _confirm(self, group: Group) -> None:
        for each in group:
            each.check_age()
        people = [each.step.who for each in group]
        self._schedule.confirm(people)
        self._reservations.confirm(people)

    @staticmethod
    def _finished(running: _Running, timeout: float | None = None) -> Iterator[_Sent]:
        finished, _ = wait(running, timeout, return_when=FIRST_COMPLETED)
        for future in finished:
            yield running.pop(future), future

    def _is_reading_stale(self) -> bool:
        # Other loads' reservations expire. Only a later reading shows the people they added before that.
        too_old = time.monotonic() - LONGEST_UNSENT
        return self._reader.read_at < max(too_old, self._reservations.complete_since())

    def _finish_add(self, group: Group, future: Future[Ids], current: Round) -> None:
        steps = [each.step for each in group]
        try:
            ids = future.result()
        except AmbiguousWriteError as error:
            current.note_doubt(error, len(steps))
            self._schedule.keep([step.who for step in steps])
            if error.is_accepted:
                self._read_back.note_accepted(steps)
                current.refusals = 0
            else:
                self._report.count_ambiguous("lost", len(steps))
            return
        except (ApiRefusedError, InvalidRequestError) as error:
            self._refuse(group, error, current)
        except NotReservedError as error:
            if not current.held_by_others:
                log.warning("Row %d: %s", steps[0].number, error)
            current.held_by_others += [step.who for step in steps]
        except AddsPausedError as error:
            current.pause = error
            self._give_back(steps)
        except SalesBlinkError as error:
            current.note_not_sent(error, waits=self._limits.waits_for_rate_limit)
            self._give_back(steps)
        else:
            for step, prospect_id in zip(steps, ids, strict=True):
                self._mark_done(step, "added", prospect_id)
            self._report.count_added(len(steps))
        self._read_back.note_decided(steps)

    def _refuse(self, group: Group, error: SalesBlinkError, current: Round) -> None:
        """Refuse a person; of several, find out whose row it is by sending the halves."""
        current.refusals += 1
        if len(group) > 1 and current.refusals < MOST_REFUSALS:
            half = len(group) // 2
            current.refused_groups += [group[half:], group[:half]]
            return
        self._give_back(each.step for each in group)
        for each in group:
            self._plan.refuse(each.step, str(error))
            self._progress.step()

    def _give_back(self, steps: Iterable[Step]) -> None:
        # Otherwise, who is never sent because the key is wrong for days would count as sent and never shown.
        self._schedule.give_back([step.who for step in steps])

    def _mark_done(self, step: Step, outcome: Word, prospect_id: str | None = None) -> None:
        self._plan.mark_done(step, outcome, prospect_id)
        self._progress.step()
