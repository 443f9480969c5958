"""The clock that lets things happen by themselves, for as long as the sandbox runs."""

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


class Clock:
    """Calls ``happen`` as the habits say, in a thread that is there only while something is still to happen."""

    def __init__(self, happen: Callable[[str], object]) -> None:
        self._happen = happen
        self._habits: tuple[Habit, ...] = ()
        self._lock = threading.Lock()
        self._running = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def habits(self) -> tuple[Habit, ...]:
        """What it goes by."""
        return self._habits

    def keep(self, habits: Iterable[Habit]) -> None:
        """Go by other habits, from their beginning."""
        with self._lock:
            self._halt()
            self._habits = tuple(habits)
            self._go()

    def start(self) -> None:
        """Let time begin."""
        with self._lock:
            self._running = True
            self._go()

    def stop(self) -> None:
        """Let nothing happen any more; what is happening is done when this returns."""
        with self._lock:
            self._running = False
            self._halt()

    def _go(self) -> None:
        if not self._running or not self._habits:
            return
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._tick, args=(self._habits, self._stopped), name="salesblink-sandbox-life", daemon=True
        )
        self._thread.start()

    def _halt(self) -> None:
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _tick(self, habits: tuple[Habit, ...], stopped: threading.Event) -> None:
        began = time.monotonic()
        # Turns are counted from the beginning, not from the last one, so that their order never hangs on the machine.
        turns = [(habit.first, place, 1) for place, habit in enumerate(habits)]
        heapq.heapify(turns)
        while turns:
            due, place, turn = turns[0]
            habit = habits[place]
            if stopped.wait(min(began + due - time.monotonic(), threading.TIMEOUT_MAX)):
                return
            self._let_happen(habit.happening)
            if turn == habit.times:
                heapq.heappop(turns)
            else:
                heapq.heapreplace(turns, (habit.first + turn * habit.every, place, turn + 1))

    def _let_happen(self, happening: str) -> None:
        try:
            self._happen(happening)
        except Exception:
            # Such as a full disk: the next turn may go better, and the API goes on.
            log.exception("The sandbox could not let '%s' happen", happening)
