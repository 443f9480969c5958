"""The sandbox's web pages, and the calls that the pages use (``/sandbox/...``)."""

import time
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from airflow_provider_salesblink.sandbox.errors import error_response, json_bytes
from airflow_provider_salesblink.sandbox.faults import parse_faults
from airflow_provider_salesblink.sandbox.loopback import is_foreign
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.request_checks import state_of
from airflow_provider_salesblink.sandbox.request_log import Request as Entry
from airflow_provider_salesblink.sandbox.state import State

router = APIRouter(include_in_schema=False)

# The page redraws every second, so it shows only the latest entries.
MOST_REQUESTS = 50
MOST_PEOPLE = 200
MOST_EVENTS = 50

# The pages load nothing from other origins.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@router.get("/")
async def show_page() -> Response:
    """Serve the page that shows campaigns, people, requests and activity."""
    return _page("page.html")


@router.get("/docs")
async def show_api() -> Response:
    """Serve the page that shows ``/openapi.json`` to readers."""
    return _page("api.html")


@router.get("/sandbox/state")
async def get_state(request: Request) -> Response:
    """Return what the page shows. The keys are not part of it."""
    return _refuse_foreign_origin(request) or _json(page_state(state_of(request)))


@router.post("/sandbox/faults")
async def add_faults(request: Request) -> Response:
    """Add faults in their text form."""
    if forbidden := _refuse_foreign_origin(request):
        return forbidden
    try:
        faults = parse_faults(str((await request.json())["faults"]))
    except SandboxUsageError as error:
        return error_response(400, str(error))
    except (ValueError, TypeError, KeyError):
        return error_response(400, 'The body must be JSON: {"faults": "operation=kind,..."}')
    state_of(request).faults.add(faults)
    return _json({"faults": state_of(request).faults.descriptions()})


@router.delete("/sandbox/faults")
async def clear_faults(request: Request) -> Response:
    """Remove all faults."""
    if forbidden := _refuse_foreign_origin(request):
        return forbidden
    state_of(request).faults.clear()
    return _json({"faults": []})


def page_state(state: State) -> dict[str, Any]:
    """Return everything that the page shows, as JSON."""
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
            for person, changed in state.store.recently_changed(MOST_PEOPLE)
        ],
        "people_total": sum(people for people, _ in counts.values()),
        "requests": [_shown(entry) for entry in reversed(state.request_log.entries()[-MOST_REQUESTS:])],
        "happenings": [asdict(event) for event in reversed(state.events.entries()[-MOST_EVENTS:])],
        "life": [str(habit) for habit in state.scheduler.habits],
        "faults": state.faults.descriptions(),
        "limits": asdict(state.rate_limiter.limits),
        "shapes": asdict(state.shapes),
    }


def _shown(entry: Entry) -> dict[str, Any]:
    path = f"{entry.path}?{entry.query}" if entry.query else entry.path
    arrived = time.time() - (time.monotonic() - entry.at)
    return {"time": arrived, "method": entry.method, "path": path, "status": entry.status, "fault": entry.fault}


def _refuse_foreign_origin(request: Request) -> Response | None:
    if is_foreign(request.headers.get("origin", ""), request.headers.get("host", "")):
        return error_response(403, "The sandbox refuses requests from web pages of other origins.")
    return None


def _page(name: str) -> Response:
    return HTMLResponse(files(__package__).joinpath(name).read_text(encoding="utf-8"), headers=PAGE_HEADERS)


def _json(content: dict[str, Any]) -> Response:
    return Response(json_bytes(content), media_type="application/json", headers={"Cache-Control": "no-store"})
