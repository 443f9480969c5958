"""A process that loads a CSV file.

``python -m tests.loading.loader URL KEY API CAMPAIGN STORE FILE OWNER [TIMEOUT [BATCH]]``. BATCH is how many people a
call adds on v1, if not as many as possible.

It starts when a line comes in, writes the outcomes of the rows to FILE.outcomes, and prints the report.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.loading import RunOptions, load
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.loading.outcomes import Outcome

HASTE = Policy(max_attempts=5, settling_time=0.0, backoff=0.001, longest_backoff=0.01, rate_limit_window=0.01)


def write(outcomes: Iterable[Outcome]) -> None:
    Path(f"{path}.outcomes").write_text("".join(each.as_json_line() for each in outcomes))


if __name__ == "__main__":
    url, key, api, campaign, pacing_url, path, owner, *more = sys.argv[1:]
    # A server may be at work on a call for as long as the client waits for it.
    settling_time = float(more[0]) if more else 0.0
    unpaced = {"reads_per_minute": 0, "writes_per_minute": 0, "pacing_url": pacing_url, "timeout": settling_time or 5.0}
    policy = replace(HASTE, settling_time=settling_time, import_time=settling_time)
    with (
        SalesBlinkClient(key, url, api, policy=policy, **unpaced) as client,
        Path(path).open("rb") as file,
    ):
        if len(more) > 1:
            client.prospects.batch_size = int(more[1])
        print("ready", flush=True)
        sys.stdin.readline()
        run = RunOptions(owner=owner, settling_time=settling_time)
        report = load(client, campaign, from_csv(file, ColumnNames()), run=run, on_outcomes=write)
    print(json.dumps({**report.for_xcom(), "reads": report.reads}))
