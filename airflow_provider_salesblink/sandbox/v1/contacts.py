"""Adding, removing and archiving contacts: ``/contacts``."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.addresses import find_email, normalize_email
from airflow_provider_salesblink.sandbox.lead_columns import classic_name, is_snake_case
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, require
from airflow_provider_salesblink.sandbox.v1.bodies import Archive, ContactAddress, NewContacts
from airflow_provider_salesblink.sandbox.v1.errors import V1Error
from airflow_provider_salesblink.sandbox.v1.lists import own_list

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
NOT_COLUMNS = ("starred",)  # a setting of the contact


@router.post("/contacts")
async def add_contacts(request: Request, new: NewContacts) -> Response:
    """Accept contacts. They appear on the list later; invalid ones among valid ones never do."""
    state = state_of(request)
    own_list(request, new.list_id)
    if state.store.rules.columns == "snake_case":
        _refuse_other_names(new.contacts)
    contacts = [_columns(contact) for contact in new.contacts]
    valid = [contact for contact in contacts if ADDRESS.fullmatch(find_email(contact).strip())]
    if not valid:
        raise V1Error(400, "No valid contacts were found. Each contact needs a valid email.")
    state.imports.accept(new.list_id, valid, remove_duplicates=new.remove_duplicates)
    return done()


@router.post("/contacts/remove")
async def remove_contact(request: Request, contact: ContactAddress) -> Response:
    """Remove all leads of an address from a list."""
    store = state_of(request).store
    own_list(request, contact.list_id)
    address = normalize_email(contact.email)
    found = [lead for lead in store.leads.on_list(contact.list_id) if normalize_email(lead.email) == address]
    if not found:
        raise V1Error(404, "Contact not found in this list.")
    for lead in found:
        store.leads.delete(lead.id)
    return done()


@router.put("/contacts/{contact_id}/archive")
async def archive_contact(request: Request, contact_id: str, change: Archive) -> Response:
    """Archive or restore the lead with a database id of 24 digits. No mail starts for an archived lead."""
    if not re.fullmatch("[0-9a-fA-F]{24}", contact_id):
        raise V1Error(400, "The id must have 24 hexadecimal digits.")
    store = state_of(request).store
    found = require(store.leads.with_database_id(contact_id), "Contact")
    store.leads.set_archived(found.id, archived=change.archived)
    return done()


def _columns(contact: Mapping[str, Any]) -> dict[str, Any]:
    return {classic_name(name): value for name, value in contact.items() if name not in NOT_COLUMNS}


def _refuse_other_names(contacts: Iterable[Mapping[str, Any]]) -> None:
    names = sorted({name for contact in contacts for name in contact if not is_snake_case(name)})
    if names:
        raise V1Error(400, f"Field names must be in snake_case: {', '.join(names)}")
