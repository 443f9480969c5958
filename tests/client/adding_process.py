"""A process that adds people.

``python -m tests.client.adding_process URL KEY CAMPAIGN PACING_URL WRITES_PER_MINUTE SECONDS_IN_A_MINUTE FROM TO``
"""

from __future__ import annotations

import sys

from airflow_provider_salesblink.client import SalesBlinkClient, rate_limit

if __name__ == "__main__":
    url, key, campaign, pacing_url, writes_per_minute, minute, first, last = sys.argv[1:]
    rate_limit.MINUTE = float(minute)
    with SalesBlinkClient(key, url, writes_per_minute=int(writes_per_minute), pacing_url=pacing_url) as client:
        for number in range(int(first), int(last)):
            client.prospects.add(campaign, {"Email": f"p{number}@example.com"})
