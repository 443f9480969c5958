"""Sequences: ``/sequences``."""

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.records import StartReason
from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.sequence_store import Sequence
from airflow_provider_salesblink.sandbox.store import Store
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done, flag, page_of, require, text
from airflow_provider_salesblink.sandbox.v1.bodies import Archive, NewSequence, SequenceChange, StatusChange
from airflow_provider_salesblink.sandbox.v1.errors import V1Error
from airflow_provider_salesblink.sandbox.v1.sequence_objects import full_object, sequence_object, stats_object

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)

# A change of anything else plans the tasks of the sequence again.
PLAIN_FIELDS = frozenset({"name", "starred", "folder"})
NOT_SETTINGS = frozenset({"name", "lists", "paused"})


@router.get("/sequences")
async def list_sequences(request: Request) -> Response:
    """Return the sequences, those created last first. Archived ones are left out unless the request asks for them."""
    store = state_of(request).store
    found = [each for each in store.sequences.all() if _is_wanted(request, each)]
    if text(request, "sortType") != "asc":
        found.reverse()
    return done([sequence_object(store, each) for each in page_of(request, most=100).of(found)])


@router.post("/sequences")
async def create_sequence(request: Request, new: NewSequence) -> Response:
    """Create a sequence, which is paused unless the request says otherwise."""
    store, given = state_of(request).store, new.given()
    _require_lists(store, new.lists)
    with store.transaction():
        added = store.add_campaign(new.name, paused=True, id=str(uuid.uuid4()), lists=new.lists)
        store.sequences.update(require(store.sequences.get(added.id), "Sequence"), settings=_settings(given))
        if given.get("paused") is False:
            store.set_paused(added.id, paused=False)
    created = require(store.sequences.get(added.id), "Sequence")
    data = {"id": created.id, "name": created.name, "paused": created.paused}
    return done(data | {"date_created": int(created.created * 1000)})


@router.get("/sequences/{sequence_id:path}/stats")
async def get_stats(request: Request, sequence_id: str) -> Response:
    """Return the lifetime totals of a sequence."""
    store = state_of(request).store
    return done(stats_object(store, require(store.sequences.get(sequence_id), "Sequence")))


@router.get("/sequences/{sequence_id:path}")
async def get_sequence(request: Request, sequence_id: str) -> Response:
    """Return one sequence with its settings."""
    store = state_of(request).store
    return done(full_object(store, require(store.sequences.get(sequence_id), "Sequence")))


@router.patch("/sequences/{sequence_id:path}")
async def update_sequence(request: Request, sequence_id: str, change: SequenceChange) -> Response:
    """Change, pause or resume a sequence. Most changes of a running sequence plan its tasks again."""
    store, changes = state_of(request).store, change.given()
    found = require(store.sequences.get(sequence_id), "Sequence")
    if not changes:
        raise V1Error(400, "No fields to update.")
    _require_lists(store, change.lists or ())
    with store.transaction():
        store.sequences.update(found, name=change.name, settings=_settings(changes))
        if change.lists:
            store.lists.attach(sequence_id, change.lists)
        if change.paused is not None and change.paused != found.paused:
            store.set_paused(sequence_id, paused=change.paused)
        elif not PLAIN_FIELDS.issuperset(changes):
            _plan_again(store, sequence_id, "attached" if change.lists else "re-planned")
    return done(full_object(store, require(store.sequences.get(sequence_id), "Sequence")))


@router.post("/sequences/{sequence_id:path}/status")
async def set_status(request: Request, sequence_id: str, change: StatusChange) -> Response:
    """Start, pause, stop or archive a sequence."""
    store = state_of(request).store
    require(store.sequences.get(sequence_id), "Sequence")
    if change.status == "ARCHIVED":
        store.sequences.set_archived(sequence_id, archived=True)
    elif change.status != "ACTIVE":
        store.set_paused(sequence_id, paused=True)
    elif store.rules.active_alone:
        store.set_paused(sequence_id, paused=False)
    return done({"sequence_id": sequence_id, "status": change.status})


@router.put("/sequences/{sequence_id:path}/archive")
async def archive_sequence(request: Request, sequence_id: str, change: Archive) -> Response:
    """Archive a sequence, which pauses it, or restore it."""
    store = state_of(request).store
    require(store.sequences.get(sequence_id), "Sequence")
    store.sequences.set_archived(sequence_id, archived=change.archived)
    return done()


@router.post("/sequences/{sequence_id:path}/clone")
async def clone_sequence(request: Request, sequence_id: str) -> Response:
    """Make a paused copy of a sequence."""
    store = state_of(request).store
    found = require(store.sequences.get(sequence_id), "Sequence")
    lists = store.lists.of_campaign(sequence_id) if store.rules.clone_keeps_lists else []
    with store.transaction():
        added = store.add_campaign(f"{found.name} (copy)", paused=True, id=str(uuid.uuid4()), lists=lists)
        store.sequences.update(require(store.sequences.get(added.id), "Sequence"), settings=found.settings)
    return done({"clonedSequenceId": added.id})


def _plan_again(store: Store, sequence_id: str, reason: StartReason) -> None:
    if store.rules.replan_starts_again:
        store.ledger.plan_again(sequence_id)
    else:
        store.ledger.plan(sequence_id, reason)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in NOT_SETTINGS and value is not None}


def _require_lists(store: Store, list_ids: list[str] | tuple[str, ...]) -> None:
    for list_id in list_ids:
        if store.lists.get(list_id) is None:
            raise V1Error(400, f"The list {list_id} does not exist.")


def _is_wanted(request: Request, found: Sequence) -> bool:
    # The real filters only work when they are true.
    wanted = found.archived if flag(request, "archived") else not found.archived or flag(request, "sendAll")
    wanted = wanted and (not flag(request, "starred") or bool(found.settings.get("starred")))
    wanted = wanted and text(request, "status") in ("", found.status)
    wanted = wanted and text(request, "folder") in ("", str(found.settings.get("folder", "")).casefold())
    return wanted and text(request, "search") in found.name.casefold()
