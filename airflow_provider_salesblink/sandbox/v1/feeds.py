"""What happened to people: ``/sent``, ``/opens``, ``/clicks``, ``/replies`` and ``/reports``."""

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.event_store import Event
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, json, page_of, text, whole_number
from airflow_provider_salesblink.sandbox.v1.windows import events_wanted, given

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

MOST_EVENTS = 100


@router.get("/sent")
async def list_sent(request: Request) -> Response:
    """Return a page of the mails sent."""
    return _feed(request, event_store.SENT)


@router.get("/opens")
async def list_opens(request: Request) -> Response:
    """Return a page of the opens."""
    return _feed(request, event_store.OPENED)


@router.get("/clicks")
async def list_clicks(request: Request) -> Response:
    """Return a page of the clicks."""
    return _feed(request, event_store.CLICKED)


@router.get("/replies")
async def list_replies(request: Request) -> Response:
    """Return a page of the replies."""
    return _feed(request, event_store.REPLIED)


@router.get("/reports")
async def list_reports(request: Request) -> Response:
    """Return a page of the event log. ``skip`` is a page number, which the server multiplies by ``limit``."""
    store = state_of(request).store
    names = {"type": "type", "message": "message", "email": "email", "node": "node", "sender": "sender"}
    names["sequence_id"] = "sequence"
    wanted = events_wanted(request, **{field: given(request, name) for field, name in names.items()})
    page = page_of(request, most=MOST_EVENTS)
    direction = text(request, "sortType") or ("desc" if store.rules.feed_order == "newest" else "asc")
    found = store.events.find(wanted, newest_first=direction == "desc", limit=page.limit, skip=page.skip * page.limit)
    return done([_shown(event) for event in found])


def _feed(request: Request, message: str) -> Response:
    """Return a page of the events with this message, as a bare array. Its number counts from 1."""
    store = state_of(request).store
    email, sequence_id = given(request, "recipient_email_address"), given(request, "sequence_id")
    wanted = events_wanted(request, message=message, email=email, sequence_id=sequence_id)
    limit = _per_page(request)
    found = store.events.find(
        wanted,
        newest_first=store.rules.feed_order == "newest",
        limit=limit,
        skip=(max(whole_number(request, "page", 1), 1) - 1) * limit,
    )
    events = [_shown(event) for event in found]
    return done(events) if store.rules.feed_envelope else json(events)


def _per_page(request: Request) -> int:
    wanted = whole_number(request, "per_page", MOST_EVENTS)
    return min(wanted, MOST_EVENTS) if wanted >= 1 else MOST_EVENTS


def _shown(event: Event) -> dict[str, Any]:
    own = {
        "id": event.id,
        "time": event.time,
        "type": event.type,
        "message": event.message,
        "sequence": event.sequence_id or "",
        "email": event.email,
    }
    return event.extra | own
