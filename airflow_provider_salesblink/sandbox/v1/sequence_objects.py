"""How the v1 API shows sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.event_store import (
    BOUNCED,
    CLICKED,
    OPENED,
    REPLIED,
    SENT,
    UNSUBSCRIBED,
    EventFilter,
)
from airflow_provider_salesblink.sandbox.seeds import TEAM

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.sequence_store import Sequence
    from airflow_provider_salesblink.sandbox.store import Store

COUNTERS = {"sent": SENT, "opens": OPENED, "clicks": CLICKED, "replies": REPLIED}
STATS = {
    "sent": SENT,
    "opens": OPENED,
    "link_clicks": CLICKED,
    "replies": REPLIED,
    "bounced": BOUNCED,
    "unsubscribed": UNSUBSCRIBED,
}
NEVER_COUNTED = ("scheduled", "pending", "outbox", "positive_replies", "errors")


def sequence_object(store: Store, found: Sequence) -> dict[str, Any]:
    """Return a sequence as the listing shows it. ``blocked`` is there only when it is true."""
    lists = {"lists": store.lists.of_campaign(found.id)} if store.rules.lists_in_listing else {}
    blocked = {"blocked": True} if found.status == "needs-attention" else {}
    return (
        {
            "id": found.id,
            "name": found.name,
            "paused": found.paused,
            "starred": bool(found.settings.get("starred")),
            "archived": found.archived,
            "owned_by": TEAM[0]["email"],
            "senders": found.settings.get("senders", ""),
            "date_created": int(found.created * 1000),
        }
        | _counts(store, found.id, COUNTERS)
        | lists
        | blocked
    )


def full_object(store: Store, found: Sequence) -> dict[str, Any]:
    """Return a sequence with its settings."""
    senders = [{"id": sender} for sender in found.settings.get("senders", "").split(",") if sender]
    defaults = {"launchTimingMode": "now", "evergreen": False, "steps": []}
    own = sequence_object(store, found) | {"lists": store.lists.of_campaign(found.id), "emailSenders": senders}
    return defaults | found.settings | own


def stats_object(store: Store, found: Sequence) -> dict[str, Any]:
    """Return the lifetime totals of a sequence."""
    return (
        {"leads": store.ledger.size(found.id), "owned_by": TEAM[0]["email"]}
        | _counts(store, found.id, STATS)
        | dict.fromkeys(NEVER_COUNTED, 0)
    )


def _counts(store: Store, sequence_id: str, messages: dict[str, str]) -> dict[str, int]:
    return {
        name: store.events.count(EventFilter(sequence_id=sequence_id, message=message))
        for name, message in messages.items()
    }
