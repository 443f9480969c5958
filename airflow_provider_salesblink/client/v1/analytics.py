"""Totals of the workspace for a time window (``/analytics``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.v1 import decoding, paging, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json

_PAGE = paging.RecordOffset(500)


class Analytics:
    """Calls about totals. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    The totals are ``sent``, ``opens``, ``clicks``, ``replies``, ``bounces`` and ``unsubscribes``. ``since`` and
    ``until`` need a time zone.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def overall(self, since: datetime | None = None, until: datetime | None = None) -> Json:
        """Return the totals and rates of the whole workspace (``GET /analytics/overall``).

        ``click_rate`` is clicks per open; the other rates are per sent mail.
        """
        query = times.window(since, until)
        return self._requestor.read("analytics", "overall", query=query).decoded(decoding.record)

    def daily(
        self, since: datetime | None = None, until: datetime | None = None, timezone: str | None = None
    ) -> list[Json]:
        """Return the totals of each day, with its ``date`` as text (``GET /analytics/daily``).

        :param timezone: the IANA name of the time zone of the days, such as ``Europe/Berlin``.
        """
        query = times.window(since, until)
        query |= {"timezone": validation.term("timezone", timezone)} if timezone is not None else {}
        found = self._requestor.read("analytics", "daily", query=query).decoded(decoding.items)
        return [{**each, "date": _date(each)} for each in found]

    def leads(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Json]:
        """Yield the totals of each lead, with the ``email`` (``GET /analytics/lead-stats``)."""
        return self._each("lead-stats", since, until, "email")

    def mailboxes(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Json]:
        """Yield the totals of each sending mailbox, with the ``sender_id`` (``GET /analytics/mailbox-stats``)."""
        return self._each("mailbox-stats", since, until, "sender_id")

    def _each(self, name: str, since: datetime | None, until: datetime | None, id_name: str) -> Iterator[Json]:
        def decode(body: object) -> list[Json]:
            return [{**each, id_name: decoding.text_id(each, "_id")} for each in decoding.items(body)]

        return paging.each_of(
            self._requestor, "analytics", name,
            paginator=_PAGE, query=times.window(since, until), decode=decode, what="the totals",
            key=lambda each: each[id_name],
        )  # fmt: skip


def _date(found: Json) -> str | None:
    match found:
        case {"_id": {"date": str() as day}} | {"_id": str() as day}:
            return day
    return None
