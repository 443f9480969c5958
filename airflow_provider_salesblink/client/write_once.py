"""Writes that must not happen twice, and writes whose repetition looks like an error, around the attempts of a call."""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar

from airflow_provider_salesblink.client import error_messages
from airflow_provider_salesblink.client.errors import AmbiguousWriteError, SalesBlinkError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.client.retry import Answered, Attempt, Done, Final, NeverSent, ReadBack
from airflow_provider_salesblink.metrics import AMBIGUOUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client.http_transport import Call
    from airflow_provider_salesblink.metrics import Observer

log = logging.getLogger(__name__)

Existing = TypeVar("Existing")


def stop_when_in_doubt(attempt: Attempt) -> Attempt:
    """Return an attempt whose doubt ends the retries."""
    verdict = attempt.verdict
    return replace(attempt, verdict=Final(verdict)) if isinstance(verdict, ReadBack) else attempt


class WriteOnce(Generic[Existing]):
    """A write that must not happen twice: after a lost answer, it is read back before it is sent again."""

    def __init__(
        self,
        call: Call,
        attempt: Callable[[], Attempt],
        find_existing: Callable[[], Existing | None],
        observer: Observer,
    ) -> None:
        self._call = call
        self._attempt = attempt
        self._find_existing = find_existing
        self._observer = observer
        self._in_doubt: Attempt | None = None
        self.found: Existing | None = None

    def attempt(self) -> Attempt:
        """Send the write, unless the last attempt was in doubt and turns out to have been carried out."""
        if self._in_doubt and self.read_back() is not None:
            return replace(self._in_doubt, verdict=Done())
        attempt = self._attempt()
        self._in_doubt = attempt if isinstance(attempt.verdict, ReadBack) else None
        if self._in_doubt:
            self._observer.count(AMBIGUOUS, "lost")
        return attempt

    def read_back(self) -> Existing | None:
        """Return the result of the attempt in doubt; None if it was not carried out, or no attempt is in doubt."""
        if self._in_doubt is None or self.found is not None:
            return self.found
        call, reason = self._call, redacted(error_messages.describe(self._in_doubt.outcome))
        try:
            self.found = self._find_existing()
        except SalesBlinkError as error:
            raise AmbiguousWriteError(
                f"{call} was sent, its answer was lost ({reason}), and the check whether it was carried out failed: "
                f"{error} Check SalesBlink before sending it again, or a person may be mailed twice.",
                status=getattr(self._in_doubt.outcome, "status", None), method=call.method, path=call.path,
            ) from error  # fmt: skip
        self._observer.count(AMBIGUOUS, "not_carried_out" if self.found is None else "carried_out")
        log.info("%s: %s; it was %scarried out.", call, reason, "" if self.found is not None else "not ")
        return self.found


class UntilGone:
    """A removal: not found, after an attempt that may have been carried out, means that it was."""

    def __init__(self, attempt: Callable[[], Attempt]) -> None:
        self._attempt = attempt
        self._may_be_gone = False

    def attempt(self) -> Attempt:
        """Send the removal."""
        attempt = self._attempt()
        status = getattr(attempt.outcome, "status", None)
        if self._may_be_gone and status == HTTPStatus.NOT_FOUND:
            return replace(attempt, outcome=Answered(HTTPStatus.OK, body={}), verdict=Done())
        is_refused = isinstance(attempt.outcome, NeverSent) or status == HTTPStatus.TOO_MANY_REQUESTS
        self._may_be_gone = self._may_be_gone or not is_refused
        return attempt
