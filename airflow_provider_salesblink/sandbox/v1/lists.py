"""Lists of leads: ``/lists``."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.contact_imports import remove_duplicates_within, remove_known_elsewhere
from airflow_provider_salesblink.sandbox.list_store import LeadList
from airflow_provider_salesblink.sandbox.records import Person
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.seeds import TEAM
from airflow_provider_salesblink.sandbox.store import Store
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import as_date_time, done, flag, page_of, require, text
from airflow_provider_salesblink.sandbox.v1.bodies import Archive, ListChange, NewList
from airflow_provider_salesblink.sandbox.v1.errors import V1Error
from airflow_provider_salesblink.sandbox.v1.lead_objects import lead_object, lead_status, matches

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

OWNERS = {"administrator": TEAM[0]["email"], "member": TEAM[1]["email"]}
LEAD_FILTERS = ("search", "status", "sequence")
STANDARD_COLUMNS = ("email", "first_name", "last_name", "phone", "company_name", "job_title")


@router.get("/lists")
async def list_lists(request: Request) -> Response:
    """Return the lists, those created last first."""
    found = [each for each in state_of(request).store.lists.all() if _is_wanted(request, each)]
    found.sort(key=lambda each: each.created, reverse=text(request, "sortType") != "asc")
    return done([list_object(state_of(request).store, each) for each in page_of(request, most=100).of(found)])


@router.post("/lists")
async def create_list(request: Request, new: NewList) -> Response:
    """Create a list. Several lists may have one name."""
    state = state_of(request)
    settings = new.given()
    added = state.store.lists.add(
        settings.pop("name"), owner=state.user_of(request.headers["authorization"]), **_storable(settings)
    )
    return done(list_object(state.store, added))


@router.get("/lists/{list_id:path}/leads")
async def list_leads(request: Request, list_id: str) -> Response:
    """Return the leads of a list. ``total`` counts only the page."""
    store = state_of(request).store
    require(store.lists.get(list_id), "List")
    shown = [lead_object(lead, store.rules) for lead in _page_of_leads(request, store, list_id)]
    return done({"contacts": shown, "total": len(shown)})


@router.get("/lists/{list_id:path}")
async def get_list(request: Request, list_id: str) -> Response:
    """Return one list."""
    store = state_of(request).store
    found = list_object(store, require(store.lists.get(list_id), "List"))
    return done([found] if store.rules.single_list == "array" else found)


@router.patch("/lists/{list_id:path}")
async def update_list(request: Request, list_id: str, change: ListChange) -> Response:
    """Change a list. Removing duplicates takes people out at once."""
    store, changes = state_of(request).store, change.given()
    found = own_list(request, list_id)
    with store.transaction():
        store.lists.update(found, _storable(changes))
        if changes.get("duplicate_removal"):
            remove_duplicates_within(store, list_id)
        if changes.get("duplicate_removal_other_list"):
            remove_known_elsewhere(store, [lead.id for lead in store.leads.on_list(list_id)])
    return done(list_object(store, require(store.lists.get(list_id), "List")))


@router.put("/lists/{list_id:path}/archive")
async def archive_list(request: Request, list_id: str, change: Archive) -> Response:
    """Archive or restore a list. No mail starts for an archived list."""
    own_list(request, list_id)
    state_of(request).store.lists.set_archived(list_id, archived=change.archived)
    return done()


def own_list(request: Request, list_id: str) -> LeadList:
    """Return a list that the key may change; answer 404 if it does not exist, and 403 if it belongs to someone else."""
    state, key = state_of(request), request.headers["authorization"]
    found = require(state.store.lists.get(list_id), "List")
    if not state.is_administrator(key) and found.owner != state.user_of(key):
        raise V1Error(403)
    return found


def _count(store: Store, list_id: str) -> dict[str, int]:
    if store.rules.list_count == "missing":
        return {}
    return {"contacts_count": store.lists.size(list_id, with_archived=store.rules.list_count == "all")}


def list_object(store: Store, found: LeadList) -> dict[str, Any]:
    """Return a list as the API shows it."""
    return {
        "id": found.id,
        "name": found.name,
        **_count(store, found.id),
        "starred": bool(found.settings.get("starred")),
        "archived": found.archived,
        "owned_by": OWNERS[found.owner],
        "last_modified": as_date_time(found.modified),
        "date_created": as_date_time(found.created),
        "fields": list(dict.fromkeys((*STANDARD_COLUMNS, *found.columns))),
    }


def _storable(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the real API ignores: ``archived``, and a name that is null."""
    return {name: value for name, value in settings.items() if name != "archived" and (name, value) != ("name", None)}


def _is_wanted(request: Request, found: LeadList) -> bool:
    # The real filters only work when they are true; archived lists are left out otherwise.
    wanted = found.archived == flag(request, "archived")
    wanted = wanted and (not flag(request, "starred") or bool(found.settings.get("starred")))
    wanted = wanted and text(request, "folder") in ("", str(found.settings.get("folder", "")).casefold())
    return wanted and text(request, "search") in found.name.casefold()


def _page_of_leads(request: Request, store: Store, list_id: str) -> list[Person]:
    page = page_of(request, most=100)
    archived = True if flag(request, "archived") else None if store.rules.archived_leads == "included" else False
    find = partial(store.leads.on_list, list_id, archived=archived, newest_first=text(request, "sort") == "desc")
    if not any(request.query_params.get(name) for name in LEAD_FILTERS):
        return find(limit=page.limit, skip=page.skip)
    return page.of([lead for lead in find(text=text(request, "search")) if _matches(request, store, lead)])


def _matches(request: Request, store: Store, lead: Person) -> bool:
    status, sequence_id = text(request, "status"), request.query_params.get("sequence")
    if status and lead_status(store, lead, sequence_id) != status:
        return False
    if sequence_id and sequence_id not in store.ledger.sequences_of(lead.id):
        return False
    return matches(lead, text(request, "search"))
