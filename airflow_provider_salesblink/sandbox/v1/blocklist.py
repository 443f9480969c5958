"""The blocklist of the key's user: ``/unsubscribe``."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_salesblink.sandbox.addresses import normalize_email
from airflow_provider_salesblink.sandbox.blocklist_store import BlockedEntry, User
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, page_of, text
from airflow_provider_salesblink.sandbox.v1.errors import V1Error

router = APIRouter(prefix=f"{PREFIX}/unsubscribe", route_class=V1Route, include_in_schema=False)

MOST_ENTRIES = 100


class BlocklistEntries(BaseModel):
    """Addresses and domains. A single text and the name ``email`` are accepted too: the vendor's tools send them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    emails: list[str] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _accept_tools(cls, body: Any) -> Any:  # noqa: ANN401  # a body is anything
        if not isinstance(body, dict):
            return body
        found = body.get("emails", body.get("email"))
        rest = {key: value for key, value in body.items() if key not in {"emails", "email"}}
        return {**rest, "emails": [found] if isinstance(found, str) else found}


@router.get("")
async def list_blocklist(request: Request) -> Response:
    """Return a page of the blocklist of the key's user. The entries of other users are not seen."""
    store = state_of(request).store
    page = page_of(request, most=MOST_ENTRIES, default=50)
    if page.skip % page.limit:
        raise V1Error(400, "skip must be a multiple of limit.")
    found = store.blocklist.entries(text(request, "search"), text(request, "type") or None, by=_user(request))
    entries = [_shown(entry) for entry in page.of(found)]
    if store.rules.blocklist_shape == "data":
        return done(entries)
    return done({store.rules.blocklist_shape.removeprefix("data."): entries, "total": len(found)})


@router.post("")
async def add_to_blocklist(request: Request, new: BlocklistEntries) -> Response:
    """Block addresses and domains for the key's user."""
    state_of(request).store.blocklist.add(new.emails, by=_user(request))
    return done(message="Added to the blocklist.")


@router.delete("")
async def clear_blocklist(request: Request) -> Response:
    """Remove all entries of the key's user. This cannot be undone."""
    state_of(request).store.blocklist.clear(by=_user(request))
    return done(message="The blocklist is empty.")


@router.post("/remove")
async def remove_from_blocklist(request: Request, old: BlocklistEntries) -> Response:
    """Unblock addresses and domains. Mail to them becomes possible again."""
    state_of(request).store.blocklist.remove(old.emails, by=_user(request))
    return done(message="Removed from the blocklist.")


@router.get("/check")
async def check_blocklist(request: Request) -> Response:
    """Return whether the key's user blocks an address."""
    store = state_of(request).store
    address = normalize_email(request.query_params.get("email", ""))
    if not address:
        raise V1Error(400, "A valid email is required.")
    keys = {address, address.rpartition("@")[2]} if store.rules.check_domain else {address}
    found = [_shown(entry) for entry in store.blocklist.entries(by=_user(request)) if entry.entry in keys]
    return done(**_answer_to_check(store.rules.check_shape, found))


@router.delete("/{entry_id:path}")
async def delete_blocklist_entry(request: Request, entry_id: str) -> Response:
    """Remove one entry of the key's user."""
    if not state_of(request).store.blocklist.remove_id(entry_id, by=_user(request)):
        raise V1Error(404, "Entry not found.")
    return done(message="Removed from the blocklist.")


def _user(request: Request) -> User:
    return state_of(request).user_of(request.headers["authorization"])


def _shown(entry: BlockedEntry) -> dict[str, Any]:
    return {"id": entry.id, "email": entry.entry, "type": entry.kind, "date_created": int(entry.created * 1000)}


def _answer_to_check(shape: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    answers: dict[str, dict[str, Any]] = {
        "data": {"data": {"blocked": bool(found)}},
        "bare": {"data": bool(found)},
        "blocked": {"blocked": bool(found)},
        "exists": {"exists": bool(found)},
        "array": {"data": found},
    }
    return answers[shape]
