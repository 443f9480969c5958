"""One poll for all who wait at a resource."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import SalesBlinkError
from airflow_provider_salesblink.waiting.backoff import Backoff
from airflow_provider_salesblink.waiting.conditions import Hopeless

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from airflow_provider_salesblink.waiting.changes import Snapshot
    from airflow_provider_salesblink.waiting.conditions import Met

log = logging.getLogger(__name__)

Settled = list[tuple[Any, Any]]
"""Wishes, and what settled each."""

LONGEST_BACKOFF = 60.0
"""Seconds between two looks at most, after failures, where the waiters' own interval is not longer."""

AFTER_REFUSAL = 300.0
"""Seconds until a watcher looks again after an error that a person has to mend."""

_AT_A_STRETCH = 100
"""So many are told of what they waited for before others in the event loop get their turn."""


class GaveUp(Exception):  # noqa: N818  # an outcome, not a mistake
    """SalesBlink could not be asked so many times in a row; the message says why the last time."""


class _Member:
    """One who waits, or watches.

    :param condition: what is looked for.
    :param interval: seconds between two looks at most.
    """

    __slots__ = ("_backoff", "condition", "failures", "interval")

    def __init__(self, condition: object, interval: float | Backoff) -> None:
        self.condition = condition
        self._backoff = interval if isinstance(interval, Backoff) else None
        self.interval = interval.interval if isinstance(interval, Backoff) else interval
        self.failures = 0

    def looked(self) -> None:
        """Note that a look begins."""
        if self._backoff is not None:
            self._backoff.looked(time.time())
            self.interval = self._backoff.interval

    def finish(self, result: Any) -> None:  # noqa: ANN401
        """Tell what was seen."""

    def fail(self, error: SalesBlinkError) -> None:
        """Tell that nothing could be seen."""

    def crash(self, error: BaseException) -> None:
        """Tell that there will be no further look."""


class _Waiter(_Member):
    __slots__ = ("future", "most_failures")

    def __init__(self, condition: object, interval: float | Backoff, most_failures: int | None) -> None:
        super().__init__(condition, interval)
        self.most_failures = most_failures
        self.future: asyncio.Future[Met | Hopeless] = asyncio.get_running_loop().create_future()

    def finish(self, result: Met | Hopeless) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: SalesBlinkError) -> None:
        if error.permanent:
            self.finish(Hopeless(str(error)))
            return
        self.failures += 1
        if self.most_failures is not None and self.failures >= self.most_failures:
            self.crash(GaveUp(f"{self.failures} looks in a row failed. The last: {error}"))

    def crash(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Watcher(_Member):
    __slots__ = ("looks",)

    def __init__(self, condition: object, interval: float) -> None:
        super().__init__(condition, interval)
        # Only the newest: who cannot keep up loses no change by it.
        self.looks: asyncio.Queue[Snapshot | BaseException] = asyncio.Queue(1)

    def finish(self, result: Snapshot | BaseException) -> None:
        if self.looks.full():
            self.looks.get_nowait()
        self.looks.put_nowait(result)

    def crash(self, error: BaseException) -> None:
        self.finish(error)


class Poller:
    """Looks at a resource as often as the most impatient of its members wants, and tells each what concerns it.

    It runs from the first member to the last. A member is told only of looks that began after it came: what was seen
    before may be over.

    :param look: asks once for the conditions that are there when it does.
    :param name: the resource, for the log.
    :param ended: called when the last member has left.
    """

    def __init__(
        self,
        look: Callable[[Callable[[], tuple[Any, ...]]], Awaitable[Settled]],
        name: str,
        ended: Callable[[], object],
    ) -> None:
        self._look = look
        self._name = name
        self._ended = ended
        self._members: dict[Any, _Member] = {}
        self._shortest = math.inf
        self._began = -math.inf
        self._asked: tuple[Any, ...] = ()
        self._earliest = 0.0
        self._refused = False
        self._sooner = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    async def wait(self, condition: object, *, interval: float | Backoff, most_failures: int | None) -> Met | Hopeless:
        """Wait until ``condition`` is settled.

        :param interval: seconds between two looks at most.
        :param most_failures: after so many failed looks in a row it is over; None where they never end it.
        :raises GaveUp: it is over.
        """
        waiter = _Waiter(condition, interval, most_failures)
        self._join(waiter)
        try:
            return await waiter.future
        finally:
            self._leave(waiter)

    async def watch(self, condition: object, *, interval: float) -> AsyncGenerator[Snapshot, None]:
        """What each look shows, endlessly."""
        watcher = _Watcher(condition, interval)
        self._join(watcher)
        try:
            while True:
                seen = await watcher.looks.get()
                if isinstance(seen, BaseException):
                    raise seen
                yield seen
        finally:
            self._leave(watcher)

    def restart(self) -> None:
        """Look now, if the last look failed: the next one asks another client."""
        if self._failures:
            self._recover()
            self._hurry()

    def _join(self, member: _Member) -> None:
        self._members[member.condition] = member
        if member.interval < self._shortest:
            self._shortest = member.interval
            self._sooner.set()
        if self._refused:
            self._hurry()
        if self._task is None:
            # Without the first member's context, which would take all that is logged into its log.
            context = Context()
            self._task = asyncio.get_running_loop().create_task(self._run(), context=context)
            self._task.add_done_callback(self._told, context=context)

    def _leave(self, member: _Member) -> None:
        self._members.pop(member.condition, None)
        if not self._members and self._task is not None:
            self._task.cancel()
            self._end()

    def _end(self) -> None:
        self._task = None
        self._ended()

    def _told(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and task is self._task:
            log.error("%s is not looked at any more: %s", self._name, type(error).__name__)
            # Before they leave: whoever comes meanwhile gets a look again.
            self._end()
            for member in tuple(self._members.values()):
                member.crash(error)

    async def _run(self) -> None:
        # Those who start together need not ask together.
        await asyncio.sleep(random.uniform(0, min(self._shortest, 10) / 10))
        while True:
            # Here too: a look may fail before it asks for whom.
            self._begin()
            try:
                settled = await self._look(self._begin)
            except SalesBlinkError as error:
                self._failed(error)
            else:
                self._recover()
                await self._distribute(settled)
            await self._next_look()

    def _begin(self) -> tuple[Any, ...]:
        """The conditions of those who are told of a look that begins now. It may have had to wait for its turn."""
        self._began = asyncio.get_running_loop().time()
        self._asked = tuple(self._members)
        for member in self._members.values():
            member.looked()
        return self._asked

    def _hurry(self) -> None:
        """Who comes anew after a refusal wants to hear of it now, not when the watchers look again."""
        self._began, self._earliest = -math.inf, 0.0
        self._sooner.set()

    async def _distribute(self, settled: Settled) -> None:
        for number, (condition, result) in enumerate(settled, start=1):
            if member := self._members.get(condition):
                member.finish(result)
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)

    def _recover(self) -> None:
        self._refused = False
        if self._failures:
            self._failures = 0
            for member in self._members.values():
                member.failures = 0

    def _failed(self, error: SalesBlinkError) -> None:
        self._failures += 1
        self._refused = error.permanent
        log.warning("%s could not be looked at (%d in a row): %s", self._name, self._failures, error)
        for condition in self._asked:
            if member := self._members.get(condition):
                member.fail(error)
        self._earliest = asyncio.get_running_loop().time() + self._pause_after(error)
        if error.permanent and self._members.keys() - set(self._asked):
            self._hurry()

    def _pause_after(self, error: SalesBlinkError) -> float:
        if error.permanent:
            return AFTER_REFUSAL
        return random.uniform(0.5, 1) * min(2.0 ** min(self._failures, 30), LONGEST_BACKOFF)

    async def _next_look(self) -> None:
        """Wait until the shortest interval since the last look began is over, and the pause after a failure."""
        loop = asyncio.get_running_loop()
        while True:
            self._shortest = min((each.interval for each in self._members.values()), default=math.inf)
            rest = max(self._began + self._shortest, self._earliest) - loop.time()
            if rest <= 0:
                return
            self._sooner.clear()
            # Not wait_for: that of Python 3.11 swallows a cancellation which comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._sooner.wait()
