"""Whether counts of events say that a campaign is unhealthy."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

import pytest

from airflow_provider_salesblink.waiting.health import HealthLimits, Sample, chance_of_at_least

DAY = 24 * 3600.0
LIMITS = HealthLimits(DAY)


class Campaign:
    """Counts the mails of a campaign, and what came of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.rates = {"bounced": 0.02, "unsubscribed": 0.003}
        self._sums: dict[str, list[int]] = {name: [0] for name in self.rates}
        self.sent = 0

    def send(self) -> bool:
        """Send a mail; return whether it bounced or somebody unsubscribed."""
        self.sent += 1
        happened = {name: self._random.random() < rate for name, rate in self.rates.items()}
        for name, sums in self._sums.items():
            sums.append(sums[-1] + happened[name])
        return any(happened.values())

    def newest(self, count: int) -> Sample:
        counts = {name: sums[-1] - sums[self.sent - count] for name, sums in self._sums.items()}
        return Sample(count, **counts)

    def exceeded(self, window: int = 10**9) -> list[str]:
        return LIMITS.decide(self.newest(min(self.sent, window)), self.newest)[1]

    def mails_until_exceeded(self) -> int:
        before = self.sent
        while not self.exceeded():
            self.send()
        return self.sent - before


def mails_until_exceeded(bounce_rate: float, healthy_before: int = 0) -> list[int]:
    """Return how many mails each of 100 campaigns sends after it turns bad."""
    found = []
    for seed in range(100):
        campaign = Campaign(seed)
        for _ in range(healthy_before):
            campaign.send()
        campaign.rates["bounced"] = bounce_rate
        found.append(campaign.mails_until_exceeded())
    return sorted(found)


@pytest.mark.parametrize(
    ("sample", "exceeded"),
    [
        (Sample(199, bounced=199, unsubscribed=199), []),
        (Sample(200, bounced=18), []),
        (Sample(200, bounced=19), ["bounce_rate"]),
        (Sample(1000, bounced=67), []),
        (Sample(1000, bounced=68), ["bounce_rate"]),
        (Sample(200, unsubscribed=9), []),
        (Sample(200, unsubscribed=10), ["unsubscribe_rate"]),
        (Sample(200, bounced=200, unsubscribed=300), ["bounce_rate", "unsubscribe_rate"]),
        (Sample(200, replied=0), []),
        (Sample(0), []),
    ],
)
def test_the_default_limits(sample: Sample, exceeded: list[str]) -> None:
    assert LIMITS.exceeded(sample) == exceeded


@pytest.mark.parametrize(("replied", "is_exceeded"), [(0, True), (9, True), (12, False), (400, False), (401, False)])
def test_a_low_reply_rate_counts_if_there_is_a_limit(replied: int, is_exceeded: bool) -> None:
    limits = HealthLimits(DAY, max_bounce_rate=None, min_reply_rate=0.05)

    assert limits.exceeded(Sample(400, bounced=400, replied=replied)) == (["reply_rate"] if is_exceeded else [])


def test_newest_mails_that_had_no_time_for_replies_are_not_held_against_the_campaign() -> None:
    limits = HealthLimits(DAY, min_reply_rate=0.05)

    assert limits.decide(Sample(1000, replied=100), Sample) == (Sample(1000, replied=100), [])


def test_many_good_mails_do_not_hide_that_the_newest_are_bad() -> None:
    asked: list[int] = []

    def newest(count: int) -> Sample:
        asked.append(count)
        return Sample(count, bounced=40)

    assert LIMITS.decide(Sample(1000, bounced=40), newest) == (Sample(200, bounced=40), ["bounce_rate"])
    assert LIMITS.decide(Sample(1000, bounced=40), Sample)[1] == []
    assert asked == [200]


@pytest.mark.parametrize(
    ("count", "of", "rate", "chance"),
    [(0, 10, 0.5, 1.0), (10, 10, 0.5, 0.5**10), (1, 3, 0.1, 1 - 0.9**3), (2, 3, 0.1, 3 * 0.01 * 0.9 + 0.001)],
)
def test_the_probability_is_that_of_the_binomial_distribution(count: int, of: int, rate: float, chance: float) -> None:
    assert chance_of_at_least(count, of, rate) == pytest.approx(chance, rel=1e-9)


@pytest.mark.parametrize(
    ("measure", "limit", "healthy", "at_most"),
    [("bounced", 0.05, 0.02, 6.5e-8), ("unsubscribed", 0.02, 0.003, 1.2e-9)],
)
def test_one_look_at_a_healthy_campaign_trips_less_often_than_the_docs_say(
    measure: str, limit: float, healthy: float, at_most: float
) -> None:
    chances = []
    for sent in range(LIMITS.min_sample, 2000):
        least = next(n for n in range(int(sent * limit), sent) if LIMITS.exceeded(Sample(sent, **{measure: n})))
        chances.append(chance_of_at_least(least, sent, healthy))

    assert max(chances) <= at_most
    # The smallest samples are the worst, so it is the minimum sample that protects healthy campaigns.
    assert max(chances[200:]) < max(chances) / 100


def test_a_thousand_healthy_campaigns_give_no_false_trip() -> None:
    tripped = []
    for seed in range(1000):
        campaign = Campaign(seed)
        for number in range(1200):
            happened = campaign.send()
            # More looks than any sensor takes: one after each event.
            if (happened or number % 10 == 0) and campaign.exceeded(window=400):
                tripped.append(seed)

    assert tripped == []


@pytest.mark.parametrize("healthy_before", [0, 1000])
def test_a_campaign_that_bounces_8_percent_trips_soon(healthy_before: int) -> None:
    found = mails_until_exceeded(0.08, healthy_before)

    assert median(found) <= 330
    assert found[90] <= 800


def test_the_worse_the_sooner() -> None:
    assert max(mails_until_exceeded(0.2)) == LIMITS.min_sample
    assert median(mails_until_exceeded(0.2, 1000)) <= 100


def test_a_lower_minimum_sample_would_stop_healthy_campaigns() -> None:
    # Not vacuous: the same simulation does find false trips where there are some.
    limits = HealthLimits(DAY, max_bounce_rate=0.02, min_sample=50)
    tripped = set()
    for seed in range(100):
        campaign = Campaign(seed)
        for _ in range(300):
            campaign.send()
            if limits.exceeded(campaign.newest(campaign.sent)):
                tripped.add(seed)

    assert tripped


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"max_bounce_rate": 5}, "max_bounce_rate is 5: give a share"),
        ({"max_unsubscribe_rate": 0}, "max_unsubscribe_rate is 0: give a share"),
        ({"min_reply_rate": "0.1"}, "min_reply_rate is '0.1': give a share"),
        ({"max_bounce_rate": True}, "max_bounce_rate is True"),
        ({"max_bounce_rate": float("nan")}, "max_bounce_rate is nan"),
        ({"max_bounce_rate": None, "max_unsubscribe_rate": None}, "are all None: give at least one limit"),
        ({"window": 0}, "window is 0 seconds"),
        ({"window": 91 * DAY}, "at most 90 days"),
        ({"min_sample": 0}, "min_sample is 0: give a number of mails"),
        ({"min_sample": 1.5}, "min_sample is 1.5"),
        ({"min_sample": True}, "min_sample is True"),
    ],
)
def test_limits_that_make_no_sense_are_refused(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        HealthLimits(**{"window": DAY, **changed})
