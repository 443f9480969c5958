"""The sandbox's web pages, and the calls that the pages use (``/sandbox/...``)."""

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from airflow_provider_salesblink.sandbox.errors import error_response, json_bytes
from airflow_provider_salesblink.sandbox.faults import parse_faults
from airflow_provider_salesblink.sandbox.loopback import is_foreign
from airflow_provider_salesblink.sandbox.openapi import describe_v1
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.page_state import page_state
from airflow_provider_salesblink.sandbox.request_checks import state_of

router = APIRouter(include_in_schema=False)

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
    """Serve the page that shows ``/openapi.json`` and ``/openapi-v1.json`` to readers."""
    return _page("api.html")


@router.get("/openapi-v1.json")
async def get_v1_description() -> Response:
    """Serve the description of the v1 API, with this sandbox as its server."""
    return _json(describe_v1())


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


def _refuse_foreign_origin(request: Request) -> Response | None:
    if is_foreign(request.headers.get("origin", ""), request.headers.get("host", "")):
        return error_response(403, "The sandbox refuses requests from web pages of other origins.")
    return None


def _page(name: str) -> Response:
    return HTMLResponse(files(__package__).joinpath(name).read_text(encoding="utf-8"), headers=PAGE_HEADERS)


def _json(content: dict[str, Any]) -> Response:
    return Response(json_bytes(content), media_type="application/json", headers={"Cache-Control": "no-store"})
