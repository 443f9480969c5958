"""The policy, without a wire: what each outcome means, how long to wait, when to stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client.retry import (
    LONGEST_RETRY_AFTER,
    Again,
    Answered,
    Attempt,
    Done,
    Final,
    LostAnswer,
    NeverSent,
    Outcome,
    Policy,
    ReadBack,
    RefusedInBody,
    Unreadable,
    Verdict,
    parse_http_date,
    parse_retry_after,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
SETTLING_TIME = Policy().settling_time
ANY = (True, False)
REPEATABLE, ONCE = (True,), (False,)


@pytest.mark.parametrize(
    ("outcome", "repeatable", "verdict"),
    [
        (NeverSent("refused"), ANY, Again()),
        (NeverSent("certificate", hopeless=True), ANY, Final()),
        (Answered(429), ANY, Again(at_least=60)),
        (Answered(429, retry_after=0), ANY, Again()),
        (Answered(429, retry_after=30), ANY, Again(at_least=30)),
        (Answered(429, retry_after=3600), ANY, Again(at_least=3600)),
        *((Answered(status), ANY, Done()) for status in (200, 201, 202, 204)),
        *((Answered(status), ANY, Final()) for status in (400, 401, 403, 404, 405, 406, 408, 409, 418, 422, 451)),
        (Answered(404, retry_after=30), ANY, Final()),
        *((Answered(status), REPEATABLE, Again()) for status in (500, 501, 502, 503, 504, 520, 599)),
        *((Answered(status), ONCE, ReadBack()) for status in (500, 501, 502, 503, 520, 599)),
        (Answered(503, retry_after=30), REPEATABLE, Again(at_least=30)),
        (Answered(503, retry_after=30), ONCE, ReadBack(at_least=30)),
        (Answered(504), ONCE, ReadBack(at_least=SETTLING_TIME)),
        (Answered(504, retry_after=90), ONCE, ReadBack(at_least=90)),
        (LostAnswer("reset"), REPEATABLE, Again()),
        (LostAnswer("reset"), ONCE, ReadBack()),
        (LostAnswer("timeout", late=True), REPEATABLE, Again()),
        (LostAnswer("timeout", late=True), ONCE, ReadBack(at_least=SETTLING_TIME)),
        (Unreadable(200, "HTML"), REPEATABLE, Again()),
        (Unreadable(200, "HTML"), ONCE, ReadBack()),
        (Unreadable(302, "redirect", hopeless=True), REPEATABLE, Final()),
        (Unreadable(302, "redirect", hopeless=True), ONCE, ReadBack()),
        (RefusedInBody("no"), ANY, Final()),
    ],
    ids=str,
)
def test_what_an_outcome_means(outcome: Outcome, repeatable: tuple[bool, ...], verdict: Verdict) -> None:
    assert [Policy().judge(outcome, repeatable=each) for each in repeatable] == [verdict] * len(repeatable)


def driven(policy: Policy, verdicts: list[Verdict]) -> tuple[list[float], list[tuple[int, float]], Attempt]:
    """The waits, what was told of them, and the attempt in which it ended; the last verdict is there for good."""
    waits: list[float] = []
    told: list[tuple[int, float]] = []
    left = iter([*verdicts[:-1], *[verdicts[-1]] * 1000])
    attempts = policy.retrying(waits.append, lambda _, number, wait: told.append((number, wait)))
    ended = attempts(lambda: Attempt(LostAnswer("lost"), next(left)))
    return waits, told, ended


@pytest.mark.parametrize("verdict", [Done(), Final()])
def test_what_is_over_is_not_tried_again(verdict: Verdict) -> None:
    waits, told, ended = driven(Policy(), [verdict])

    assert (waits, told, ended.verdict) == ([], [], verdict)


@pytest.mark.parametrize("verdict", [Again(), ReadBack()])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_attempts_end(verdict: Verdict, most: int) -> None:
    waits, told, ended = driven(Policy(max_attempts=most), [verdict])

    assert len(waits) == most - 1
    assert [number for number, _ in told] == list(range(1, most))
    assert [wait for _, wait in told] == waits
    assert ended.verdict == verdict


def test_waits_are_drawn_from_all_of_a_range_that_doubles_up_to_its_longest() -> None:
    drawn = [
        driven(Policy(max_attempts=6, backoff=1, longest_backoff=4, patience=1e6), [Again()])[0] for _ in range(300)
    ]

    for waits, longest in zip(zip(*drawn, strict=True), [1, 2, 4, 4, 4], strict=True):
        assert 0 <= min(waits) < longest * 0.1
        assert longest * 0.9 < max(waits) <= longest


@pytest.mark.parametrize("verdict", [Again(at_least=20), ReadBack(at_least=20)])
def test_what_the_server_asks_for_is_a_floor_under_the_jitter(verdict: Verdict) -> None:
    drawn = [driven(Policy(max_attempts=2, backoff=1), [verdict])[0][0] for _ in range(200)]

    assert 20 <= min(drawn) < 20.1
    assert 20.9 < max(drawn) <= 21


@pytest.mark.parametrize("asked", [301, 3600, LONGEST_RETRY_AFTER])
def test_patience_ends_before_a_wait_and_never_within_one(asked: float) -> None:
    waits, told, ended = driven(Policy(patience=300), [Again(at_least=asked)])

    assert (waits, told) == ([], [])
    assert ended.verdict == Again(at_least=asked)


def test_a_429_that_does_not_say_for_how_long_costs_a_minute_each_time_and_all_attempts_fit_the_patience() -> None:
    policy = Policy()
    waits, _, ended = driven(policy, [policy.judge(Answered(429), repeatable=False)])

    assert len(waits) == policy.max_attempts - 1
    assert all(60 <= wait <= 60 + longest for wait, longest in zip(waits, [0.5, 1, 2, 4], strict=True))
    assert isinstance(ended.verdict, Again)


def test_patience_counts_all_waits_together() -> None:
    waits, _, _ = driven(Policy(max_attempts=50, patience=100, backoff=0.001, longest_backoff=0.001), [Again(30)])

    assert len(waits) == 3
    assert all(wait >= 30 for wait in waits)


def test_an_error_on_the_way_is_no_outcome() -> None:
    def failing() -> Attempt:
        raise LookupError

    with pytest.raises(LookupError):
        Policy().retrying(lambda _: pytest.fail("waited"), lambda *_: None)(failing)


# Retry-After


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0), ("30", 30), (" 30 ", 30), ("1.5", 1.5), ("3600", 3600), ("0030", 30),
        ("Mon, 01 Mar 2027 12:00:30 GMT", 30), ("Mon, 01 Mar 2027 11:00:00 GMT", 0),
        ("Mon, 01 Mar 2027 13:00:30 +0100", 30), ("Monday, 01-Mar-27 12:00:30 GMT", 30),
        ("Mon Mar  1 12:00:30 2027", 30),
        ("999999999999", LONGEST_RETRY_AFTER), ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        (None, None), ("", None), ("soon", None), ("-5", None), ("nan", None), ("inf", None), ("1e3", None),
        ("1_000", None), ("1,000", None), ("30, 60", None), ("٣٠", None), ("²", None), (".", None), ("1.2.3", None),
        ("Mon, 99 Mar 2027 12:00:30 GMT", None), ("Mon, 01 Mar 2027 99:00:30 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == seconds


@given(st.text() | st.from_regex(r"[0-9A-Za-z ,:+.-]*", fullmatch=True))
def test_no_retry_after_is_too_strange(header: str) -> None:
    seconds = parse_retry_after(header, now=NOW)

    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.integers(0, int(LONGEST_RETRY_AFTER)))
def test_seconds_are_what_they_say(seconds: int) -> None:
    assert parse_retry_after(str(seconds), now=NOW) == seconds


@given(st.integers(-(10**8), 10**8), st.timedeltas(timedelta(-1), timedelta(1)))
def test_a_date_is_never_earlier_than_it_says(seconds: int, off: timedelta) -> None:
    now = NOW + off
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    wanted = max(0.0, (NOW + timedelta(seconds=seconds) - now).total_seconds())
    found = parse_retry_after(header, now=now)

    assert found is not None
    assert wanted <= found < wanted + 1


@given(st.text(alphabet=st.characters(exclude_characters="0123456789")))
def test_what_has_no_digits_says_nothing(header: str) -> None:
    assert parse_retry_after(header, now=NOW) is None


@given(st.text())
def test_every_http_date_knows_its_zone(header: str) -> None:
    moment = parse_http_date(header)

    assert moment is None or moment.tzinfo is not None
