"""Poll a resource once for all waits and watchers."""

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

    from airflow_provider_salesblink.waiting.campaign_health import Health
    from airflow_provider_salesblink.waiting.changes import Snapshot
    from airflow_provider_salesblink.waiting.conditions import Met
    from airflow_provider_salesblink.waiting.feed_cursor import FoundEvents

    Look = Snapshot | FoundEvents | Health

log = logging.getLogger(__name__)

Decisions = list[tuple[Any, Any]]
"""Conditions, each with its verdict, or with what a watcher asked for: a snapshot, or events."""

LONGEST_BACKOFF = 60.0
"""Maximum seconds of backoff after failures. Intervals of the waits may be longer."""

AFTER_REFUSAL = 300.0
"""Seconds until the next poll for watchers, after an error that a person has to correct."""

_BATCH = 100
"""Number of results to deliver before other tasks of the event loop get a turn."""


class GaveUp(Exception):  # noqa: N818  # an outcome, not a mistake
    """Too many polls failed in a row. The message gives the last error."""


class _Member:
    """A wait or a watcher.

    :param condition: what to look for.
    :param interval: maximum seconds between two polls.
    """

    __slots__ = ("_backoff", "condition", "failures", "interval")

    def __init__(self, condition: object, interval: float | Backoff) -> None:
        self.condition = condition
        self._backoff = interval if isinstance(interval, Backoff) else None
        self.interval = interval.interval if isinstance(interval, Backoff) else interval
        self.failures = 0

    def looked(self) -> None:
        """Note that a poll begins."""
        if self._backoff is not None:
            self._backoff.looked(time.time())
            self.interval = self._backoff.interval

    def finish(self, result: Any) -> None:  # noqa: ANN401
        """Deliver a verdict, or what a watcher asked for."""

    def fail(self, error: SalesBlinkError) -> None:
        """Report that a poll failed."""

    def crash(self, error: BaseException) -> None:
        """Report that polling has ended."""


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
            self.crash(GaveUp(f"{self.failures} polls in a row failed. Last error: {error}"))

    def crash(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Watcher(_Member):
    __slots__ = ("looks",)

    def __init__(self, condition: object, interval: float) -> None:
        super().__init__(condition, interval)
        # Only the newest one: it contains all changes, also for a watcher that cannot keep up.
        self.looks: asyncio.Queue[Look | BaseException] = asyncio.Queue(1)

    def finish(self, result: Look | BaseException) -> None:
        if self.looks.full():
            self.looks.get_nowait()
        self.looks.put_nowait(result)

    def crash(self, error: BaseException) -> None:
        self.finish(error)


class Poller:
    """Poll a resource at the shortest interval of its members, and deliver each member's result.

    It runs from the first member to the last. A member gets only results of polls that began after it joined, because
    older results may be outdated.

    :param look: sends one request for the conditions that exist at that moment.
    :param name: the resource, for the log.
    :param ended: called when the last member has left.
    """

    def __init__(
        self,
        look: Callable[[Callable[[], tuple[Any, ...]]], Awaitable[Decisions]],
        name: str,
        ended: Callable[[], object],
    ) -> None:
        self._look = look
        self._name = name
        self._ended = ended
        self._members: dict[Any, _Member] = {}
        self._shortest = math.inf
        self._began = -math.inf
        self._polled: tuple[Any, ...] = ()
        self._earliest = 0.0
        self._refused = False
        self._wake_up = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    async def wait(self, condition: object, *, interval: float | Backoff, most_failures: int | None) -> Met | Hopeless:
        """Wait until ``condition`` is met or hopeless.

        :param interval: maximum seconds between two polls.
        :param most_failures: number of failed polls in a row that ends the wait; None for no limit.
        :raises GaveUp: that many polls failed.
        """
        waiter = _Waiter(condition, interval, most_failures)
        self._join(waiter)
        try:
            return await waiter.future
        finally:
            self._leave(waiter)

    async def watch(self, condition: object, *, interval: float) -> AsyncGenerator[Look, None]:
        """Yield what each poll shows, without end."""
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
        """Poll now if the last poll failed, because there is a new client."""
        if self._failures:
            self._recover()
            self._look_now()

    def _join(self, member: _Member) -> None:
        self._members[member.condition] = member
        if member.interval < self._shortest:
            self._shortest = member.interval
            self._wake_up.set()
        if self._refused:
            self._look_now()
        if self._task is None:
            # In an empty context: in the first member's, everything would be logged to that task's log.
            context = Context()
            self._task = asyncio.get_running_loop().create_task(self._run(), context=context)
            self._task.add_done_callback(self._report_crash, context=context)

    def _leave(self, member: _Member) -> None:
        self._members.pop(member.condition, None)
        if not self._members and self._task is not None:
            self._task.cancel()
            self._end()

    def _end(self) -> None:
        self._task = None
        self._ended()

    def _report_crash(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and task is self._task:
            log.error("Polling of %s stopped: %s", self._name, type(error).__name__)
            # Before the members leave: a member that joins meanwhile starts a new poll.
            self._end()
            for member in tuple(self._members.values()):
                member.crash(error)

    async def _run(self) -> None:
        # With jitter, so that pollers that start together do not poll together.
        await asyncio.sleep(random.uniform(0, min(self._shortest, 10) / 10))
        while True:
            # Here too: a poll may fail before it calls _begin.
            self._begin()
            try:
                decided = await self._look(self._begin)
            except SalesBlinkError as error:
                self._failed(error)
            else:
                self._recover()
                await self._distribute(decided)
            await self._next_look()

    def _begin(self) -> tuple[Any, ...]:
        """Return the conditions for a poll that begins now. It may have waited for its turn before."""
        self._began = asyncio.get_running_loop().time()
        self._polled = tuple(self._members)
        for member in self._members.values():
            member.looked()
        return self._polled

    def _look_now(self) -> None:
        """Poll at once: a new member after a refusal must not wait until the watchers' next poll."""
        self._began, self._earliest = -math.inf, 0.0
        self._wake_up.set()

    async def _distribute(self, decided: Decisions) -> None:
        for number, (condition, result) in enumerate(decided, start=1):
            if member := self._members.get(condition):
                member.finish(result)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        # Let those who got a result leave: if the poll took longer than the interval, the next one begins at once.
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
        level = logging.ERROR if error.permanent else logging.WARNING
        log.log(level, "Polling of %s failed (%d in a row): %s", self._name, self._failures, error)
        for condition in self._polled:
            if member := self._members.get(condition):
                member.fail(error)
        self._earliest = asyncio.get_running_loop().time() + self._pause_after(error)
        if error.permanent and self._members.keys() - set(self._polled):
            self._look_now()

    def _pause_after(self, error: SalesBlinkError) -> float:
        if error.permanent:
            return AFTER_REFUSAL
        return random.uniform(0.5, 1) * min(2.0 ** min(self._failures, 30), LONGEST_BACKOFF)

    async def _next_look(self) -> None:
        """Wait for the shortest interval since the last poll began, and for the pause after a failure."""
        loop = asyncio.get_running_loop()
        while True:
            self._shortest = min((each.interval for each in self._members.values()), default=math.inf)
            rest = max(self._began + self._shortest, self._earliest) - loop.time()
            if rest <= 0:
                return
            self._wake_up.clear()
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._wake_up.wait()
