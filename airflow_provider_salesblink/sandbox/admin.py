"""For people: the page, the API page, and what the page reads and says (``/sandbox/...``)."""

import time
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from airflow_provider_salesblink.sandbox.errors import json_bytes, refused
from airflow_provider_salesblink.sandbox.faults import parse_faults
from airflow_provider_salesblink.sandbox.loopback import is_foreign
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.request_checks import state_of
from airflow_provider_salesblink.sandbox.request_log import Request as Entry
from airflow_provider_salesblink.sandbox.state import State

router = APIRouter(include_in_schema=False)

# What the page shows at once; a person reads no more, and a browser should not have to draw it every second.
MOST_REQUESTS = 50
MOST_PEOPLE = 200
MOST_HAPPENINGS = 50

# The pages may read from where they came from, and nothing else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@router.get("/")
async def show_page() -> Response:
    """Show what the sandbox holds and what happened last."""
    return _page("page.html")


@router.get("/docs")
async def show_api() -> Response:
    """Show ``/openapi.json`` to people."""
    return _page("api.html")


@router.get("/sandbox/state")
async def tell_state(request: Request) -> Response:
    """Tell the page what to show; never a key."""
    return _refused_to_strangers(request) or _json(overview(state_of(request)))


@router.post("/sandbox/faults")
async def add_faults(request: Request) -> Response:
    """Add faults in their text form."""
    if refusal := _refused_to_strangers(request):
        return refusal
    try:
        faults = parse_faults(str((await request.json())["faults"]))
    except SandboxUsageError as error:
        return refused(400, str(error))
    except (ValueError, TypeError, KeyError):
        return refused(400, 'The body must be JSON: {"faults": "operation=kind,..."}')
    state_of(request).faults.add(faults)
    return _json({"faults": state_of(request).faults.listing()})


@router.delete("/sandbox/faults")
async def clear_faults(request: Request) -> Response:
    """Let nothing go wrong any more."""
    if refusal := _refused_to_strangers(request):
        return refusal
    state_of(request).faults.clear()
    return _json({"faults": []})


def overview(state: State) -> dict[str, Any]:
    """Everything that the page shows."""
    counts = state.store.counts()
    campaigns = state.store.campaigns()
    names = {campaign.id: campaign.name for campaign in campaigns}
    return {
        "campaigns": [
            asdict(campaign) | dict(zip(("people", "unsubscribed"), counts.get(campaign.id, (0, 0)), strict=True))
            for campaign in campaigns
        ],
        "people": [
            {
                "id": person.id,
                "email": person.email,
                "campaign_id": person.campaign_id,
                "campaign": names.get(person.campaign_id, person.campaign_id),
                "columns": person.fields,
                "unsubscribed": person.unsubscribed,
                "changed": changed,
            }
            for person, changed in state.store.lately_changed(MOST_PEOPLE)
        ],
        "people_total": sum(people for people, _ in counts.values()),
        "requests": [_shown(entry) for entry in reversed(state.journal.entries()[-MOST_REQUESTS:])],
        "happenings": [asdict(happening) for happening in reversed(state.happenings.entries()[-MOST_HAPPENINGS:])],
        "life": [str(habit) for habit in state.clock.habits],
        "faults": state.faults.listing(),
        "limits": asdict(state.meter.limits),
        "shapes": asdict(state.shapes),
    }


def _shown(entry: Entry) -> dict[str, Any]:
    path = f"{entry.path}?{entry.query}" if entry.query else entry.path
    arrived = time.time() - (time.monotonic() - entry.at)
    return {"time": arrived, "method": entry.method, "path": path, "status": entry.status, "fault": entry.fault}


def _refused_to_strangers(request: Request) -> Response | None:
    if is_foreign(request.headers.get("origin", ""), request.headers.get("host", "")):
        return refused(403, "Pages of another origin may not talk to the sandbox.")
    return None


def _page(name: str) -> Response:
    return HTMLResponse(files(__package__).joinpath(name).read_text(encoding="utf-8"), headers=PAGE_HEADERS)


def _json(content: dict[str, Any]) -> Response:
    return Response(json_bytes(content), media_type="application/json", headers={"Cache-Control": "no-store"})
