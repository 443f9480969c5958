"""Faults: what may go wrong between a client and SalesBlink, scripted or at random."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_salesblink.sandbox.limits import retry_after_value
from airflow_provider_salesblink.sandbox.options import SandboxUsageError, known, number, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATIONS = (
    *("campaigns", "campaign", "campaign-status", "prospect", "prospect-update"),
    *("prospects", "prospect-add", "prospect-unsubscribe", "my-team"),
)
TARGETS = (*OPERATIONS, "*", "reads", "writes")
KINDS = {
    "reset": "a TCP reset instead of an answer",
    "close": "the connection is closed without an answer",
    "status": "the status code status=..., with an error body",
    "429": "too many requests; retry_after=... seconds (retry_after_form=date: as a date), or no such header",
    "slow": "the true answer, seconds=... late",
    "html": "200 with a maintenance page",
    "truncated": "200 with half of the JSON",
    "cut": "the connection breaks in the middle of the true answer",
    "refused": "200 with success false",
    "redirect": "302 to location=...",
    "garbage": "200 that says JSON, with bytes that are none",
}
# These spoil the true answer, so there must be one: the request is carried out whatever `when` says.
ALWAYS_AFTER = ("truncated", "cut")
NEEDS = {"status": "status", "slow": "seconds", "redirect": "location"}

When = Literal["before", "after"]
RetryAfterForm = Literal["seconds", "date"]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    :param operation: one of ``OPERATIONS``, or ``*``, ``reads``, ``writes``.
    :param kind: one of ``KINDS``.
    :param when: ``after`` carries the request out and then spoils the answer; ``before`` carries nothing out.
    :param times: for how many requests; None = for all. Without meaning beside ``share``.
    :param share: hit this share of the requests at random instead, for good.
    :param status: status code of ``status``.
    :param retry_after: seconds in the Retry-After of ``429`` and ``status``.
    :param retry_after_form: how they are written: as ``seconds`` or as a ``date``.
    :param seconds: how long ``slow`` waits: with ``before``, before the request is carried out.
    :param location: where ``redirect`` sends the client.
    """

    operation: str
    kind: str
    when: When = "before"
    times: int | None = 1
    share: float | None = None
    status: int | None = None
    retry_after: float | None = None
    retry_after_form: RetryAfterForm = "seconds"
    seconds: float | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        known(self.operation, TARGETS, "operation")
        known(self.kind, KINDS, "fault")
        known(self.when, get_args(When), "when")
        known(self.retry_after_form, get_args(RetryAfterForm), "retry_after_form")
        for problem in self._problems():
            message = f"Fault '{self.operation}={self.kind}': {problem}"
            raise SandboxUsageError(message)

    def _problems(self) -> Iterable[str]:
        needed = NEEDS.get(self.kind)
        if needed and getattr(self, needed) is None:
            yield f"needs {needed}=..."
        if self.share is not None and not 0 < self.share <= 1:
            yield "the share must be above 0 and at most 1"
        if self.times is not None and self.times < 1:
            yield "the number of times must be at least 1"
        if self.status is not None and not 200 <= self.status <= 599:
            yield "the status must be between 200 and 599"
        if min(self.seconds or 0, self.retry_after or 0) < 0:
            yield "seconds and retry_after must be at least 0"
        if self.location is not None and not (self.location.isascii() and self.location.isprintable()):
            yield "the location must be printable ASCII"

    @property
    def carries_out(self) -> bool:
        """Whether the request is carried out before anything goes wrong."""
        return self.when == "after" or self.kind in ALWAYS_AFTER

    @property
    def answered_status(self) -> int:
        """Status code of the kinds that answer with a code of their own."""
        return {"429": 429, "redirect": 302}.get(self.kind, self.status or 200)

    def retry_after_header(self) -> dict[str, str]:
        """Retry-After, if this fault has one."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": retry_after_value(self.retry_after, self.retry_after_form)}

    def concerns(self, operation: str, method: str) -> bool:
        """Say whether a request to ``operation`` may be hit."""
        return self.operation in (operation, "*", "reads" if method == "GET" else "writes")

    def __str__(self) -> str:
        words = [self.kind, str(self.status) if self.kind == "status" else "", "after" if self.when == "after" else ""]
        return " ".join(filter(None, words))


def parse_faults(text: str) -> list[Fault]:
    """Read comma-separated ``operation=kind[:option=value]*[@share|xN]``.

    ``prospect-add=reset:when=after@0.05,campaigns=429:retry_after=3x2,*=status:status=503``

    ``@0.05`` hits 5 % of the requests for good, ``x2`` the next two, neither the next one. A comma in a location is
    written ``%2C``.
    """
    return [_fault(part.strip()) for part in text.split(",") if part.strip()]


def _fault(text: str) -> Fault:
    head, times, share = _split_frequency(text)
    words, *options = re.split(r":(?=[a-z_]+=)", head)
    operation, equals, kind = words.partition("=")
    if not equals:
        message = f"Cannot read the fault '{text}'. Write operation=kind, with an operation of: {', '.join(TARGETS)}"
        raise SandboxUsageError(message)
    # The words first: whoever mistypes one should hear of it, not of an option that it lacks.
    known(operation, TARGETS, "operation")
    known(kind, KINDS, "fault")
    return Fault(operation, kind, times=times, share=share, **dict(_option(option) for option in options))


def _split_frequency(text: str) -> tuple[str, int, float | None]:
    if found := re.search(r"@([^@:=,/]*)$", text):
        return text[: found.start()], 1, number(found[1], "The share after @")
    if found := re.search(r"x(\d+)$", text):
        return text[: found.start()], int(found[1]), None
    return text, 1, None


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    known(name, ("when", "status", "retry_after", "retry_after_form", "seconds", "location"), "option of a fault")
    if name == "status":
        return name, whole_number(value, name)
    return name, number(value, name) if name in ("retry_after", "seconds") else value


class FaultBook:
    """Decides which request is hit. Scripted faults come before random ones; among equals the first one added."""

    def __init__(self, random_seed: int) -> None:
        self._random_seed = random_seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Nothing goes wrong any more, and the dice start anew."""
        with self._lock:
            self._scripted: list[tuple[Fault, int | None]] = []
            self._random: list[Fault] = []
            self._dice = random.Random(self._random_seed)

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults after those that are there."""
        with self._lock:
            for fault in faults:
                if fault.share is None:
                    self._scripted.append((fault, fault.times))
                else:
                    self._random.append(fault)

    def draw(self, operation: str, method: str) -> Fault | None:
        """Return what goes wrong with one request."""
        if not self._scripted and not self._random:
            return None
        with self._lock:
            return self._next_scripted(operation, method) or self._next_random(operation, method)

    def _next_scripted(self, operation: str, method: str) -> Fault | None:
        for place, (fault, left) in enumerate(self._scripted):
            if fault.concerns(operation, method):
                if left == 1:
                    del self._scripted[place]
                elif left is not None:
                    self._scripted[place] = (fault, left - 1)
                return fault
        return None

    def _next_random(self, operation: str, method: str) -> Fault | None:
        for fault in self._random:
            if fault.concerns(operation, method) and self._dice.random() < (fault.share or 0):
                return fault
        return None

    def listing(self) -> list[str]:
        """Say in words what may still go wrong."""
        with self._lock:
            scripted = [f"{fault.operation}: {fault}, {_times(left)}" for fault, left in self._scripted]
            return scripted + [f"{fault.operation}: {fault}, {fault.share:.1%} at random" for fault in self._random]


def _times(left: int | None) -> str:
    return "always" if left is None else f"{left} more"
