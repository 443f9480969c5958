"""Let a thread that reads page after page wait for the rate limit, where the client does not let a single call wait."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


@dataclass
class _Series:
    stopped: threading.Event
    has_begun: bool = False


_series: ContextVar[_Series | None] = ContextVar("series", default=None)


@contextmanager
def waiting_for_later_pages(stopped: threading.Event) -> Iterator[None]:
    """While active, calls of this thread wait for the rate limit, all but the first one.

    Without its later pages, an answer is useless: to begin again each time would use up the rate limit for nothing.

    :param stopped: ends the waits when it is set.
    """
    token = _series.set(_Series(stopped))
    try:
        yield
    finally:
        _series.reset(token)


def note_sent() -> None:
    """Note that a call of this thread is sent."""
    series = _series.get()
    if series is not None:
        series.has_begun = True


def wait_for_later_page(seconds: float) -> bool:
    """Wait, and return True, if the next call of this thread reads a later page; else return False at once."""
    series = _series.get()
    return series is not None and series.has_begun and not series.stopped.wait(seconds)
