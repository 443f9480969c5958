"""The leads of a sequence: ``/sequences/{id}/leads`` and the CSV export."""

import csv
import io
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.event_store import REPLIED, SENT, EventFilter, Totals
from airflow_provider_salesblink.sandbox.lead_columns import to_snake_case
from airflow_provider_salesblink.sandbox.records import Person
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.store import Store
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import LARGEST, Page, done, page_of, require, text
from airflow_provider_salesblink.sandbox.v1.lead_objects import STANDARD, event_object, names_of, status_after
from airflow_provider_salesblink.sandbox.v1.leads import activity_filter

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

MOST_EXPORTED = 50_000
EVERYTHING = Page(limit=LARGEST, skip=0)


@router.get("/sequences/{sequence_id:path}/leads")
async def list_leads(request: Request, sequence_id: str) -> Response:
    """Return the people that the sequence has planned tasks for, each with the state in the sequence."""
    store = state_of(request).store
    require(store.sequences.get(sequence_id), "Sequence")
    wanted = text(request, "status")
    page = page_of(request, most=500)
    if wanted:
        found = [found for found, _ in _leads(store, sequence_id) if found["status"] == wanted]
        return done(page.of(found), **page.fields(found))
    found = [found for found, _ in _leads(store, sequence_id, page)]
    return done(found, count=len(found), total=_size(store, sequence_id), skip=page.skip, limit=page.limit)


@router.get("/sequences/{sequence_id:path}/export")
async def export_leads(request: Request, sequence_id: str) -> Response:
    """Return the leads of a sequence as CSV, cut at the limit without a word."""
    store = state_of(request).store
    require(None if store.rules.export == "none" else store.sequences.get(sequence_id), "Sequence")
    page = Page(page_of(request, most=MOST_EXPORTED, default=10_000).limit, skip=0)
    leads = _leads(store, sequence_id, page)
    rows = [(to_snake_case(lead.fields) if lead else {}) | found for found, lead in leads]
    headings = dict.fromkeys((*STANDARD, "status", "lead_id", *(name for row in rows for name in row)))
    if store.rules.export == "no_state":
        headings.pop("status")
    written = io.StringIO()
    writer = csv.DictWriter(written, list(headings), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return Response(written.getvalue().encode("utf-8", "replace"), media_type="text/csv; charset=utf-8")


@router.get("/sequences/{sequence_id:path}/leads/{lead_id:path}/messages")
async def list_messages(request: Request, sequence_id: str, lead_id: str) -> Response:
    """Return the messages to and from a lead in a sequence."""
    store = state_of(request).store
    _require_lead(store, sequence_id, lead_id)
    events = store.events.find(activity_filter(request, lead_id, sequence_id))
    messages = [event_object(store, event) for event in events if event.message in (SENT, REPLIED)]
    page = page_of(request, most=500)
    fields = {name: value for name, value in page.fields(messages).items() if name != "total"}
    return done(page.of(messages), **fields)


@router.post("/sequences/{sequence_id:path}/leads/{lead_id:path}/unsubscribe")
async def remove_lead(request: Request, sequence_id: str, lead_id: str) -> Response:
    """Take a lead out of this sequence only. It does not come onto the blocklist."""
    store = state_of(request).store
    lead = _require_lead(store, sequence_id, lead_id)
    store.ledger.remove(sequence_id, lead_id, lead.email)
    return done()


def _require_lead(store: Store, sequence_id: str, lead_id: str) -> Person:
    require(store.sequences.get(sequence_id), "Sequence")
    found = require(store.leads.get(lead_id), "Lead")
    in_sequence = found.list_id in store.lists.of_campaign(sequence_id) or sequence_id in store.ledger.sequences_of(
        lead_id
    )
    return require(found if in_sequence else None, "Lead")


def _leads(store: Store, sequence_id: str, page: Page = EVERYTHING) -> list[tuple[dict[str, Any], Person | None]]:
    return [
        (_lead(lead_id, email, lead, store.events.total(EventFilter(lead_id=lead_id, sequence_id=sequence_id))), lead)
        for lead_id, email, lead in _people(store, sequence_id, page)
    ]


def _people(store: Store, sequence_id: str, page: Page) -> list[tuple[str, str, Person | None]]:
    if store.ledger.has_run(sequence_id):
        return store.leads.planned(sequence_id, limit=page.limit, skip=page.skip)
    return [(lead.id, lead.email, lead) for lead in page.of(_before_the_first_run(store, sequence_id))]


def _size(store: Store, sequence_id: str) -> int:
    if store.ledger.has_run(sequence_id):
        return store.ledger.size(sequence_id)
    return len(_before_the_first_run(store, sequence_id))


def _before_the_first_run(store: Store, sequence_id: str) -> list[Person]:
    return store.leads.of_campaign(sequence_id) if store.rules.unran_lists_leads else []


def _lead(lead_id: str, email: str, lead: Person | None, totals: Totals) -> dict[str, Any]:
    status = "unsubscribed" if lead and lead.unsubscribed else status_after(totals)
    found = {"lead_id": lead_id if lead else None, "email": lead.email if lead else email, "status": status}
    return found | names_of(lead) | ({"last_task_time": totals.last} if totals.counts else {})
