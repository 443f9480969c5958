"""A process that adds people.

``python -m tests.client.adding_process URL KEY CAMPAIGN PACING_URL WRITES_PER_MINUTE FROM TO``
"""

from __future__ import annotations

import sys

from airflow_provider_salesblink.client import SalesBlinkClient

if __name__ == "__main__":
    url, key, campaign, pacing_url, writes_per_minute, first, last = sys.argv[1:]
    with SalesBlinkClient(key, url, writes_per_minute=int(writes_per_minute), pacing_url=pacing_url) as client:
        for number in range(int(first), int(last)):
            client.prospects.add(campaign, {"Email": f"p{number}@example.com"})
