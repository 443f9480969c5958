"""The sandbox's clock, which tests can move forward instead of waiting."""

from __future__ import annotations

import time


class Clock:
    """A monotonic clock."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the time in seconds since an arbitrary start."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead += seconds
