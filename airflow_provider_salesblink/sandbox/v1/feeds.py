"""What happened to people: ``/sent``, ``/opens``, ``/clicks``, ``/replies`` and ``/reports``."""

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.event_store import Event, EventFilter, Order
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import as_date_time, done, json, page_of, text, whole_number
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from airflow_provider_salesblink.sandbox.v1.windows import events_wanted, given

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

MOST_EVENTS = 100
_DIRECTIONS: dict[str, Order] = {"asc": "oldest", "desc": "newest"}


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
    order = _DIRECTIONS.get(text(request, "sortType"), store.rules.feed_order)
    return done(_page(request, wanted, order, page.skip, page.limit))


def _feed(request: Request, message: str) -> Response:
    """Return a page of the events with this message, as a bare array. Its number counts from 1."""
    rules = state_of(request).store.rules
    email, sequence_id = given(request, "recipient_email_address"), given(request, "sequence_id")
    wanted = events_wanted(request, message=message, email=email, sequence_id=sequence_id)
    index = max(whole_number(request, "page", 1), 1) - 1
    events = _page(request, wanted, rules.feed_order, index, _per_page(request))
    return done(events) if rules.feed_envelope else json(events)


def _per_page(request: Request) -> int:
    wanted = whole_number(request, "per_page", MOST_EVENTS)
    return min(wanted, MOST_EVENTS) if wanted >= 1 else MOST_EVENTS


def _page(request: Request, wanted: EventFilter, order: Order, index: int, limit: int) -> list[dict[str, Any]]:
    """Return the events on a page, whose index counts from 0."""
    state = state_of(request)
    rules, events = state.store.rules, state.store.events
    state.event_pages += 1
    if rules.feed_moves and state.event_pages % rules.feed_moves == 0:
        events.let_arrive(wanted, order=order)
    skip = index * limit - _repeated(index, limit, rules.feed_repeats)
    found = events.find(wanted, order=order, shuffle=state.event_pages, limit=limit, skip=skip)
    return [_shown(event, rules) for event in found]


def _repeated(index: int, limit: int, every: int) -> int:
    """Return how many events the pages up to this one repeat: no event is skipped, as the next pages move too."""
    return index // every if every and limit > 1 else 0  # pages of one event would never end


def _shown(event: Event, rules: V1Rules) -> dict[str, Any]:
    own = {
        "id": event.id,
        "time": event.time if rules.event_time == "ms" else as_date_time(event.time / 1000),
        "type": event.type,
        "message": event.message,
        rules.event_sequence: event.sequence_id or "",
        "email": event.email,
    }
    lead = {} if rules.feed_lead == "none" else {rules.feed_lead: event.lead_id}
    return event.extra | own | lead
