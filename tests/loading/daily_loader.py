"""A process that loads a few people a day, and continues each day, in a world where a day lasts a few seconds.

``python -m tests.loading.daily_loader URL KEY API CAMPAIGN STORE FILE OWNER DAILY BEGIN``.
BEGIN is the time of the monotonic clock, which all processes share, at which the first day begins.

It starts when a line comes in, and prints how often it was paused.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
from airflow_provider_salesblink.loading import RunOptions, add_schedule, load
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv
from tests.loading.loader import HASTE

DAY = 86_400.0
DAY_LASTS = 3.0
"""Seconds of the monotonic clock."""
FIRST_DAY = 20_000 * DAY
LATE = 0.5 * DAY
"""The time that a request may need to arrive, on a machine that is busy."""


def simulated(monotonic: float, begin: float) -> float:
    """Return the simulated Unix time."""
    return FIRST_DAY + (monotonic - begin) / DAY_LASTS * DAY


if __name__ == "__main__":
    url, key, api, campaign, pacing_url, path, owner, daily, begin = sys.argv[1:]
    add_schedule.CLOCKS_DIFFER = LATE
    unpaced = {"reads_per_minute": 0, "writes_per_minute": 0, "pacing_url": pacing_url, "timeout": 5}
    run = RunOptions(
        owner=owner,
        daily_new_people=daily,
        settling_time=1.0 if api == "v1" else 0.0,
        now=lambda: simulated(time.monotonic(), float(begin)),
    )
    paused = 0
    with SalesBlinkClient(key, url, api, policy=HASTE, **unpaced) as client:
        if api == "v1":
            client.prospects.batch_size = 7
        print("ready", flush=True)
        sys.stdin.readline()
        while True:
            try:
                with Path(path).open("rb") as file:
                    load(client, campaign, from_csv(file, ColumnNames()), run=run)
            except add_schedule.AddsPausedError as pause:
                paused += 1
                time.sleep(pause.retry_after / DAY * DAY_LASTS)  # noqa: TID251
            except RateLimitedError:
                continue
            else:
                break
    print(json.dumps({"paused": paused}))
