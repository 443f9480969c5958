"""A process that loads as a worker of its own machine does, in a world where a minute lasts 2.5 seconds.

``python -m tests.scaling.worker URL KEY CAMPAIGN PACING_URL FILE OWNER WRITES READS``. It starts when a line comes in,
logs to stderr, and prints its report.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from airflow_provider_salesblink.client import SalesBlinkClient, rate_limit, rate_limit_stores
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.loading import RunOptions, load, store_retry
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv

MINUTE, RETRY_EVERY, TIMEOUT = 2.5, 0.5, 2.0
WINDOW = MINUTE + rate_limit.SLACK


def hasten() -> None:
    rate_limit.MINUTE = MINUTE
    rate_limit_stores.RETRY_EVERY = RETRY_EVERY
    store_retry.RETRY_PAUSE = 1.0


if __name__ == "__main__":
    url, key, campaign, pacing_url, path, owner, writes, reads = sys.argv[1:]
    hasten()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(levelname)s %(message)s")
    policy = Policy(max_attempts=5, settling_time=TIMEOUT, backoff=0.001, longest_backoff=0.01)
    budget = {"writes_per_minute": int(writes), "reads_per_minute": int(reads), "pacing_url": pacing_url}
    with SalesBlinkClient(key, url, policy=policy, timeout=TIMEOUT, **budget) as client, Path(path).open("rb") as file:
        print("ready", flush=True)
        sys.stdin.readline()
        report = load(client, campaign, from_csv(file, ColumnNames()), run=RunOptions(owner=owner))
    print(json.dumps({**report.for_xcom(), "reads": report.reads}))
