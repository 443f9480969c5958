"""The journal: every request that came, as it came, except for the key."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request.

    :param path: raw, as sent, quoted.
    :param query: raw, without the question mark.
    :param headers: names in lower case; without ``authorization``.
    :param authorized: whether it carried a key of this sandbox.
    :param body: its JSON, or None where it had none.
    :param status: the status code it was answered with; None if it got no answer (yet).
    :param at: ``time.monotonic()`` at its arrival.
    :param connection: the client's port, the same for all requests on one TCP connection.
    :param fault: what went wrong on purpose, in words that start with the fault's kind.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    authorized: bool
    body: Any
    status: int | None
    at: float
    connection: int
    fault: str | None


class Journal:
    """The last ``keep`` requests, in order of arrival."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: dict[int, Request] = {}
        self._next = 0
        self._lock = threading.Lock()

    def note(self, request: Request) -> int:
        """Write down a request at its arrival; returns its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._entries[number] = request
            self._entries.pop(number - self._keep, None)
            return number

    def answered(self, number: int, status: int) -> None:
        """Write down what a request was answered with."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], status=status)

    def entries(self) -> list[Request]:
        """All that is kept."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()
