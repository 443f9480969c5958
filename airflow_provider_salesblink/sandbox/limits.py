"""Rate limits: the number of reads, writes and deletes in a sliding window, and the Retry-After header of a 429."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal, get_args

from airflow_provider_salesblink.sandbox.options import (
    SandboxUsageError,
    parse_number,
    parse_pairs,
    parse_whole_number,
    require_known,
)

RetryAfter = Literal["seconds", "date", "none"]
RequestKind = Literal["reads", "writes", "deletes"]


@dataclass(frozen=True)
class Limits:
    """Rate limits in a sliding window, shared by all keys.

    :param reads: GET requests per window; 0 = no limit.
    :param writes: POST and PATCH requests per window; 0 = no limit.
    :param deletes: PUT and DELETE requests per window; 0 = no limit. Only the v1 API has them.
    :param window: length of the window in seconds.
    :param retry_after: format of a 429's Retry-After header: ``seconds``, an HTTP ``date``, or ``none`` for no header.
    :raises SandboxUsageError: a value is out of range.
    """

    reads: int = 0
    writes: int = 0
    window: float = 60.0
    retry_after: RetryAfter = "seconds"
    deletes: int = 0

    def __post_init__(self) -> None:
        require_known(self.retry_after, get_args(RetryAfter), "retry_after")
        if min(self.reads, self.writes, self.deletes) < 0 or not self.window > 0:
            message = "Limits must be at least 0, and the window must be longer than 0 seconds"
            raise SandboxUsageError(message)

    @classmethod
    def parse(cls, text: str) -> Limits:
        """Parse ``reads=30,writes=15,deletes=10,window=60,retry_after=date``, or ``real`` for SalesBlink's limits."""
        if text.strip() == "real":
            return cls(reads=30, writes=15, deletes=10)
        values = parse_pairs(text, ("reads", "writes", "deletes", "window", "retry_after"), "limit")
        return cls(
            reads=parse_whole_number(values.get("reads", "0"), "reads"),
            writes=parse_whole_number(values.get("writes", "0"), "writes"),
            deletes=parse_whole_number(values.get("deletes", "0"), "deletes"),
            window=parse_number(values.get("window", "60"), "window"),
            retry_after=values.get("retry_after", "seconds"),  # type: ignore[arg-type]  # checked on construction
        )


KINDS_BY_METHOD: dict[str, RequestKind] = {"GET": "reads", "PUT": "deletes", "DELETE": "deletes"}


def kind_of(method: str) -> RequestKind:
    """Return which limit counts a request."""
    return KINDS_BY_METHOD.get(method, "writes")


def retry_after_value(seconds: float, form: str) -> str:
    """Return the value of a Retry-After header for ``seconds`` from now, rounded up."""
    if form == "date":
        return formatdate(math.ceil(time.time() + seconds), usegmt=True)
    return str(math.ceil(seconds))


class RateLimiter:
    """Counts the admitted requests and applies ``limits`` to them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._admitted: dict[RequestKind, deque[float]] = {kind: deque() for kind in get_args(RequestKind)}
        self._lock = threading.Lock()

    def admit(self, kind: RequestKind) -> float | None:
        """Count one request and return None. If the window is full, return the seconds until it has room again."""
        allowed = getattr(self.limits, kind)
        if not allowed:
            return None
        with self._lock:
            now, admitted = time.monotonic(), self._admitted[kind]
            while admitted and admitted[0] <= now - self.limits.window:
                admitted.popleft()
            if len(admitted) < allowed:
                admitted.append(now)
                return None
            return admitted[0] + self.limits.window - now

    def headers(self, wait: float) -> dict[str, str]:
        """Return the headers of a 429 that asks the client to wait."""
        if self.limits.retry_after == "none":
            return {}
        return {"Retry-After": retry_after_value(wait, self.limits.retry_after)}
