"""The shared inbox: ``/inbox``."""

import re
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.event_store import REPLIED, SENT, Event, EventFilter
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, page_of, text
from airflow_provider_salesblink.sandbox.v1.windows import given

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

MOST_ITEMS = 100
DATE = re.compile(r"(\d{1,15})-(\d{1,15})")


@router.get("/inbox")
async def list_inbox(request: Request) -> Response:
    """Return a page of the inbox, newest first. ``count`` counts unread replies, whatever the filters are."""
    found = [item for item in map(_item, _find(request)) if text(request, "search") in _text(item)]
    page = page_of(request, most=MOST_ITEMS, default=10).of(found)
    return done(
        {
            "totalCount": len(found),
            "count": state_of(request).store.events.count(EventFilter(message=REPLIED)),
            "messageIDs": [item["messageId"] for item in page],
            "result": page,
        }
    )


def _find(request: Request) -> list[Event]:
    kind, date = text(request, "type"), DATE.fullmatch(request.query_params.get("date", ""))
    if kind in {"draft", "scheduled"}:
        return []  # the sandbox sends at once
    matching = EventFilter(
        message=SENT if kind == "sent" else REPLIED,
        sequence_id=given(request, "sequence"),
        sender=given(request, "sender"),
        since=int(date[1]) if date else None,
        until=int(date[2]) if date else None,
    )
    return state_of(request).store.events.find(matching, order="newest")


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
