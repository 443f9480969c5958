"""The mailboxes that send: ``/senders``."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from airflow_provider_salesblink.sandbox.errors import ApiError
from airflow_provider_salesblink.sandbox.event_store import EventFilter, EventStore
from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES, Mailbox
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.analytics import count_events, percent
from airflow_provider_salesblink.sandbox.v1.answers import Filter, success

router = APIRouter(prefix=f"{PREFIX}/senders", route_class=CheckedRoute, tags=["Senders"])

MOST_SENDERS = 100
WEEK = 7 * 24 * 3600 * 1000


class SenderQuery(BaseModel):
    """Which mailboxes to list."""

    limit: int = Field(100, ge=1, description="Mailboxes of a page. More than 100 gives 100.")
    skip: int = Field(0, ge=0, description="Mailboxes to leave out.")
    search: Filter = Field(None, description="Text in the name or address.")


@router.get("", operation_id="listSenders", summary="Mailboxes")
async def list_senders(_: Request, wanted: Annotated[SenderQuery, Query()]) -> Response:
    """Return a page of the mailboxes."""
    term = (wanted.search or "").casefold()
    found = [mailbox for mailbox in MAILBOXES if term in f"{mailbox.name} {mailbox.email}".casefold()]
    page = found[wanted.skip : wanted.skip + min(wanted.limit, MOST_SENDERS)]
    return success([_shown(mailbox) for mailbox in page])


@router.get("/{id}/health", operation_id="getSenderHealth", summary="Connection and reputation of a mailbox")
async def get_sender_health(
    request: Request, sender_id: Annotated[str, Path(alias="id", description="The id of the mailbox.")]
) -> Response:
    """Return how well a mailbox does, from the events of the last seven days."""
    mailbox = next((mailbox for mailbox in MAILBOXES if mailbox.id == sender_id), None)
    if mailbox is None:
        raise ApiError(404)
    now = int(time.time() * 1000)
    last_week = EventFilter(sender=mailbox.id, since=now - WEEK)
    return success(_health(mailbox, count_events(EventStore(state_of(request).store.run).find(last_week)), now))


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
