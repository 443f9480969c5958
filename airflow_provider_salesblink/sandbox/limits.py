"""Request limits: how many reads and writes a window may hold, and what a 429 says about waiting."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal, get_args

from airflow_provider_salesblink.sandbox.options import SandboxUsageError, known, number, pairs, whole_number

RetryAfter = Literal["seconds", "date", "none"]
RequestKind = Literal["reads", "writes"]


@dataclass(frozen=True)
class Limits:
    """How many requests a sliding window holds, over all keys.

    :param reads: GETs in a window; 0 = no limit.
    :param writes: POSTs in a window; 0 = no limit.
    :param window: its length in seconds.
    :param retry_after: how a 429 tells when to come back: in seconds, as an HTTP date, or not at all.
    """

    reads: int = 0
    writes: int = 0
    window: float = 60.0
    retry_after: RetryAfter = "seconds"

    def __post_init__(self) -> None:
        known(self.retry_after, get_args(RetryAfter), "retry_after")
        if min(self.reads, self.writes) < 0 or not self.window > 0:
            message = "Limits must be at least 0, and their window longer than 0 seconds"
            raise SandboxUsageError(message)

    @classmethod
    def parse(cls, text: str) -> Limits:
        """Read ``reads=30,writes=15,window=60,retry_after=date``, or ``real``: SalesBlink's 30 and 15 a minute."""
        if text.strip() == "real":
            return cls(reads=30, writes=15)
        said = pairs(text, ("reads", "writes", "window", "retry_after"), "limit")
        return cls(
            reads=whole_number(said.get("reads", "0"), "reads"),
            writes=whole_number(said.get("writes", "0"), "writes"),
            window=number(said.get("window", "60"), "window"),
            retry_after=said.get("retry_after", "seconds"),  # type: ignore[arg-type]  # checked on construction
        )


def retry_after_value(seconds: float, form: str) -> str:
    """Return the ``Retry-After`` header that says ``seconds`` from now, never earlier."""
    if form == "date":
        return formatdate(math.ceil(time.time() + seconds), usegmt=True)
    return str(math.ceil(seconds))


class Meter:
    """Counts admitted requests against ``limits``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._admitted: dict[RequestKind, deque[float]] = {"reads": deque(), "writes": deque()}
        self._lock = threading.Lock()

    def wait(self, kind: RequestKind) -> float | None:
        """Count one request and return None, or return the seconds until one is admitted again."""
        allowed = self.limits.reads if kind == "reads" else self.limits.writes
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
        """Headers of the 429 that asks to wait."""
        if self.limits.retry_after == "none":
            return {}
        return {"Retry-After": retry_after_value(wait, self.limits.retry_after)}
