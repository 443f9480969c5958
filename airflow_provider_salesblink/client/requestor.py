"""Call one of SalesBlink's APIs: keep the rate limit, retry, read back lost writes. Only this module sleeps."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_salesblink.client import error_messages
from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    BudgetSpentError,
    RateLimitedError,
)
from airflow_provider_salesblink.client.http_transport import Call, HttpTransport
from airflow_provider_salesblink.client.rate_limit import MINUTE, Pauses, end_of_wait, note_sent
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.client.retry import Again, Answered, Attempt, Done, Final, Policy, ReadBack, word_of
from airflow_provider_salesblink.client.validation import encoded, split_root
from airflow_provider_salesblink.client.write_once import Existing, UntilGone, WriteOnce, stop_when_in_doubt
from airflow_provider_salesblink.metrics import NO_METRICS, REQUESTS, count_wait

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.rate_limit import RateLimiter, RequestKind
    from airflow_provider_salesblink.client.response_content import ContentKind
    from airflow_provider_salesblink.client.retry import Outcome, Verdict
    from airflow_provider_salesblink.metrics import Observer

log = logging.getLogger(__name__)

LONGEST_POLL_PAUSE = 10.0
"""Seconds between two look-ups of what SalesBlink has accepted and not carried out yet."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class Answer:
    """SalesBlink's answer to a call.

    :param body: the decoded JSON, an object or a list; an empty object for an answer without content.
    :param dry_run: whether nothing was sent because this is a dry run.
    """

    call: Call
    body: Any = field(repr=False)
    status: int | None = None
    dry_run: bool = False

    def decoded(self, decode: Callable[[Any], Record]) -> Record:
        """Return the body as ``decode`` reads it.

        :raises SalesBlinkError: the error that ``decode`` raises, with the call added.
        """
        with self.call.named_in_errors(self.status):
            return decode(self.body)

    def each(self, decode: Callable[[Any], Iterator[Record]]) -> Iterator[Record]:
        """Yield the records of the body as ``decode`` reads them.

        :raises SalesBlinkError: the error that ``decode`` raises, with the call added.
        """
        with self.call.named_in_errors(self.status):
            yield from decode(self.body)


@dataclass
class _WaitTime:
    """Seconds that a call has waited before its attempts: in total, and during pauses after other calls' 429s."""

    total: float = 0.0
    paused: float = 0.0


class Requestor:
    """Sends calls to one API at one root URL with one key, and keeps its connections open. Threads may share it.

    :param root: the root URL, as :func:`validation.root_url` returns it.
    :param prefix: the API's path below the root.
    :param key: the API key; the whole ``Authorization`` header.
    :param policy: decides on retries.
    :param rate_limiter: decides when a request may be sent.
    :param timeout: seconds to wait for an answer.
    :param dry_run: log writes instead of sending them.
    :param verify_tls: whether the server's certificate must be valid.
    :param key_name: the key's name in errors.
    :param explain: returns a sentence to add to the error of a call that ended in this outcome. Not asked after a call
        has succeeded: then both key and API are right.
    :param sleep: waits for a number of seconds.
    :param observer: takes the metrics.

    ``longest_wait``: the most seconds that a call waits for the rate limit, over all its attempts; not set at first.
    """

    def __init__(
        self,
        root: str,
        prefix: str,
        key: str,
        *,
        policy: Policy,
        rate_limiter: RateLimiter,
        timeout: float,
        dry_run: bool = False,
        verify_tls: bool = True,
        key_name: str = "the key",
        explain: Callable[[Outcome], str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        observer: Observer = NO_METRICS,
    ) -> None:
        origin, slash, path = split_root(root)
        self._transport = HttpTransport(origin, key, timeout=timeout, verify_tls=verify_tls)
        self._prefix = slash + path + prefix
        self._error_details = {"key_name": key_name, "root_url": root}
        self._policy = policy
        self._rate_limiter = rate_limiter
        self._dry_run = dry_run
        self._explain = explain
        self._sleep = sleep
        self._observer = observer
        self._pauses = Pauses()
        self._quiet_until: dict[str, float] = {}
        self._log_lock = threading.Lock()
        self.longest_wait = math.inf
        self._retrying = policy.retrying(sleep, self._log_retry)

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        self._transport.close()

    def read(
        self, *parts: str, query: Mapping[str, str] | None = None, long: bool = False, content: ContentKind = "json"
    ) -> Answer:
        """Send a GET to the path made of ``parts``, each of them one segment.

        :param long: whether the answer may be too long for memory; its body may then be an open file of the JSON.
        :param content: what the answer has to be; the body of ``csv`` is an open file.
        :raises SalesBlinkError: the call failed; the subclass says how.
        """
        call = Call("GET", self._path(parts), urlencode(query or {}, quote_via=quote), long=long, content=content)
        return self._answer(call, self._retrying(self._attempts(call)))

    def write(
        self, *parts: str, body: Mapping[str, Any] | None = None, method: str = "POST", gone_is_done: bool = False
    ) -> Answer:
        """Send ``body`` as JSON, or nothing. Retry until an answer comes: repeating it changes nothing.

        :param gone_is_done: whether a 404 after a lost answer means that the write was carried out.
        :raises SalesBlinkError: the call failed; the subclass says how.
        """
        call = self._write_call(method, parts, body, repeatable=True)
        if self._dry_run:
            return _not_sent(call, body)
        attempts = self._attempts(call)
        return self._answer(call, self._retrying(UntilGone(attempts).attempt if gone_is_done else attempts))

    def write_once(
        self,
        *parts: str,
        body: Mapping[str, Any] | None = None,
        method: str = "POST",
        find_existing: Callable[[], Existing | None],
    ) -> Answer | Existing:
        """Send ``body`` as JSON so that SalesBlink carries it out once, even if answers are lost.

        :param find_existing: looks for the result of the write; returns None if it was not carried out. Called only
            after an answer that does not show this, before the request is sent again.
        :raises AmbiguousWriteError: ``find_existing`` failed, so the write may have been carried out.
        :raises SalesBlinkError: the write was not carried out; the subclass says why.
        """
        call = self._write_call(method, parts, body, repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        once = WriteOnce(call, self._attempts(call), find_existing, self._observer)
        attempt = self._retrying(once.attempt)
        if isinstance(attempt.verdict, ReadBack):
            self._sleep(min(attempt.verdict.at_least, self._policy.settling_time))
        found = once.read_back()
        return found if found is not None else self._answer(call, attempt)

    def send_once(self, *parts: str, body: Mapping[str, Any] | None = None, method: str = "POST") -> Answer:
        """Send ``body`` as JSON, but do not read back a lost answer: for callers that read back many writes at once.

        :raises AmbiguousWriteError: the answer was lost.
        :raises SalesBlinkError: the write was not carried out; the subclass says why.
        """
        call = self._write_call(method, parts, body, repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        attempts = self._attempts(call)
        attempt = self._retrying(lambda: stop_when_in_doubt(attempts()))
        if isinstance(attempt.verdict, Final) and attempt.verdict.doubt:
            raise AmbiguousWriteError(
                f"{call} was sent, and its answer was lost ({redacted(error_messages.describe(attempt.outcome))}). "
                "Check SalesBlink before sending it again, or a person may be mailed twice.",
                status=getattr(attempt.outcome, "status", None), method=call.method, path=call.path,
                settling_time=attempt.verdict.doubt.at_least,
            )  # fmt: skip
        return self._answer(call, attempt)

    def wait_until(self, find: Callable[[], Existing | None], longest: float) -> Existing | None:
        """Return what ``find`` returns, once it is not None; None if a look-up after ``longest`` seconds finds nothing.

        A look-up may wait for the rate limit for longer than that. So what counts is when the last one starts: one that
        started earlier may have missed what came later.
        """
        started, waited, pause = time.monotonic(), 0.0, self._policy.backoff
        while True:
            passed = max(waited, time.monotonic() - started)
            found = find()
            if found is not None or passed >= longest:
                return found
            left = max(0.0, longest - max(waited, time.monotonic() - started))
            self._sleep(min(pause, left))
            waited, pause = waited + min(pause, left), min(2 * pause, LONGEST_POLL_PAUSE)

    @property
    def settling_time(self) -> float:
        """The most seconds that a write whose answer is late may take to show."""
        return self._policy.settling_time

    @property
    def import_time(self) -> float:
        """The most seconds that SalesBlink is given to carry out what it has accepted."""
        return self._policy.import_time

    def _path(self, parts: tuple[str, ...]) -> str:
        return "/".join([self._prefix, *(quote(part, safe="") for part in parts)])

    def _write_call(
        self, method: str, parts: tuple[str, ...], body: Mapping[str, Any] | None, *, repeatable: bool
    ) -> Call:
        content = None if body is None else encoded("The request", body)
        return Call(method, self._path(parts), body=content, repeatable=repeatable)

    def _answer(self, call: Call, attempt: Attempt) -> Answer:
        if isinstance(attempt.verdict, Done) and isinstance(attempt.outcome, Answered):
            self._explain = None
            return Answer(call, attempt.outcome.body, attempt.outcome.status)
        error = error_messages.to_error(attempt.outcome, method=call.method, path=call.path, **self._error_details)
        if self._explain and (sentence := self._explain(attempt.outcome)):
            error.append(sentence)
        raise error

    def _attempts(self, call: Call) -> Callable[[], Attempt]:
        waited = _WaitTime()

        def attempt() -> Attempt:
            with call.named_in_errors():
                self._wait_for_permission(call, waited)
            outcome = self._transport.send(call)
            self._observer.count(REQUESTS, call.kind, word_of(outcome))
            return Attempt(outcome, self._judge(call, outcome), str(call), call.kind)

        return attempt

    def _judge(self, call: Call, outcome: Outcome) -> Verdict:
        verdict = self._policy.judge(outcome, repeatable=call.repeatable)
        if isinstance(verdict, Again) and word_of(outcome) == "rate_limited":
            self._pauses.start(call.kind, verdict.at_least)
        return verdict

    def _wait_for_permission(self, call: Call, waited: _WaitTime) -> None:
        """Wait until neither a 429 nor the rate limit holds the call back."""
        while True:
            self._wait_while_paused(call, waited)
            wait = self._rate_limiter.try_acquire(call.kind)
            if wait:
                self._wait_for_rate_limit(call, wait, waited)
            # Another thread may have got a 429 while this one asked the rate limiter.
            elif not self._pauses.until(call.kind):
                note_sent()
                return

    def _wait_while_paused(self, call: Call, waited: _WaitTime) -> None:
        while until := self._pauses.until(call.kind):
            wait = max(0.0, until - time.monotonic())
            waited.total += wait
            waited.paused += wait
            if waited.paused > self._policy.patience or waited.total > self.longest_wait:
                raise RateLimitedError(
                    "SalesBlink answered 429 to another call of this key, so this one was not sent. "
                    f"Try again in {wait:.0f} s.", retry_after=wait,
                )  # fmt: skip
            self._log_wait(f"429 {call.kind}", "SalesBlink answered 429: no %s for %.0f s.", call.kind, wait)
            # A random time more, so that threads do not send at the same moment.
            self._wait(call.kind, wait + random.uniform(0, self._policy.backoff))
            self._pauses.mark_waited(call.kind, until)

    def _wait_for_rate_limit(self, call: Call, wait: float, waited: _WaitTime) -> None:
        waited.total += wait
        if waited.total > self.longest_wait:
            stopped = end_of_wait()
            if stopped is not None and not self._wait(call.kind, wait, stopped.wait):
                return
            raise BudgetSpentError(
                f"The rate limit of {call.kind} is used up for longer than {self.longest_wait:g} s; nothing was sent.",
                status=None,
                retry_after=wait,
            )
        if wait > 1:
            self._log_wait(call.kind, "The rate limit of %s is used up; waiting %.0f s.", call.kind, wait)
        self._wait(call.kind, wait)

    def _wait(self, kind: RequestKind, seconds: float, sleep: Callable[[float], object] | None = None) -> object:
        count_wait(self._observer, kind, seconds)
        return (sleep or self._sleep)(seconds)

    def _log_wait(self, reason: str, sentence: str, kind: RequestKind, wait: float) -> None:
        """Log a wait, unless this client has logged one for the same reason within the minute."""
        now = time.monotonic()
        with self._log_lock:
            if now < self._quiet_until.get(reason, 0.0):
                return
            self._quiet_until[reason] = now + max(wait, MINUTE)
        log.info(sentence, kind, wait)

    def _log_retry(self, attempt: Attempt, number: int, wait: float) -> None:
        if word_of(attempt.outcome) == "rate_limited":
            count_wait(self._observer, attempt.kind, wait)
        log.warning(
            "%s: %s (attempt %d of %d); %s in %.1f s.",
            attempt.call,
            redacted(error_messages.describe(attempt.outcome)),
            number,
            self._policy.max_attempts,
            "checking whether it was carried out" if isinstance(attempt.verdict, ReadBack) else "trying again",
            wait,
        )


def _not_sent(call: Call, body: Mapping[str, Any] | None) -> Answer:
    given = dict(body or {})
    # The contacts of the API v1 are a list of mappings.
    nested = [each for value in given.values() for each in (value if isinstance(value, list) else [value])]
    columns = {name for each in nested if isinstance(each, Mapping) for name in each}
    log.info("Dry run, not sent: %s with %s.", call, redacted(", ".join(sorted(given.keys() | columns))) or "no body")
    return Answer(call, {}, dry_run=True)
