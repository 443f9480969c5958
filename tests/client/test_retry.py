"""The retry policy without a network: the verdict on each outcome, how long to wait, when to stop."""

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
def test_the_verdict_on_each_outcome(outcome: Outcome, repeatable: tuple[bool, ...], verdict: Verdict) -> None:
    assert [Policy().judge(outcome, repeatable=each) for each in repeatable] == [verdict] * len(repeatable)


def driven(policy: Policy, verdicts: list[Verdict]) -> tuple[list[float], list[tuple[int, float]], Attempt]:
    """Return the waits, the logged retries, and the last attempt. The last verdict repeats without end."""
    waits: list[float] = []
    logged: list[tuple[int, float]] = []
    left = iter([*verdicts[:-1], *[verdicts[-1]] * 1000])
    attempts = policy.retrying(waits.append, lambda _, number, wait: logged.append((number, wait)))
    ended = attempts(lambda: Attempt(LostAnswer("lost"), next(left)))
    return waits, logged, ended


@pytest.mark.parametrize("verdict", [Done(), Final()])
def test_a_final_verdict_is_not_retried(verdict: Verdict) -> None:
    waits, logged, ended = driven(Policy(), [verdict])

    assert (waits, logged, ended.verdict) == ([], [], verdict)


@pytest.mark.parametrize("verdict", [Again(), ReadBack()])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_attempts_end(verdict: Verdict, most: int) -> None:
    waits, logged, ended = driven(Policy(max_attempts=most), [verdict])

    assert len(waits) == most - 1
    assert [number for number, _ in logged] == list(range(1, most))
    assert [wait for _, wait in logged] == waits
    assert ended.verdict == verdict


def test_waits_are_random_in_a_range_that_doubles_up_to_its_longest() -> None:
    drawn = [
        driven(Policy(max_attempts=6, backoff=1, longest_backoff=4, patience=1e6), [Again()])[0] for _ in range(300)
    ]

    for waits, longest in zip(zip(*drawn, strict=True), [1, 2, 4, 4, 4], strict=True):
        assert 0 <= min(waits) < longest * 0.1
        assert longest * 0.9 < max(waits) <= longest


@pytest.mark.parametrize("verdict", [Again(at_least=20), ReadBack(at_least=20)])
def test_retry_after_is_the_minimum_and_jitter_is_added(verdict: Verdict) -> None:
    drawn = [driven(Policy(max_attempts=2, backoff=1), [verdict])[0][0] for _ in range(200)]

    assert 20 <= min(drawn) < 20.1
    assert 20.9 < max(drawn) <= 21


@pytest.mark.parametrize("asked", [301, 3600, LONGEST_RETRY_AFTER])
def test_no_wait_starts_that_would_exceed_the_patience(asked: float) -> None:
    waits, logged, ended = driven(Policy(patience=300), [Again(at_least=asked)])

    assert (waits, logged) == ([], [])
    assert ended.verdict == Again(at_least=asked)


def test_each_429_without_retry_after_waits_a_minute_and_all_attempts_fit_the_patience() -> None:
    policy = Policy()
    waits, _, ended = driven(policy, [policy.judge(Answered(429), repeatable=False)])

    assert len(waits) == policy.max_attempts - 1
    assert all(60 <= wait <= 60 + longest for wait, longest in zip(waits, [0.5, 1, 2, 4], strict=True))
    assert isinstance(ended.verdict, Again)


def test_patience_counts_all_waits_together() -> None:
    waits, _, _ = driven(Policy(max_attempts=50, patience=100, backoff=0.001, longest_backoff=0.001), [Again(30)])

    assert len(waits) == 3
    assert all(wait >= 30 for wait in waits)


def test_an_exception_is_not_an_outcome() -> None:
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
def test_any_retry_after_can_be_parsed(header: str) -> None:
    seconds = parse_retry_after(header, now=NOW)

    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.integers(0, int(LONGEST_RETRY_AFTER)))
def test_seconds_are_returned_unchanged(seconds: int) -> None:
    assert parse_retry_after(str(seconds), now=NOW) == seconds


@given(st.integers(-(10**8), 10**8), st.timedeltas(timedelta(-1), timedelta(1)))
def test_a_date_is_never_rounded_down(seconds: int, off: timedelta) -> None:
    now = NOW + off
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    wanted = max(0.0, (NOW + timedelta(seconds=seconds) - now).total_seconds())
    found = parse_retry_after(header, now=now)

    assert found is not None
    assert wanted <= found < wanted + 1


@given(st.text(alphabet=st.characters(exclude_characters="0123456789")))
def test_a_retry_after_without_digits_is_ignored(header: str) -> None:
    assert parse_retry_after(header, now=NOW) is None


@given(st.text())
def test_every_http_date_has_a_time_zone(header: str) -> None:
    moment = parse_http_date(header)

    assert moment is None or moment.tzinfo is not None
