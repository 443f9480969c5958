"""The mailboxes that send: ``/senders``."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.event_store import EventFilter
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES, Mailbox
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.analytics import counters, percent
from airflow_provider_salesblink.sandbox.v1.answers import done, page_of, require, text

router = APIRouter(prefix=f"{PREFIX}/senders", route_class=V1Route, include_in_schema=False)

MOST_SENDERS = 100
_MISSING = object()
_OTHER_HEALTH: dict[str, dict[str, Any]] = {
    "healthy": {},
    "disconnected": {"connected": False},
    "disabled": {"sending_enabled": False},
    "error": {"error": {"message": "Invalid login"}},
    "unknown": {"connected": _MISSING, "sending_enabled": "yes"},
}
"""What the second mailbox shows instead, by the rule ``second_sender``."""
WEEK = 7 * 24 * 3600 * 1000


@router.get("")
async def list_senders(request: Request) -> Response:
    """Return a page of the mailboxes."""
    term = text(request, "search")
    found = [mailbox for mailbox in MAILBOXES if term in f"{mailbox.name} {mailbox.email}".casefold()]
    page = page_of(request, most=MOST_SENDERS)
    return done([_shown(mailbox) for mailbox in page.of(found)])


@router.get("/{sender_id:path}/health")
async def get_sender_health(request: Request, sender_id: str) -> Response:
    """Return how well a mailbox does, from the events of the last seven days."""
    mailbox = require(next((mailbox for mailbox in MAILBOXES if mailbox.id == sender_id), None), "Sender")
    now = int(time.time() * 1000)
    store = state_of(request).store
    last_week = EventFilter(sender=mailbox.id, since=now - WEEK)
    health = _health(mailbox, counters(store.events.total(last_week)), now)
    if mailbox == MAILBOXES[1]:
        health |= _OTHER_HEALTH[store.rules.second_sender]
    return done({name: value for name, value in health.items() if value is not _MISSING})


def _shown(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "id": mailbox.id,
        "alias": mailbox.name,
        "google_email": mailbox.email,
        "senderName": mailbox.name,
        "sendingEnabled": mailbox.enabled,
        "receivingEnabled": mailbox.enabled,
        "sequence_max_daily_frequency": mailbox.daily,
    }


def _health(mailbox: Mailbox, counts: dict[str, int], now: int) -> dict[str, Any]:
    bounce_rate = percent(counts["bounces"], counts["sent"])
    return {
        "sender_id": mailbox.id,
        "email": mailbox.email,
        "connected": True,
        "sending_enabled": mailbox.enabled,
        "receiving_enabled": mailbox.enabled,
        "warmup_enabled": False,
        "processing": False,
        "health_score": max(0, 100 - round(bounce_rate)),
        "bounce_rate": bounce_rate,
        "reply_rate": percent(counts["replies"], counts["sent"]),
        "last_7_days": counts,
        "warmup_30_days": {},
        "error": None,
        "last_check": now,
        "last_updated": now,
    }
