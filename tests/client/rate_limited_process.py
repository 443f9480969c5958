"""A process that shares a rate limit: ``python -m tests.client.rate_limited_process STORE LIMIT WINDOW SECONDS``.

It starts when it reads a line, and prints the times at which it was allowed to send.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.rate_limit import SlidingWindow
from airflow_provider_salesblink.client.rate_limit_stores import Store, file_store, redis_store

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.rate_limit import RateLimiter


def store(url: str) -> Store:
    """Return the store that a URL or a path names."""
    return redis_store(url, "test") if "://" in url else file_store(Path(url))


def acquire_until(limiter: RateLimiter, end: float) -> list[float]:
    """Acquire all that the limiter allows until a time of the monotonic clock, and return when it did."""
    acquired = []
    while time.monotonic() < end:
        if wait := limiter.try_acquire("writes"):
            time.sleep(wait)  # noqa: TID251  # the driver of this test
        else:
            acquired.append(time.monotonic())
    return acquired


if __name__ == "__main__":
    url, limit, window, seconds = sys.argv[1:]
    limiter = SlidingWindow({"writes": int(limit)}, store(url), window=float(window))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(acquire_until(limiter, time.monotonic() + float(seconds))))
