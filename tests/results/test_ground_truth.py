"""Days of extractions from feeds that do everything at once. The files are exactly what happened, each event once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkError
from airflow_provider_salesblink.results.windows import SETTLING_TIME
from airflow_provider_salesblink.sandbox.event_history import History
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from tests.results.extracting import digests, extract, ids, truth

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis("v1")

FEEDS = ("sent", "opens", "clicks", "replies", "reports")
STEP = timedelta(hours=8)
RUNS = 6
LATEST_ARRIVAL = timedelta(days=2)


class HighestTimeSeen:
    """What other connectors do: remember the highest time, and ask only for what is later."""

    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()
        self._latest: datetime | None = None

    def extract(self, client: SalesBlinkClient) -> None:
        found = list(client.events.sent(since=self._latest))
        new = [event for event in found if self._latest is None or event["time"] > self._latest]
        self.ids.update(event["id"] for event in new)
        self._latest = max((event["time"] for event in new), default=self._latest)


@pytest.mark.parametrize(
    "rules",
    [
        V1Rules(feed_moves=5, feed_repeats=4, feed_order="newest"),
        V1Rules(feed_moves=3, feed_order="oldest", from_inclusive=False, to_inclusive=False, event_time="iso"),
        V1Rules(feed_moves=4, feed_repeats=7, feed_order="arrival", feed_envelope=True, event_sequence="sequence_id"),
    ],
    ids=["newest", "oldest", "arrival"],
)
def test_the_files_are_what_happened(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, rules: V1Rules
) -> None:
    campaign = sandbox.add_campaign("Spring")
    for number in range(50):
        sandbox.add_person(campaign, {"Email": f"p{number}@example.com"})
    sandbox.fill_events(History(events=1500, days=4, late=0.05, future=0.01))
    sandbox.v1 = rules
    for operation in ("v1.listSent", "v1.listOpens", "v1.listClicks", "v1.listReplies", "v1.listReports"):
        sandbox.fault(operation, "reset", share=0.03)
        sandbox.fault(operation, "429", share=0.03, retry_after=0)
    naive = HighestTimeSeen()
    # From two days ago until the last of the events has arrived.
    now = datetime.now(UTC) - RUNS * STEP
    sandbox.advance(-RUNS * STEP.total_seconds())

    for step in [STEP] * RUNS + [LATEST_ARRIVAL]:
        extract_at_last(client, tmp_path, now)
        naive.extract(client)
        now += step
        sandbox.advance(step.total_seconds())

    extract_at_last(client, tmp_path, now)
    naive.extract(client)
    expected = truth(sandbox.events, FEEDS, None, now - SETTLING_TIME)
    assert Counter(ids(tmp_path)) == expected
    lost = truth(sandbox.events, ["sent"], None, now) - naive.ids
    assert lost.total() > 5

    written = digests(tmp_path)
    extract_at_last(client, tmp_path, now)
    assert digests(tmp_path) == written


def extract_at_last(client: SalesBlinkClient, path: Path, now: datetime) -> None:
    """Extract, and again if the faults were too many, as a task's retries do."""
    failures: list[Any] = []
    while len(failures) < 10:
        try:
            extract(client, path, FEEDS, now=now)
        except SalesBlinkError as error:
            failures.append(error)
        else:
            return
    raise AssertionError(failures)
