"""Decide whether to retry a call, and how long to wait before the next attempt.

Pure: no I/O, no sleep, no clock. ``http_transport`` returns the outcome of a request, :meth:`Policy.judge` turns the
outcome into a verdict, and :meth:`Policy.retrying` returns the tenacity driver that acts on verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from tenacity import Future, RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_random_exponential
from tenacity.stop import stop_base
from tenacity.wait import wait_base

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_RETRY_AFTER = 10 * 365 * 86400
"""Seconds. A larger ``Retry-After`` is a mistake of the server and counts as this long."""


@dataclass(frozen=True)
class NeverSent:
    """No request left this machine: the connection was not made. ``hopeless`` if a retry cannot help."""

    reason: str
    hopeless: bool = False


@dataclass(frozen=True)
class LostAnswer:
    """The request may have arrived; its answer did not. ``late`` after a timeout: the server may still be working."""

    reason: str
    late: bool = False


@dataclass(frozen=True)
class Answered:
    """An HTTP answer: ``retry_after`` in seconds, ``message`` from the API, ``body`` the JSON of a success."""

    status: int
    retry_after: float | None = None
    message: str = ""
    body: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Unreadable:
    """A redirect, or an answer with a success status that is not the documented JSON.

    ``hopeless`` if a retry would bring the same answer.
    """

    status: int
    reason: str
    hopeless: bool = False


@dataclass(frozen=True)
class RefusedInBody:
    """HTTP 200 with JSON that says that the call failed."""

    message: str = ""


Outcome = NeverSent | LostAnswer | Answered | Unreadable | RefusedInBody


def word_of(outcome: Outcome) -> str:
    """Return one word for an outcome, as the metric of requests has it."""
    match outcome:
        case Answered(status=status):
            return _word_of_status(status)
        case NeverSent():
            return "not_sent"
        case LostAnswer():
            return "lost"
        case Unreadable():
            return "unreadable"
        case RefusedInBody():
            return "refused"


def _word_of_status(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limited"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return "ok" if status < HTTPStatus.MULTIPLE_CHOICES else "refused"


@dataclass(frozen=True)
class Done:
    """The call did what was asked."""


@dataclass(frozen=True)
class Final:
    """The call failed and would fail again; or it is in ``doubt``, and the caller must read it back."""

    doubt: ReadBack | None = None


@dataclass(frozen=True)
class Again:
    """Send the same request again, after ``at_least`` this many seconds."""

    at_least: float = 0.0


@dataclass(frozen=True)
class ReadBack:
    """The write may have been carried out: read it back, and send it again only if it was not.

    :param at_least: seconds to wait before.
    """

    at_least: float = 0.0


Verdict = Done | Final | Again | ReadBack


@dataclass(frozen=True)
class Attempt:
    """One attempt at a call: its outcome, the verdict on it, and the call's name for logs and its kind."""

    outcome: Outcome
    verdict: Verdict
    call: str = ""
    kind: str = ""


class _WaitForVerdict(wait_base):
    """The verdict's minimum plus full jitter, so that workers that failed together do not retry together."""

    def __init__(self, backoff: float, longest: float) -> None:
        self._jitter = wait_random_exponential(multiplier=backoff, max=longest)

    def __call__(self, retry_state: RetryCallState) -> float:
        verdict = _attempt(retry_state).verdict
        floor = verdict.at_least if isinstance(verdict, Again | ReadBack) else 0.0
        return floor + self._jitter(retry_state)


class _StopBeforePatienceEnds(stop_base):
    """Stop before a wait that would bring the sum of waits over ``patience``.

    Only waits between attempts count, not those for the rate limit.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def __call__(self, retry_state: RetryCallState) -> bool:
        return retry_state.idle_for + retry_state.upcoming_sleep > self._patience


@dataclass(frozen=True)
class Policy:
    """Decides on retries; nothing else does.

    :param max_attempts: the most times that a request is sent.
    :param patience: the most seconds that one call waits between its attempts, all waits together.
    :param settling_time: seconds to wait before reading back a write whose answer came too late: it may still
        take effect.
    :param import_time: the most seconds that SalesBlink's API v1 is given to import people it has accepted. How long it
        takes is not documented.
    :param backoff: seconds; the first jitter is between 0 and this, and the range doubles each time.
    :param longest_backoff: seconds; the largest range.
    :param rate_limit_window: seconds to wait after a 429 without ``Retry-After``; SalesBlink counts by the minute.
    """

    max_attempts: int = 5
    patience: float = 300.0
    settling_time: float = 30.0
    import_time: float = 300.0
    backoff: float = 0.5
    longest_backoff: float = 60.0
    rate_limit_window: float = 60.0

    def judge(self, outcome: Outcome, *, repeatable: bool) -> Verdict:
        """Return the verdict on ``outcome`` for a call that may (``repeatable``) or may not be sent twice."""
        match outcome:
            case NeverSent(hopeless=hopeless):
                return Final() if hopeless else Again()
            case Answered(status=HTTPStatus.TOO_MANY_REQUESTS, retry_after=asked):
                return Again(at_least=self.rate_limit_window if asked is None else asked)
            case Answered(status=status) if status < HTTPStatus.MULTIPLE_CHOICES:
                return Done()
            case Answered(status=status, retry_after=asked) if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return self._doubtful(repeatable, asked or 0.0, late=status == HTTPStatus.GATEWAY_TIMEOUT)
            case LostAnswer(late=late):
                return self._doubtful(repeatable, 0.0, late=late)
            case Unreadable(hopeless=True) if repeatable:
                return Final()
            case Unreadable():
                return self._doubtful(repeatable, 0.0)
            case _:
                return Final()

    def _doubtful(self, repeatable: bool, at_least: float, *, late: bool = False) -> Verdict:
        if repeatable:
            return Again(at_least)
        return ReadBack(max(at_least, self.settling_time) if late else at_least)

    def retrying(self, sleep: Callable[[float], None], log_retry: Callable[[Attempt, int, float], None]) -> Retrying:
        """Return a driver that calls a function of an :class:`Attempt` until a verdict or a limit ends the retries.

        :param sleep: waits for a number of seconds.
        :param log_retry: called before each wait with the attempt, its number, and the seconds to wait.
        """
        return Retrying(
            retry=retry_if_result(lambda attempt: isinstance(attempt.verdict, Again | ReadBack)),
            wait=_WaitForVerdict(self.backoff, self.longest_backoff),
            stop=stop_after_attempt(self.max_attempts) | _StopBeforePatienceEnds(self.patience),
            sleep=sleep,
            before_sleep=lambda state: log_retry(_attempt(state), state.attempt_number, state.upcoming_sleep),
            retry_error_callback=_attempt,
        )


def _attempt(retry_state: RetryCallState) -> Attempt:
    # tenacity calls its strategies only after an attempt.
    return cast("Attempt", cast("Future", retry_state.outcome).result())


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait that a ``Retry-After`` header asks for; None if it is absent or invalid.

    Accepts both forms of RFC 9110: a number of seconds, or a date. A past date gives 0.

    :param now: an aware time; best the answer's own ``Date``, in case this machine's clock is wrong.
    """
    if value is None:
        return None
    seconds = _seconds(value.strip())
    if seconds is None:
        seconds = _seconds_until(value.strip(), now)
    return None if seconds is None else min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _seconds(value: str) -> float | None:
    # float() alone would also accept "nan", "1e3" and "1_000".
    return float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else None


def _seconds_until(value: str, now: datetime) -> float | None:
    moment = parse_http_date(value)
    return None if moment is None else math.ceil((moment - now).total_seconds())


def parse_http_date(value: str | None) -> datetime | None:
    """Return an HTTP date as an aware time; None if it is not a date."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
