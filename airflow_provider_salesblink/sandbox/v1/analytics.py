"""Totals of events: ``/analytics``."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.errors import ApiError
from airflow_provider_salesblink.sandbox.event_store import Event, EventFilter, EventStore
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import Page, Window, success

router = APIRouter(prefix=f"{PREFIX}/analytics", route_class=CheckedRoute, tags=["Analytics"])

COUNTERS = {
    event_store.SENT: "sent",
    event_store.OPENED: "opens",
    event_store.CLICKED: "clicks",
    event_store.REPLIED: "replies",
    event_store.BOUNCED: "bounces",
    event_store.UNSUBSCRIBED: "unsubscribes",
}


class DailyQuery(Window):
    """A time window, and the time zone of its days."""

    timezone: str = Field("UTC", description="IANA name of the time zone that decides the day.")


@router.get("/overall", operation_id="analyticsOverall", summary="Totals")
async def analytics_overall(request: Request, window: Annotated[Window, Query()]) -> Response:
    """Return the totals of a window, with rates in percent."""
    return success(_with_rates(count_events(_events(request, window))), **_echo(window))


@router.get("/daily", operation_id="analyticsDaily", summary="Totals by day")
async def analytics_daily(request: Request, wanted: Annotated[DailyQuery, Query()]) -> Response:
    """Return the totals of each day on which something happened, oldest first."""
    zone = _zone(wanted.timezone)
    days = _grouped(_events(request, wanted), lambda event: _day(event, zone))
    totals = [{"_id": {"date": day}} | count_events(days[day]) for day in sorted(days)]
    return success(totals, **_echo(wanted))


@router.get("/lead-stats", operation_id="analyticsLeads", summary="Totals by lead")
async def analytics_leads(request: Request, wanted: Annotated[Page, Query()]) -> Response:
    """Return the totals of each address."""
    people = _grouped(_events(request, wanted), lambda event: event.email)
    return wanted.answer([{"_id": email} | _activity(events) for email, events in people.items()])


@router.get("/mailbox-stats", operation_id="analyticsMailboxes", summary="Totals by mailbox")
async def analytics_mailboxes(request: Request, wanted: Annotated[Page, Query()]) -> Response:
    """Return the totals of each mailbox."""
    found = _grouped(_events(request, wanted), lambda event: str(event.extra["sender"]))
    return wanted.answer(
        [{"_id": sender} | _activity(events) | {"sender": _sender(sender)} for sender, events in found.items()]
    )


def count_events(events: Iterable[Event]) -> dict[str, int]:
    """Return the number of events of each kind."""
    found = Counter(event.message for event in events)
    return {name: found[message] for message, name in COUNTERS.items()}


def percent(part: int, whole: int) -> float:
    """Return ``part`` in percent of ``whole``, and 0 if there is nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def _with_rates(counts: dict[str, int]) -> dict[str, float]:
    sent = counts["sent"]
    return counts | {
        "delivery_rate": percent(sent - counts["bounces"], sent),
        "open_rate": percent(counts["opens"], sent),
        "click_rate": percent(counts["clicks"], counts["opens"]),
        "reply_rate": percent(counts["replies"], sent),
    }


def _activity(events: list[Event]) -> dict[str, int]:
    return count_events(events) | {"last_activity": max(event.time for event in events)}


def _events(request: Request, window: Window) -> list[Event]:
    state = state_of(request)
    wanted = EventFilter(since=window.since, until=window.until, until_is_included=state.v1.to_inclusive)
    return EventStore(state.store.run).find(wanted)


def _grouped(events: Iterable[Event], key: Callable[[Event], str]) -> dict[str, list[Event]]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return groups


def _echo(window: Window) -> dict[str, int]:
    until = int(time.time() * 1000) if window.until is None else window.until
    return {"from": window.since or 0, "to": until}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ApiError(400, f"Unknown time zone '{name}'.") from None


def _day(event: Event, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(event.time / 1000, UTC).astimezone(zone).date().isoformat()


def _sender(sender_id: str) -> dict[str, Any]:
    mailbox = next((mailbox for mailbox in MAILBOXES if mailbox.id == sender_id), None)
    if mailbox is None:
        return {"id": None, "email": None, "name": None, "sending_enabled": None}
    return {"id": mailbox.id, "email": mailbox.email, "name": mailbox.name, "sending_enabled": mailbox.enabled}
