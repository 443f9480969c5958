"""Totals of events: ``/analytics``."""

import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.event_store import QUARTER_HOUR, Group, Totals
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, page_of
from airflow_provider_salesblink.sandbox.v1.errors import V1Error
from airflow_provider_salesblink.sandbox.v1.windows import events_wanted, given, window

router = APIRouter(prefix=f"{PREFIX}/analytics", route_class=V1Route, include_in_schema=False)

MOST_TOTALS = 500
COUNTERS = {
    event_store.SENT: "sent",
    event_store.OPENED: "opens",
    event_store.CLICKED: "clicks",
    event_store.REPLIED: "replies",
    event_store.BOUNCED: "bounces",
    event_store.UNSUBSCRIBED: "unsubscribes",
}


@router.get("/overall")
async def analytics_overall(request: Request) -> Response:
    """Return the totals of a window, with rates in percent."""
    totals = state_of(request).store.events.total(events_wanted(request))
    return done(_with_rates(counters(totals)), **_echo(request))


@router.get("/daily")
async def analytics_daily(request: Request) -> Response:
    """Return the totals of each day on which something happened, oldest first."""
    zone = _zone(given(request, "timezone") or "UTC")
    days: dict[str, Totals] = {}
    # A day begins at a full quarter of an hour of UTC, in every time zone.
    for quarter, totals in _totals(request, "quarter_hour").items():
        days.setdefault(_day(quarter * QUARTER_HOUR, zone), Totals()).add(totals.counts, totals.last)
    return done([{"_id": {"date": day}} | counters(days[day]) for day in sorted(days)], **_echo(request))


@router.get("/lead-stats")
async def analytics_leads(request: Request) -> Response:
    """Return the totals of each address."""
    return _paged(request, [_activity(email, totals) for email, totals in _totals(request, "email").items()])


@router.get("/mailbox-stats")
async def analytics_mailboxes(request: Request) -> Response:
    """Return the totals of each mailbox."""
    found = _totals(request, "sender")
    return _paged(
        request, [_activity(sender, totals) | {"sender": _sender(sender)} for sender, totals in found.items()]
    )


def counters(totals: Totals) -> dict[str, int]:
    """Return the number of events of each kind, under the names of the API."""
    return {name: totals.counts[message] for message, name in COUNTERS.items()}


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


def _activity(key: str, totals: Totals) -> dict[str, Any]:
    return {"_id": key} | counters(totals) | {"last_activity": totals.last}


def _totals(request: Request, by: Group) -> dict[Any, Totals]:
    return state_of(request).store.events.totals(events_wanted(request), by)


def _echo(request: Request) -> dict[str, int]:
    since, until = window(request)
    return {"from": since, "to": min(until, int(time.time() * 1000))}


def _paged(request: Request, totals: list[dict[str, Any]]) -> Response:
    page = page_of(request, most=MOST_TOTALS)
    return done(page.of(totals), **page.fields(totals))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise V1Error(400, f"Unknown time zone '{name}'.") from None


def _day(time_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).date().isoformat()


def _sender(sender_id: str) -> dict[str, Any]:
    mailbox = next((mailbox for mailbox in MAILBOXES if mailbox.id == sender_id), None)
    if mailbox is None:
        return {"id": None, "email": None, "name": None, "sending_enabled": None}
    return {"id": mailbox.id, "email": mailbox.email, "name": mailbox.name, "sending_enabled": mailbox.enabled}
