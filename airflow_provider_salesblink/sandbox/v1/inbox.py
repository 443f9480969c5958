"""The shared inbox: ``/inbox``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from airflow_provider_salesblink.sandbox.event_store import REPLIED, SENT, Event, EventFilter, EventStore
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import Filter, success

router = APIRouter(prefix=PREFIX, route_class=CheckedRoute, tags=["Inbox"])

MOST_ITEMS = 100


class InboxQuery(BaseModel):
    """Which items to list. Replies by default."""

    type: Literal["draft", "scheduled", "sent"] | None = Field(None, description="Replies if it is left out.")
    sequence: Filter = None
    search: Filter = Field(None, description="Text in the address, subject or body.")
    date: str | None = Field(
        None, pattern="^[0-9]+-[0-9]+$", description="Two Unix milliseconds with a hyphen between."
    )
    sender: Filter = None
    limit: int = Field(10, ge=1, description="Items of a page. More than 100 gives 100.")
    skip: int = Field(0, ge=0, description="Items to leave out.")


@router.get("/inbox", operation_id="listInbox", summary="The shared inbox")
async def list_inbox(request: Request, wanted: Annotated[InboxQuery, Query()]) -> Response:
    """Return a page of the inbox, newest first. ``count`` counts unread replies, whatever the filters are."""
    events = EventStore(state_of(request).store.run)
    found = [_item(event) for event in _find(events, wanted)]
    matching = [item for item in found if (wanted.search or "").casefold() in _text(item)]
    page = matching[wanted.skip : wanted.skip + min(wanted.limit, MOST_ITEMS)]
    return success(
        {
            "totalCount": len(matching),
            "count": events.count(EventFilter(message=REPLIED)),
            "messageIDs": [item["messageId"] for item in page],
            "result": page,
        }
    )


def _find(events: EventStore, wanted: InboxQuery) -> list[Event]:
    if wanted.type in {"draft", "scheduled"}:
        return []  # the sandbox sends at once
    since, until = map(int, wanted.date.split("-")) if wanted.date else (None, None)
    matching = EventFilter(
        message=SENT if wanted.type else REPLIED,
        sequence_id=wanted.sequence,
        sender=wanted.sender,
        since=since,
        until=until,
    )
    return events.find(matching, newest_first=True)


def _item(event: Event) -> dict[str, Any]:
    is_reply = event.message == REPLIED
    return {
        "id": event.id,
        "messageId": f"<{event.id}@mail.example.com>",
        "task_type": "reply" if is_reply else "email",
        "email": event.email,
        "sequence": event.sequence_id or "",
        "completed": True,
        "completed_time": event.time,
        "scheduled_time": event.time,
        "unread": is_reply,
        "sender": event.extra["sender"],
        "data": {"email": {"subject": event.extra.get("subject", ""), "body": event.extra.get("body", "")}},
    }


def _text(item: dict[str, Any]) -> str:
    return " ".join([item["email"], *map(str, item["data"]["email"].values())]).casefold()
