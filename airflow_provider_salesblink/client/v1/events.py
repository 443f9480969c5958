"""What happened to mails (``/sent``, ``/opens``, ``/clicks``, ``/replies``, ``/reports``).

SalesBlink does not document the order of events, nor whether one at exactly ``since`` or ``until`` is included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.v1 import paging, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json


class Events:
    """Calls about events. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    An event is a dict with SalesBlink's names: ``id``, ``time``, ``type``, ``message``, ``sequence``, ``email``, and
    others. ``since`` and ``until`` need a time zone. ``email`` selects a recipient. ``on_move`` is called, in place of
    a warning in the log, if pages moved while they were read: then read again, because an event may be missing.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def sent(
        self,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        email: str | None = None,
        on_move: Callable[[], None] | None = None,
    ) -> Iterator[Json]:
        """Yield the mails that were sent (``GET /sent``)."""
        return self._feed("sent", sequence_id, since, until, email, on_move)

    def opens(
        self,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        email: str | None = None,
        on_move: Callable[[], None] | None = None,
    ) -> Iterator[Json]:
        """Yield the times at which mails were opened (``GET /opens``)."""
        return self._feed("opens", sequence_id, since, until, email, on_move)

    def clicks(
        self,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        email: str | None = None,
        on_move: Callable[[], None] | None = None,
    ) -> Iterator[Json]:
        """Yield the clicks on links in mails (``GET /clicks``)."""
        return self._feed("clicks", sequence_id, since, until, email, on_move)

    def replies(
        self,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        email: str | None = None,
        on_move: Callable[[], None] | None = None,
    ) -> Iterator[Json]:
        """Yield the replies to mails (``GET /replies``)."""
        return self._feed("replies", sequence_id, since, until, email, on_move)

    def reports(
        self,
        message: str | None = None,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        email: str | None = None,
        on_move: Callable[[], None] | None = None,
    ) -> Iterator[Json]:
        """Yield the entries of the log, the only feed of bounces, unsubscribes and errors (``GET /reports``).

        :param message: only entries with this message. Known: ``Sent``, ``Bounced``, ``Unsubscribed`` and ``Error``.
        """
        query = times.window(since, until)
        query |= {"message": validation.term("message", message)} if message is not None else {}
        query |= _selection("sequence", sequence_id, "email", email)
        return paging.each_of(
            self._requestor, "reports",
            paginator=paging.PageInSkip(100), query=query, what="the reports", on_move=on_move,
        )  # fmt: skip

    def _feed(
        self,
        name: str,
        sequence_id: str | None,
        since: datetime | None,
        until: datetime | None,
        email: str | None,
        on_move: Callable[[], None] | None,
    ) -> Iterator[Json]:
        query = times.window(since, until) | _selection("sequence_id", sequence_id, "recipient_email_address", email)
        return paging.each_of(
            self._requestor, name,
            paginator=paging.PageNumber(100), query=query, what=f"the feed '{name}'", on_move=on_move,
        )  # fmt: skip


def _selection(sequence_name: str, sequence_id: str | None, email_name: str, email: str | None) -> dict[str, str]:
    query = {}
    if sequence_id is not None:
        query[sequence_name] = validation.identifier("sequence_id", sequence_id)
    if email is not None:
        query[email_name] = validation.address("email", email)
    return query
