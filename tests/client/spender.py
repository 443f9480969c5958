"""A process that spends a shared budget: ``python -m tests.client.spender STORE LIMIT WINDOW SECONDS``.

It starts when a line comes in, and prints the moments at which it was allowed to send.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow_provider_salesblink.client.rate_limit import Budget
from airflow_provider_salesblink.client.rate_limit_stores import Store, in_file, in_redis


def store(url: str) -> Store:
    """The store that a URL names."""
    return in_redis(url, "test") if "://" in url else in_file(Path(url))


def spend(budget: Budget, until: float) -> list[float]:
    """Take whatever is allowed up to a moment of the monotonic clock."""
    taken = []
    while time.monotonic() < until:
        if wait := budget.try_acquire("writes"):
            time.sleep(wait)  # noqa: TID251  # the driver of this test
        else:
            taken.append(time.monotonic())
    return taken


if __name__ == "__main__":
    url, limit, window, seconds = sys.argv[1:]
    budget = Budget({"writes": int(limit)}, store(url), window=float(window))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(spend(budget, time.monotonic() + float(seconds))))
