"""What happened to people: ``/sent``, ``/opens``, ``/clicks``, ``/replies`` and ``/reports``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from airflow_provider_salesblink.sandbox import event_store
from airflow_provider_salesblink.sandbox.event_store import Event, EventFilter, EventStore
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import Filter, Window, json_answer, success

router = APIRouter(prefix=PREFIX, route_class=CheckedRoute)

MOST_EVENTS = 100


class FeedQuery(Window):
    """Which events of a feed to return."""

    per_page: int = Field(100, ge=1, description="Events of a page. More than 100 gives 100.")
    page: int = Field(1, ge=1, description="Number of the page, from 1.")
    sequence_id: Filter = None
    recipient_email_address: Filter = None
    older_since: int | None = Field(None, alias="since", description="As from, kept for older clients.")

    def earliest(self) -> int | None:
        """Return the later one of the two lower bounds."""
        return max((at for at in (self.since, self.older_since) if at is not None), default=None)


class ReportQuery(Window):
    """Which events of the log to return."""

    limit: int = Field(100, ge=1, description="Events of a page. More than 100 gives 100.")
    skip: int = Field(0, ge=0, description="Number of the page, from 0. It does not count events.")
    type: Filter = None
    sequence: Filter = None
    node: Filter = None
    email: Filter = None
    sender: Filter = None
    message: Filter = None
    direction: Literal["asc", "desc"] | None = Field(None, alias="sortType", description="Oldest or newest first.")


@router.get("/sent", operation_id="listSent", tags=["Activity"], summary="Mails sent")
async def list_sent(request: Request, wanted: Annotated[FeedQuery, Query()]) -> Response:
    """Return a page of the mails sent, as a bare array."""
    return _feed(request, event_store.SENT, wanted)


@router.get("/opens", operation_id="listOpens", tags=["Activity"], summary="Opens")
async def list_opens(request: Request, wanted: Annotated[FeedQuery, Query()]) -> Response:
    """Return a page of the opens, as a bare array."""
    return _feed(request, event_store.OPENED, wanted)


@router.get("/clicks", operation_id="listClicks", tags=["Activity"], summary="Clicks")
async def list_clicks(request: Request, wanted: Annotated[FeedQuery, Query()]) -> Response:
    """Return a page of the clicks, as a bare array."""
    return _feed(request, event_store.CLICKED, wanted)


@router.get("/replies", operation_id="listReplies", tags=["Activity"], summary="Replies")
async def list_replies(request: Request, wanted: Annotated[FeedQuery, Query()]) -> Response:
    """Return a page of the replies, as a bare array."""
    return _feed(request, event_store.REPLIED, wanted)


@router.get("/reports", operation_id="listReports", tags=["Reports"], summary="All events")
async def list_reports(request: Request, wanted: Annotated[ReportQuery, Query()]) -> Response:
    """Return a page of the event log. ``skip`` is a page number, which the server multiplies by ``limit``."""
    matching = EventFilter(
        **wanted.model_dump(include={"type", "message", "email", "node", "sender"}),
        sequence_id=wanted.sequence,
        **_window(request, wanted.since, wanted.until),
    )
    limit = min(wanted.limit, MOST_EVENTS)
    newest_first = wanted.direction == "desc" if wanted.direction else _newest_first(request)
    found = _events(request).find(matching, newest_first=newest_first, limit=limit, skip=wanted.skip * limit)
    return success([shown(event) for event in found])


def shown(event: Event) -> dict[str, Any]:
    """Return an event as feeds and reports show it."""
    own = {
        "id": event.id,
        "time": event.time,
        "type": event.type,
        "message": event.message,
        "sequence": event.sequence_id or "",
        "email": event.email,
    }
    return {**event.extra, **own}


def _feed(request: Request, message: str, wanted: FeedQuery) -> Response:
    matching = EventFilter(
        message=message,
        email=wanted.recipient_email_address,
        sequence_id=wanted.sequence_id,
        **_window(request, wanted.earliest(), wanted.until),
    )
    limit = min(wanted.per_page, MOST_EVENTS)
    found = _events(request).find(
        matching, newest_first=_newest_first(request), limit=limit, skip=(wanted.page - 1) * limit
    )
    events = [shown(event) for event in found]
    return success(events) if state_of(request).v1.feed_envelope else json_answer(events)


def _events(request: Request) -> EventStore:
    return EventStore(state_of(request).store.run)


def _newest_first(request: Request) -> bool:
    return state_of(request).v1.feed_order == "newest"


def _window(request: Request, since: int | None, until: int | None) -> dict[str, Any]:
    return {"since": since, "until": until, "until_is_included": state_of(request).v1.to_inclusive}
