"""Faults that the sandbox injects: their kinds and options, their text form, and which request is affected next."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_salesblink.sandbox.limits import kind_of, retry_after_value
from airflow_provider_salesblink.sandbox.options import (
    SandboxUsageError,
    parse_number,
    parse_whole_number,
    require_known,
)
from airflow_provider_salesblink.sandbox.v1.operations import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATIONS = (
    *("campaigns", "campaign", "campaign-status", "prospect", "prospect-update"),
    *("prospects", "prospect-add", "prospect-unsubscribe", "my-team"),
)
TARGETS = (*OPERATIONS, *NAMES, "*", "reads", "writes", "deletes")
KINDS = {
    "reset": "a TCP reset instead of a response",
    "close": "the connection is closed without a response",
    "status": "the status code status=..., with an error body",
    "429": "too many requests; retry_after=... seconds (retry_after_form=date: a date), or no Retry-After",
    "slow": "the real response, seconds=... late",
    "html": "200 with a maintenance page",
    "truncated": "200 with half of the JSON",
    "cut": "the connection breaks in the middle of the real response",
    "refused": "200 with success false",
    "redirect": "302 to location=...",
    "garbage": "200 with the JSON content type and a body that is not JSON",
}
# These kinds change the real response, so the request is always processed, whatever `when` says.
ALWAYS_AFTER = ("truncated", "cut")
REQUIRED_OPTION = {"status": "status", "slow": "seconds", "redirect": "location"}
OPTIONS = ("when", "status", "retry_after", "retry_after_form", "seconds", "location")

When = Literal["before", "after"]
RetryAfterForm = Literal["seconds", "date"]


@dataclass(frozen=True)
class Fault:
    """A fault to inject.

    :param operation: the requests to affect: one of ``TARGETS``, for example ``v1.addContacts`` or ``writes``.
    :param kind: one of ``KINDS``.
    :param when: ``before`` does not process the request; ``after`` processes it, then applies the fault.
    :param times: number of requests to affect; None = all. Ignored if ``share`` is given.
    :param share: affect this share of the requests at random, without end.
    :param status: status code for ``status``.
    :param retry_after: seconds in the Retry-After header of ``429`` and ``status``.
    :param retry_after_form: format of that header: ``seconds`` or ``date``.
    :param seconds: delay of ``slow``. With ``before``, the delay comes before the request is processed.
    :param location: target URL of ``redirect``.
    :raises SandboxUsageError: an option is unknown, missing or out of range.
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
        require_known(self.operation, TARGETS, "operation")
        require_known(self.kind, KINDS, "fault")
        require_known(self.when, get_args(When), "when")
        require_known(self.retry_after_form, get_args(RetryAfterForm), "retry_after_form")
        for problem in self._problems():
            message = f"Fault '{self.operation}={self.kind}': {problem}"
            raise SandboxUsageError(message)

    def _problems(self) -> Iterable[str]:
        required = REQUIRED_OPTION.get(self.kind)
        if required and getattr(self, required) is None:
            yield f"needs {required}=..."
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
    def processes_request(self) -> bool:
        """Return whether the sandbox processes the request before the fault."""
        return self.when == "after" or self.kind in ALWAYS_AFTER

    @property
    def response_status(self) -> int:
        """Return the status code that the fault's response has."""
        return {"429": 429, "redirect": 302}.get(self.kind, self.status or 200)

    def retry_after_header(self) -> dict[str, str]:
        """Return the Retry-After header, or nothing if the fault has none."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": retry_after_value(self.retry_after, self.retry_after_form)}

    def matches(self, operation: str, method: str) -> bool:
        """Return whether the fault can affect a request."""
        return self.operation in (operation, "*", kind_of(method))

    def __str__(self) -> str:
        words = [self.kind, str(self.status) if self.kind == "status" else "", "after" if self.when == "after" else ""]
        return " ".join(filter(None, words))


def parse_faults(text: str) -> list[Fault]:
    """Parse comma-separated ``operation=kind[:option=value]*[@share|xN]``.

    Example: ``prospect-add=reset:when=after@0.05,campaigns=429:retry_after=3x2,*=status:status=503``

    ``@0.05`` affects 5% of the requests without end, ``x2`` the next two, and neither only the next one. Write a comma
    in a location as ``%2C``.

    :raises SandboxUsageError: an operation, kind or option is unknown, or a value is out of range.
    """
    return [_fault(part.strip()) for part in text.split(",") if part.strip()]


def _fault(text: str) -> Fault:
    head, times, share = _split_frequency(text)
    target, *options = re.split(r":(?=[a-z_]+=)", head)
    operation, equals, kind = target.partition("=")
    if not equals:
        message = f"Cannot parse the fault '{text}'. Write operation=kind with one of: {', '.join(TARGETS)}"
        raise SandboxUsageError(message)
    # Check the names first: an error about a missing option would hide a misspelled name.
    require_known(operation, TARGETS, "operation")
    require_known(kind, KINDS, "fault")
    return Fault(operation, kind, times=times, share=share, **dict(_option(option) for option in options))


def _split_frequency(text: str) -> tuple[str, int, float | None]:
    if found := re.search(r"@([^@:=,/]*)$", text):
        return text[: found.start()], 1, parse_number(found[1], "The share after @")
    if found := re.search(r"x(\d+)$", text):
        return text[: found.start()], int(found[1]), None
    return text, 1, None


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    require_known(name, OPTIONS, "option of a fault")
    if name == "status":
        return name, parse_whole_number(value, name)
    return name, parse_number(value, name) if name in ("retry_after", "seconds") else value


class ActiveFaults:
    """Picks the fault for each request: scripted faults first, then random ones, each in the order they were added."""

    def __init__(self, random_seed: int) -> None:
        self._random_seed = random_seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Remove all faults and restart the random sequence."""
        with self._lock:
            self._scripted: list[tuple[Fault, int | None]] = []
            self._shared: list[Fault] = []
            self._random = random.Random(self._random_seed)

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults after the existing ones."""
        with self._lock:
            for fault in faults:
                if fault.share is None:
                    self._scripted.append((fault, fault.times))
                else:
                    self._shared.append(fault)

    def next_fault(self, operation: str, method: str) -> Fault | None:
        """Return the fault for one request, or None. A scripted fault has then one request fewer to affect."""
        if not self._scripted and not self._shared:
            return None
        with self._lock:
            return self._next_scripted(operation, method) or self._next_random(operation, method)

    def _next_scripted(self, operation: str, method: str) -> Fault | None:
        for index, (fault, left) in enumerate(self._scripted):
            if fault.matches(operation, method):
                if left == 1:
                    del self._scripted[index]
                elif left is not None:
                    self._scripted[index] = (fault, left - 1)
                return fault
        return None

    def _next_random(self, operation: str, method: str) -> Fault | None:
        for fault in self._shared:
            if fault.matches(operation, method) and self._random.random() < (fault.share or 0):
                return fault
        return None

    def descriptions(self) -> list[str]:
        """Return a description of each fault that can still occur."""
        with self._lock:
            scripted = [f"{fault.operation}: {fault}, {_times(left)}" for fault, left in self._scripted]
            return scripted + [f"{fault.operation}: {fault}, {fault.share:.1%} at random" for fault in self._shared]


def _times(left: int | None) -> str:
    return "always" if left is None else f"{left} more"
