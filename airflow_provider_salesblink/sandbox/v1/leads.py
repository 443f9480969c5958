"""Single leads and their history: ``/leads``."""

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.event_store import EventFilter
from airflow_provider_salesblink.sandbox.lead_columns import is_snake_case, merge
from airflow_provider_salesblink.sandbox.records import Person
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, page_of, require
from airflow_provider_salesblink.sandbox.v1.bodies import LeadMove
from airflow_provider_salesblink.sandbox.v1.contacts import ADDRESS, NOT_COLUMNS
from airflow_provider_salesblink.sandbox.v1.errors import V1Error
from airflow_provider_salesblink.sandbox.v1.lead_objects import event_object, short_object
from airflow_provider_salesblink.sandbox.v1.windows import events_wanted

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

SYSTEM_FIELDS = (
    *("_id", "id", "list_id", "account_id", "user_id", "accuracy", "provider", "custom_fields", "removed_sequences"),
    *("verification_required", "archive_invalid_contacts", "archive_risky_contacts", "processing", "completed"),
    *("completedAt", "last_modified", "created_date", "verification_blocked", "didOpen", "didClick", "didReply"),
    *("contactStats", "retryCount", "esg_name", "archived", "deleted"),
)


@router.get("/leads/activity")
async def get_activity_by_email(request: Request) -> Response:
    """Return the history of an address: of one of its leads, if there are several."""
    store = state_of(request).store
    email = request.query_params.get("email", "").strip()
    if not ADDRESS.fullmatch(email):
        raise V1Error(400, "A valid email is required.")
    found = store.leads.with_address(email)
    if not found:
        raise V1Error(404, "Lead not found.")
    return _activity(request, found[0 if store.rules.activity_lead == "oldest" else -1])


@router.get("/leads/{lead_id:path}/activity")
async def get_activity(request: Request, lead_id: str) -> Response:
    """Return the history of a lead."""
    return _activity(request, require(state_of(request).store.leads.get(lead_id), "Lead"))


@router.patch("/leads/{lead_id:path}")
async def update_lead(request: Request, lead_id: str, changes: dict[str, Any]) -> Response:
    """Change columns of a lead. An address is lowercased."""
    store = state_of(request).store
    found = require(store.leads.get(lead_id), "Lead")
    _check_changes(changes, any_name=store.rules.columns == "any")
    if "email" in changes:
        changes["email"] = changes["email"].strip().lower()
    columns = {name: value for name, value in changes.items() if name not in NOT_COLUMNS}
    store.leads.set_fields(found, merge(found.fields, columns))
    return done(changes)


@router.put("/leads/{lead_id:path}/move")
async def move_lead(request: Request, lead_id: str, move: LeadMove) -> Response:
    """Move a lead to another list. It starts in the running sequences of that list."""
    store = state_of(request).store
    found = require(store.leads.get(lead_id), "Lead")
    require(store.lists.get(move.list_id), "List")
    with store.transaction():
        store.leads.move(found, move.list_id)
        store.ledger.enter(lead_id, "moved")
    return done()


@router.post("/leads/{lead_id:path}/unsubscribe")
async def unsubscribe_lead(request: Request, lead_id: str) -> Response:
    """Unsubscribe a lead everywhere, and put its address on the blocklist."""
    found = require(state_of(request).store.unsubscribe(lead_id), "Lead")
    return done({"lead_id": found.id, "email": found.email, "deleted_tasks": 0})


def activity_filter(request: Request, lead_id: str, sequence_id: str | None) -> EventFilter:
    """Return the filter for the events of a lead in the window that a request asks for."""
    return events_wanted(request, lead_id=lead_id, sequence_id=sequence_id)


def _activity(request: Request, lead: Person) -> Response:
    store = state_of(request).store
    events = store.events.find(
        activity_filter(request, lead.id, request.query_params.get("sequence_id")), order="newest"
    )
    page = page_of(request, most=500)
    shown = [event_object(store, event) for event in page.of(events)]
    return done(shown, lead=short_object(lead), **page.fields(events))


def _check_changes(changes: dict[str, Any], *, any_name: bool) -> None:
    if not changes:
        raise V1Error(400, "No fields to update.")
    for name in changes:
        if name in SYSTEM_FIELDS:
            raise V1Error(400, f"The field {name} cannot be changed.")
        if not any_name and not is_snake_case(name):
            raise V1Error(400, f"Field names must be in snake_case: {name}")
    email = changes.get("email", "a@example.com")
    if not isinstance(email, str) or not ADDRESS.fullmatch(email.strip()):
        raise V1Error(400, "The email is not valid.")
