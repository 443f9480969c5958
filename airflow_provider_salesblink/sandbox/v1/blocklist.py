"""The blocklist of the key's user: ``/unsubscribe``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_salesblink.sandbox.addresses import normalize_email
from airflow_provider_salesblink.sandbox.blocklist_store import BlockedEntry, BlocklistStore, User
from airflow_provider_salesblink.sandbox.errors import ApiError
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import Filter, success
from airflow_provider_salesblink.sandbox.v1.team import is_administrator

router = APIRouter(prefix=f"{PREFIX}/unsubscribe", route_class=CheckedRoute, tags=["Blocklist"])

MOST_ENTRIES = 100


class BlocklistQuery(BaseModel):
    """Which entries to list."""

    limit: int = Field(50, ge=1, description="Entries of a page. More than 100 gives 100.")
    skip: int = Field(0, ge=0, description="Entries to leave out, a multiple of limit.")
    search: Filter = Field(None, description="Text that an entry contains.")
    type: Literal["email", "domain"] | None = Field(None, description="Only addresses, or only domains.")


class BlocklistEntries(BaseModel):
    """Addresses and domains. A single text and the name ``email`` are accepted too: the vendor's tools send them."""

    model_config = ConfigDict(extra="forbid")

    emails: list[str] = Field(min_length=1, description="Addresses and domains, mixed.", examples=[["example.org"]])

    @model_validator(mode="before")
    @classmethod
    def _accept_tools(cls, body: Any) -> Any:  # noqa: ANN401  # a body is anything
        if not isinstance(body, dict):
            return body
        found = body.get("emails", body.get("email"))
        rest = {key: value for key, value in body.items() if key not in {"emails", "email"}}
        return {**rest, "emails": [found] if isinstance(found, str) else found}


@router.get("", operation_id="listBlocklist", summary="Blocked addresses and domains")
async def list_blocklist(request: Request, wanted: Annotated[BlocklistQuery, Query()]) -> Response:
    """Return a page of the blocklist of the key's user. The entries of other users are not seen."""
    limit = min(wanted.limit, MOST_ENTRIES)
    if wanted.skip % limit:
        raise ApiError(400, "skip must be a multiple of limit.")
    found = _blocklist(request).entries(wanted.search, wanted.type, by=_user(request))
    return _listed(request, [_shown(entry) for entry in found[wanted.skip : wanted.skip + limit]], len(found))


@router.post("", operation_id="addToBlocklist", summary="Block addresses and domains")
async def add_to_blocklist(request: Request, new: BlocklistEntries) -> Response:
    """Block addresses and domains for the key's user."""
    _blocklist(request).add(new.emails, by=_user(request))
    return success(message="Added to the blocklist.")


@router.delete("", operation_id="clearBlocklist", summary="Empty the blocklist")
async def clear_blocklist(request: Request) -> Response:
    """Remove all entries of the key's user. This cannot be undone."""
    _blocklist(request).clear(by=_user(request))
    return success(message="The blocklist is empty.")


@router.post("/remove", operation_id="removeFromBlocklist", summary="Unblock addresses and domains")
async def remove_from_blocklist(request: Request, old: BlocklistEntries) -> Response:
    """Unblock addresses and domains. Mail to them becomes possible again."""
    _blocklist(request).remove(old.emails, by=_user(request))
    return success(message="Removed from the blocklist.")


@router.get("/check", operation_id="checkBlocklist", summary="Whether an address is blocked")
async def check_blocklist(
    request: Request, email: Annotated[str, Query(description="The address to look up.")]
) -> Response:
    """Return whether the key's user blocks an address."""
    rules = state_of(request).v1
    address = normalize_email(email)
    keys = {address, address.rpartition("@")[2]} if rules.check_domain else {address}
    found = [_shown(entry) for entry in _blocklist(request).entries(by=_user(request)) if entry.entry in keys]
    blocked = bool(found)
    answers: dict[str, dict[str, Any]] = {
        "data": {"data": {"blocked": blocked}},
        "bare": {"data": blocked},
        "blocked": {"blocked": blocked},
        "exists": {"exists": blocked},
        "array": {"data": found},
    }
    return success(**answers[rules.check_shape])


@router.delete("/{id}", operation_id="deleteBlocklistEntry", summary="Unblock one entry")
async def delete_blocklist_entry(
    request: Request, entry_id: Annotated[str, Path(alias="id", description="The id of the entry.")]
) -> Response:
    """Remove one entry of the key's user."""
    if not _blocklist(request).remove_id(entry_id, by=_user(request)):
        raise ApiError(404)
    return success(message="Removed from the blocklist.")


def _blocklist(request: Request) -> BlocklistStore:
    return BlocklistStore(state_of(request).store.run)


def _user(request: Request) -> User:
    return "administrator" if is_administrator(request) else "member"


def _listed(request: Request, entries: list[dict[str, Any]], total: int) -> Response:
    shape = state_of(request).v1.blocklist_shape
    if shape == "data":
        return success(entries)
    return success({"entries" if shape == "entries" else "data": entries, "total": total})


def _shown(entry: BlockedEntry) -> dict[str, Any]:
    return {"id": entry.id, "email": entry.entry, "type": entry.kind, "date_created": int(entry.created * 1000)}
