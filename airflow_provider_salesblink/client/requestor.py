"""Calls to one of SalesBlink's APIs: paced, sent again where that is right, and settled. Only this module sleeps."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_salesblink.client import error_messages
from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    BudgetSpentError,
    RateLimitedError,
    SalesBlinkError,
)
from airflow_provider_salesblink.client.http_transport import Call, HttpTransport
from airflow_provider_salesblink.client.rate_limit import MINUTE
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.client.retry import Again, Answered, Attempt, Done, Final, Policy, ReadBack
from airflow_provider_salesblink.client.validation import encoded

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.rate_limit import RateLimiter, RequestKind
    from airflow_provider_salesblink.client.retry import Outcome, Verdict

log = logging.getLogger(__name__)

Existing = TypeVar("Existing")
Record = TypeVar("Record")


@dataclass(frozen=True)
class Answer:
    """What SalesBlink answered to a call.

    :param body: the decoded JSON, an object or a list; an empty object for an answer without content.
    :param dry_run: whether nothing was sent, because the client runs dry.
    """

    call: Call
    body: Any = field(repr=False)
    status: int | None = None
    dry_run: bool = False

    def decoded(self, decode: Callable[[Any], Record]) -> Record:
        """The body as ``decode`` understands it.

        :raises SalesBlinkError: as ``decode`` does, with the call that it is about.
        """
        with self.call.named_in_errors(self.status):
            return decode(self.body)

    def each(self, decode: Callable[[Any], Iterator[Record]]) -> Iterator[Record]:
        """The body as ``decode`` understands it, piece by piece.

        :raises SalesBlinkError: as ``decode`` does, with the call that it is about.
        """
        with self.call.named_in_errors(self.status):
            yield from decode(self.body)


class _Limits:
    """Until when each kind of request has to wait, because SalesBlink answered 429: it limits the key, not the call.

    A thread does not wait for what it got itself: whoever made that call waits as the policy says.
    """

    def __init__(self) -> None:
        self._until: dict[RequestKind, float] = {}
        self._known = threading.local()
        self._lock = threading.Lock()

    def note(self, kind: RequestKind, seconds: float) -> None:
        """Let no other thread send anything of this kind for so many seconds."""
        until = time.monotonic() + seconds
        with self._lock:
            self._until[kind] = max(until, self._until.get(kind, 0.0))
        self.know(kind, until)

    def until(self, kind: RequestKind) -> float:
        """Return until when, by the monotonic clock, this thread has to wait because of others; 0 if not at all."""
        until = self._until.get(kind, 0.0)
        return until if until > max(time.monotonic(), getattr(self._known, kind, 0.0)) else 0.0

    def know(self, kind: RequestKind, until: float) -> None:
        """Note that this thread waits, or has waited, until then."""
        setattr(self._known, kind, max(until, getattr(self._known, kind, 0.0)))


@dataclass
class _Waited:
    """For how many seconds a call has waited before its attempts: for the budget, and because of 429s to others."""

    seconds: float = 0.0
    limited: float = 0.0


class Requestor:
    """Sends calls to one API of one root URL with one key, over connections that are kept. Threads may share it.

    :param root: the root URL, as :func:`validation.root_url` gives it.
    :param prefix: the API's own path below the root.
    :param key: the API key; goes into the ``Authorization`` header as it is.
    :param policy: what to do when a call does not succeed.
    :param rate_limiter: the request budget.
    :param timeout: seconds to wait for an answer.
    :param dry_run: log writes instead of sending them.
    :param verify_tls: whether the server must prove who it is.
    :param key_name: what errors call the key.
    :param sleep: how to wait.

    ``longest_wait`` is how many seconds a call waits for the budget at most, with all its attempts; endless unless set.
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        origin, slash, path = _parted(root)
        self._transport = HttpTransport(origin, key, timeout=timeout, verify_tls=verify_tls)
        self._prefix = slash + path + prefix
        self._named = {"key_name": key_name, "root_url": root}
        self._policy = policy
        self._rate_limiter = rate_limiter
        self._dry_run = dry_run
        self._sleep = sleep
        self._limits = _Limits()
        self._said: dict[str, float] = {}
        self._saying = threading.Lock()
        self.longest_wait = math.inf
        self._retrying = policy.retrying(sleep, self._tell)

    def close(self) -> None:
        """Close the kept connections. A later call opens new ones."""
        self._transport.close()

    def read(self, *parts: str, query: Mapping[str, str] | None = None, long: bool = False) -> Answer:
        """GET the path made of ``parts``, each of them one segment.

        :param long: whether the answer may be too long for the memory; its body may then be an open file of the JSON.
        :raises SalesBlinkError: the subclass says what went wrong.
        """
        call = Call("GET", self._path(parts), "reads", query=urlencode(query or {}, quote_via=quote), long=long)
        return self._answer(call, self._retrying(self._attempts(call)))

    def write(self, *parts: str, body: Mapping[str, Any]) -> Answer:
        """POST ``body`` as JSON. A second time changes nothing, so it may be repeated until an answer comes.

        :raises SalesBlinkError: the subclass says what went wrong.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body))
        if self._dry_run:
            return _not_sent(call, body)
        return self._answer(call, self._retrying(self._attempts(call)))

    def write_once(
        self, *parts: str, body: Mapping[str, Any], find_existing: Callable[[], Existing | None]
    ) -> Answer | Existing:
        """POST ``body`` as JSON so that it is carried out once, whatever happens to the answers.

        :param find_existing: reads back whether the write was carried out, and what came of it. Called only after an
            answer that leaves this open, before the request is sent again.
        :raises AmbiguousWriteError: whether it was carried out cannot be read back.
        :raises SalesBlinkError: the subclass says what went wrong; the write was not carried out.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body), repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        once = _Once(call, self._attempts(call), find_existing)
        attempt = self._retrying(once.attempt)
        if isinstance(attempt.verdict, ReadBack):
            self._sleep(min(attempt.verdict.at_least, self._policy.settling_time))
        found = once.look_back()
        return found if found is not None else self._answer(call, attempt)

    def send_once(self, *parts: str, body: Mapping[str, Any]) -> Answer:
        """POST ``body`` as JSON, and leave it at that when its answer is lost: for callers who look for many at once.

        :raises AmbiguousWriteError: the answer was lost.
        :raises SalesBlinkError: the subclass says what went wrong; the write was not carried out.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body), repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        attempts = self._attempts(call)
        attempt = self._retrying(lambda: _left_in_doubt(attempts()))
        if isinstance(attempt.verdict, Final) and attempt.verdict.doubt:
            raise AmbiguousWriteError(
                f"{call} was sent, and its answer was lost ({redacted(error_messages.in_words(attempt.outcome))}). "
                "Look before sending it again, or a person may be mailed twice.",
                status=getattr(attempt.outcome, "status", None), method=call.method, path=call.path,
                settling_time=attempt.verdict.doubt.at_least,
            )  # fmt: skip
        return self._answer(call, attempt)

    def _path(self, parts: tuple[str, ...]) -> str:
        return "/".join([self._prefix, *(quote(part, safe="") for part in parts)])

    def _answer(self, call: Call, attempt: Attempt) -> Answer:
        if isinstance(attempt.verdict, Done) and isinstance(attempt.outcome, Answered):
            return Answer(call, attempt.outcome.body, attempt.outcome.status)
        raise error_messages.error(attempt.outcome, method=call.method, path=call.path, **self._named)

    def _attempts(self, call: Call) -> Callable[[], Attempt]:
        waited = _Waited()

        def attempt() -> Attempt:
            with call.named_in_errors():
                self._wait_for_turn(call, waited)
            outcome = self._transport.send(call)
            return Attempt(outcome, self._judged(call, outcome), str(call))

        return attempt

    def _judged(self, call: Call, outcome: Outcome) -> Verdict:
        verdict = self._policy.judge(outcome, repeatable=call.repeatable)
        if isinstance(verdict, Again) and getattr(outcome, "status", None) == HTTPStatus.TOO_MANY_REQUESTS:
            self._limits.note(call.kind, verdict.at_least)
        return verdict

    def _wait_for_turn(self, call: Call, waited: _Waited) -> None:
        """Wait until neither a 429 nor the budget keeps the call back."""
        while True:
            self._wait_while_limited(call, waited)
            wait = self._rate_limiter.try_acquire(call.kind)
            if wait:
                self._wait_for_budget(call, wait, waited)
            # Somebody may have got a 429 while the place in the budget was asked for.
            elif not self._limits.until(call.kind):
                return

    def _wait_while_limited(self, call: Call, waited: _Waited) -> None:
        while until := self._limits.until(call.kind):
            wait = max(0.0, until - time.monotonic())
            waited.seconds += wait
            waited.limited += wait
            if waited.limited > self._policy.patience or waited.seconds > self.longest_wait:
                raise RateLimitedError(
                    f"SalesBlink asks to slow down: it answered 429 to another call of this key, so this one was not "
                    f"sent. The wait has {wait:.0f} s left.",
                    retry_after=wait,
                )
            self._say_once(f"429 {call.kind}", "SalesBlink answered 429: no %s for %.0f s.", call.kind, wait)
            # Not all at the same moment.
            self._sleep(wait + random.uniform(0, self._policy.backoff))
            self._limits.know(call.kind, until)

    def _wait_for_budget(self, call: Call, wait: float, waited: _Waited) -> None:
        waited.seconds += wait
        if waited.seconds > self.longest_wait:
            raise BudgetSpentError(
                f"The budget of {call.kind} is used up for longer than {self.longest_wait:g} s; nothing was sent.",
                status=None,
                retry_after=wait,
            )
        if wait > 1:
            self._say_once(call.kind, "The budget of %s is used up; waiting %.0f s.", call.kind, wait)
        self._sleep(wait)

    def _say_once(self, about: str, sentence: str, kind: RequestKind, wait: float) -> None:
        """Log a wait, unless another call of this client has logged one of the same kind within the minute."""
        now = time.monotonic()
        with self._saying:
            if now < self._said.get(about, 0.0):
                return
            self._said[about] = now + max(wait, MINUTE)
        log.info(sentence, kind, wait)

    def _tell(self, attempt: Attempt, number: int, wait: float) -> None:
        log.warning(
            "%s: %s (attempt %d of %d); %s in %.1f s.",
            attempt.call,
            redacted(error_messages.in_words(attempt.outcome)),
            number,
            self._policy.max_attempts,
            "looking whether it was carried out" if isinstance(attempt.verdict, ReadBack) else "trying again",
            wait,
        )


def _left_in_doubt(attempt: Attempt) -> Attempt:
    verdict = attempt.verdict
    return replace(attempt, verdict=Final(verdict)) if isinstance(verdict, ReadBack) else attempt


class _Once(Generic[Existing]):
    """A write that must not happen twice: after an attempt in doubt it is looked for before it is sent again."""

    def __init__(
        self, call: Call, attempt: Callable[[], Attempt], find_existing: Callable[[], Existing | None]
    ) -> None:
        self._call = call
        self._attempt = attempt
        self._find_existing = find_existing
        self._doubt: Attempt | None = None
        self.found: Existing | None = None

    def attempt(self) -> Attempt:
        """Send the write, unless the last attempt is found to have been carried out after all."""
        if self._doubt and self.look_back() is not None:
            return replace(self._doubt, verdict=Done())
        attempt = self._attempt()
        self._doubt = attempt if isinstance(attempt.verdict, ReadBack) else None
        return attempt

    def look_back(self) -> Existing | None:
        """What came of the attempt in doubt; None where nothing did, or no attempt is in doubt."""
        if self._doubt is None or self.found is not None:
            return self.found
        call, happened = self._call, redacted(error_messages.in_words(self._doubt.outcome))
        try:
            self.found = self._find_existing()
        except SalesBlinkError as error:
            raise AmbiguousWriteError(
                f"{call} was sent, its answer was lost ({happened}), and looking whether it was carried out failed: "
                f"{error} Look before sending it again, or a person may be mailed twice.",
                status=getattr(self._doubt.outcome, "status", None), method=call.method, path=call.path,
            ) from error  # fmt: skip
        log.info("%s: %s; it was %scarried out.", call, happened, "" if self.found is not None else "not ")
        return self.found


def _not_sent(call: Call, body: Mapping[str, Any]) -> Answer:
    columns = {name for value in body.values() if isinstance(value, Mapping) for name in value}
    log.info("Dry run, not sent: %s with %s.", call, redacted(", ".join(sorted(body.keys() | columns))))
    return Answer(call, {}, dry_run=True)


def _parted(root: str) -> tuple[str, str, str]:
    scheme, _, rest = root.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash, path
