"""The sandbox's clock, which tests can move forward instead of waiting."""

from __future__ import annotations

import time


class Clock:
    """The real time, plus the seconds that it was moved forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the time in seconds since an arbitrary start. It never runs backward."""
        return time.monotonic() + self._ahead

    def unix_ms(self) -> int:
        """Return the time of day in Unix milliseconds."""
        return int((time.time() + self._ahead) * 1000)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead += seconds

    def reset(self) -> None:
        """Return to the real time."""
        self._ahead = 0.0
