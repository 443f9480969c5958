"""The log of received requests, without their keys."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Request:
    """A received request.

    :param path: the path as sent, percent-encoded.
    :param query: the query as sent, without the question mark.
    :param headers: the headers with lower-case names, without ``authorization``.
    :param authorized: whether the request had a valid key of this sandbox.
    :param body: the JSON body; None if there is none or it is not JSON.
    :param status: the status code of the response; None if there is no response (yet).
    :param at: ``time.monotonic()`` when the request arrived.
    :param connection: the client's port, which is the same for all requests on one TCP connection.
    :param fault: description of the injected fault, starting with its kind; None if there was no fault.
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


class RequestLog:
    """The latest ``keep`` requests, in order of arrival."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: dict[int, Request] = {}
        self._next = 0
        self._lock = threading.Lock()

    def add(self, request: Request) -> int:
        """Add a request when it arrives, and return its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._entries[number] = request
            self._entries.pop(number - self._keep, None)
            return number

    def set_status(self, number: int, status: int) -> None:
        """Set the status code of a request's response."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], status=status)

    def entries(self) -> list[Request]:
        """Return all requests in the log."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._entries.clear()
