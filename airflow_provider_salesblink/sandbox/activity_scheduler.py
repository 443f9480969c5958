"""Triggers the activity events at their times, in a thread, while the sandbox runs."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.sandbox.activity import Habit

log = logging.getLogger(__name__)


class ActivityScheduler:
    """Calls ``generate`` for each event that is due. Its thread exists only while an event is still to come."""

    def __init__(self, generate: Callable[[str], object]) -> None:
        self._generate = generate
        self._habits: tuple[Habit, ...] = ()
        self._lock = threading.Lock()
        self._running = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def habits(self) -> tuple[Habit, ...]:
        """Return the current schedule."""
        return self._habits

    def schedule(self, habits: Iterable[Habit]) -> None:
        """Replace the schedule and start it from the beginning."""
        with self._lock:
            self._stop_thread()
            self._habits = tuple(habits)
            self._start_thread()

    def start(self) -> None:
        """Start the schedule."""
        with self._lock:
            self._running = True
            self._start_thread()

    def stop(self) -> None:
        """Stop the schedule. An event in progress is done when this returns."""
        with self._lock:
            self._running = False
            self._stop_thread()

    def _start_thread(self) -> None:
        if not self._running or not self._habits:
            return
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._habits, self._stopped), name="salesblink-sandbox-life", daemon=True
        )
        self._thread.start()

    def _stop_thread(self) -> None:
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _run(self, habits: tuple[Habit, ...], stopped: threading.Event) -> None:
        started = time.monotonic()
        # Due times count from the start, not from the last event, so a slow machine cannot change the order of events.
        queue = [(habit.first, index, 1) for index, habit in enumerate(habits)]
        heapq.heapify(queue)
        while queue:
            due, index, count = queue[0]
            habit = habits[index]
            if stopped.wait(min(started + due - time.monotonic(), threading.TIMEOUT_MAX)):
                return
            self._trigger(habit.happening)
            if count == habit.times:
                heapq.heappop(queue)
            else:
                heapq.heapreplace(queue, (habit.first + count * habit.every, index, count + 1))

    def _trigger(self, event: str) -> None:
        try:
            self._generate(event)
        except Exception:
            # For example a full disk: the next event may succeed, and the API keeps working.
            log.exception("The sandbox could not generate the event '%s'", event)
