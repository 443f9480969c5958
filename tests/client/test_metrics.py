"""What the client counts when the rate limit holds calls back; tests/airflow/test_metrics.py has the rest."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client.rate_limit import NoLimit, waiting_for_later_pages
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import (
    Answered,
    LostAnswer,
    NeverSent,
    Outcome,
    RefusedInBody,
    Unreadable,
    word_of,
)
from airflow_provider_salesblink.metrics import METRICS, REQUESTS
from tests.client.test_rate_limit import FakeRateLimiter
from tests.conftest import HASTE

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.rate_limit import RateLimiter
    from airflow_provider_salesblink.metrics import Metric
    from airflow_provider_salesblink.sandbox import Sandbox


class Counted:
    """An observer that adds up, by name."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, metric: Metric, *words: str, number: int = 1) -> None:
        """Add to a metric."""
        with self._lock:
            self.numbers[".".join((metric.name, *words))] += number


def a_requestor(sandbox: Sandbox, observer: Counted, limiter: RateLimiter, waits: list[float]) -> Requestor:
    return Requestor(
        sandbox.url, "/api", sandbox.key, policy=HASTE, rate_limiter=limiter, timeout=5, sleep=waits.append,
        observer=observer,
    )  # fmt: skip


def test_waits_for_the_rate_limit_are_counted_with_their_length(sandbox: Sandbox) -> None:
    observer, waits = Counted(), []
    requestor = a_requestor(sandbox, observer, FakeRateLimiter(7.0, 0.5), waits)

    requestor.read("campaigns")
    requestor.close()

    assert waits == [7.0, 0.5]
    assert observer.numbers == {"requests.reads.ok": 1, "waits.reads": 2, "waited_ms.reads": 7500}


def test_a_call_that_another_threads_429_holds_back_counts_its_wait(sandbox: Sandbox) -> None:
    observer, waits = Counted(), []
    requestor = a_requestor(sandbox, observer, NoLimit(), waits)
    sandbox.fault("campaigns", "429", retry_after=3)

    first = threading.Thread(target=requestor.read, args=("campaigns",))
    first.start()
    first.join()
    requestor.read("campaigns")
    requestor.close()

    assert len(waits) == 2
    assert observer.numbers["waits.reads"] == 2
    assert observer.numbers["waited_ms.reads"] == pytest.approx(1000 * sum(waits), abs=2)
    assert observer.numbers["requests.reads.rate_limited"] == 1
    assert observer.numbers["requests.reads.ok"] == 2


def test_a_later_page_that_waits_in_a_poll_counts_its_wait(sandbox: Sandbox) -> None:
    observer = Counted()
    requestor = a_requestor(sandbox, observer, FakeRateLimiter(0.0, 0.05), [])
    requestor.longest_wait = 0

    with waiting_for_later_pages(threading.Event()):
        requestor.read("campaigns")
        requestor.read("campaigns")
    requestor.close()

    assert observer.numbers == {"requests.reads.ok": 2, "waits.reads": 1, "waited_ms.reads": 50}


def test_a_dry_run_counts_nothing(sandbox: Sandbox) -> None:
    observer = Counted()
    requestor = Requestor(
        sandbox.url, "/api", sandbox.key, policy=HASTE, rate_limiter=NoLimit(), timeout=5, dry_run=True,
        observer=observer,
    )  # fmt: skip

    requestor.write("campaign-status", body={"campaignID": "c1", "pause": True})
    requestor.close()

    assert not observer.numbers
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Answered(200), "ok"),
        (Answered(204), "ok"),
        (Answered(401), "refused"),
        (Answered(422), "refused"),
        (Answered(429), "rate_limited"),
        (Answered(500), "server_error"),
        (Answered(504), "server_error"),
        (Unreadable(302, "a redirect"), "unreadable"),
        (Unreadable(200, "HTML"), "unreadable"),
        (RefusedInBody("no"), "refused"),
        (LostAnswer("reset"), "lost"),
        (NeverSent("refused"), "not_sent"),
    ],
)
def test_each_outcome_has_one_of_the_declared_words(outcome: Outcome, word: str) -> None:
    assert word_of(outcome) == word
    assert word in REQUESTS.words[1]


def test_no_name_is_longer_than_airflow_sends_to_opentelemetry() -> None:
    names = [f"airflow.salesblink.classic.{name}" for metric in METRICS for name in metric.names()]

    assert len(names) == len(set(names))
    assert max(map(len, names)) <= 63
