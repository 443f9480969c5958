"""How the v1 API shows leads."""

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
from airflow_provider_salesblink.sandbox.lead_columns import to_snake_case
from airflow_provider_salesblink.sandbox.seeds import TEAM

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.event_store import Event, Totals
    from airflow_provider_salesblink.sandbox.records import Person
    from airflow_provider_salesblink.sandbox.store import Store
    from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

STANDARD = ("email", "first_name", "last_name", "phone", "company_name", "job_title")
NAMES = ("first_name", "last_name", "company_name")
# The state of a lead in a sequence, after the event of the name; what comes later in this list counts more.
STATUSES = {
    SENT: "contacted",
    OPENED: "opened",
    CLICKED: "clicked",
    REPLIED: "replied",
    BOUNCED: "bounced",
    UNSUBSCRIBED: "unsubscribed",
}
NOT_CONTACTED = "not_contacted"
_RANKS = {status: rank for rank, status in enumerate((NOT_CONTACTED, *STATUSES.values()))}
# Where they stand in an answer, no column of a user may replace them.
OWN_FIELDS = ("id", "list_id", "owned_by", "archived", "accuracy")


def lead_object(lead: Person, rules: V1Rules) -> dict[str, Any]:
    """Return a lead as the lists show it."""
    columns = to_snake_case(lead.fields)
    own = {"id": lead.id, "list_id": lead.list_id, "owned_by": TEAM[0]["email"], "archived": lead.archived}
    custom = {name: value for name, value in columns.items() if name not in (*STANDARD, *OWN_FIELDS)}
    shown = {name: text_of(columns[name]) for name in STANDARD if name in columns}
    if rules.lead_columns == "flat":
        shown |= custom
    if rules.lead_case == "title":
        shown = {"_".join(word.capitalize() for word in name.split("_")): value for name, value in shown.items()}
    return {**shown, **own} | ({"custom_fields": custom} if rules.lead_columns == "custom_fields" else {})


def short_object(lead: Person) -> dict[str, Any]:
    """Return a lead as its history shows it."""
    return {"id": lead.id, "email": lead.email} | names_of(lead)


def names_of(lead: Person | None) -> dict[str, str | None]:
    """Return the names of a lead; each is None if it has none."""
    columns = to_snake_case(lead.fields) if lead else {}
    return {name: text_of(columns[name]) if columns.get(name) is not None else None for name in NAMES}


def text_of(value: Any) -> str:  # noqa: ANN401  # the classic API stores any JSON
    """Return the value of a standard column, which the v1 API shows as a text."""
    return value if isinstance(value, str) else str(value)


def matches(lead: Person, search: str) -> bool:
    """Return whether the address or a name contains the text, ignoring case."""
    columns = to_snake_case(lead.fields)
    return any(search in text_of(columns.get(name, "")).casefold() for name in ("email", *NAMES))


def lead_status(store: Store, lead: Person, sequence_id: str | None) -> str:
    """Return the state of a lead in one sequence or, without one, the most advanced state in any."""
    if lead.unsubscribed:
        return STATUSES[UNSUBSCRIBED]
    return status_after(store.events.total(EventFilter(lead_id=lead.id, sequence_id=sequence_id)))


def status_after(totals: Totals) -> str:
    """Return the state of a lead after the events that these totals count."""
    reached = [STATUSES[message] for message in totals.counts if message in STATUSES]
    return max(reached, key=_RANKS.__getitem__, default=NOT_CONTACTED)


def event_object(store: Store, event: Event) -> dict[str, Any]:
    """Return an event as the history of a lead shows it."""
    campaign = store.campaign(event.sequence_id or "")
    return {
        "id": event.id,
        "time": event.time,
        "type": event.type,
        "message": event.message,
        "email": event.email,
        "sequence_id": event.sequence_id,
        "sequence_name": campaign.name if campaign else None,
    } | event.extra
