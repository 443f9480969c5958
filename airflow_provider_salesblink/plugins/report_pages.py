"""The pages of the reports below ``/salesblink``, for users who are logged in to Airflow."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_provider_salesblink.airflow_config import REPORTS_PATH, SECTION
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.plugins import report_folder
from airflow_provider_salesblink.results.report_numbers import minute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Template

SECONDS = 20.0
"""The longest that a page waits for the storage."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
        "sandbox allow-same-origin allow-downloads allow-popups allow-popups-to-escape-sandbox"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_NOT_SET = (
    f"This Airflow does not know where the reports are. Set reports_path in the section [{SECTION}] of Airflow's "
    f"configuration (AIRFLOW__{SECTION.upper()}__{REPORTS_PATH.upper()}) to the folder to which CampaignReportOperator "
    "writes, and restart the API server."
)
_NO_FOLDER = f"The folder in [{SECTION}] {REPORTS_PATH} does not exist yet. The first report creates it."
_NO_REPORT = "There is no report of this name. It may have been removed: open the list again."
_TOO_SLOW = "The storage of the reports does not answer. Try again later."
_BROKEN = "The storage of the reports cannot be read. The log of Airflow's API server names the error."
_MESSAGES = {
    401: "You are not logged in, or your session ended. Log in to Airflow, then open this page again.",
    403: "Airflow refused access to this page. Log in again, or ask your administrator for access to Airflow's UI.",
}
_BACK = b'<main>\n<nav><a href="../reports">All reports</a></nav>'
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

log = logging.getLogger(__name__)

# A storage that does not answer holds only these threads, not those of Airflow's API.
_readers = ThreadPoolExecutor(4, thread_name_prefix="salesblink-reports")

app = FastAPI(
    title="SalesBlink reports",
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    # These routes would need no login.
    openapi_url=None,
)


@app.api_route("/reports", methods=["GET", "HEAD"])
async def reports() -> Response:
    """Return the list of reports, the newest first."""
    found = await _read(report_folder.newest)
    return _page(200, reports=found, most=report_folder.MOST)


@app.api_route("/reports/{name}", methods=["GET", "HEAD"])
async def report(name: str) -> Response:
    """Return a report, or the CSV file with its figures."""
    content = await _read(report_folder.content, name)
    if content is None:
        raise HTTPException(404, _NO_REPORT)
    if name.lower().endswith(".csv"):
        attachment = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, headers=_HEADERS | {"Content-Disposition": attachment}, media_type="text/csv")
    return Response(content.replace(b"<main>", _BACK, 1), headers=_HEADERS, media_type="text/html")


@app.api_route("/{path:path}", methods=_METHODS)
async def nothing() -> Response:
    """Return that there is no such page, to users who are logged in. Others get the same error as everywhere here."""
    raise HTTPException(404, "There is no such page.")


@app.exception_handler(AnyHTTPException)
async def explain(request: Request, error: AnyHTTPException) -> Response:  # noqa: ARG001
    """Return an error as a page with a sentence for people."""
    return _page(error.status_code, error.headers, message=_MESSAGES.get(error.status_code, error.detail))


async def _read(function: Callable[..., Any], *arguments: str) -> Any:  # noqa: ANN401
    """Read the folder in another thread, because a storage may be slow.

    :raises HTTPException: it cannot be read, with a sentence that says why and shows no path.
    """
    folder = conf.get(SECTION, REPORTS_PATH, fallback="")
    if not folder:
        raise HTTPException(404, _NOT_SET)
    reading = asyncio.get_running_loop().run_in_executor(_readers, function, folder, *arguments)
    try:
        return await asyncio.wait_for(reading, SECONDS)
    except FileNotFoundError:
        raise HTTPException(404, _NO_FOLDER) from None
    except TimeoutError:
        raise HTTPException(504, _TOO_SLOW) from None
    except Exception as error:  # noqa: BLE001  # each storage has errors of its own
        log.warning(
            "The folder in [%s] %s cannot be read (%s: %s).",
            *(SECTION, REPORTS_PATH, type(error).__name__, redacted(str(error), folder)),
        )
        raise HTTPException(502, _BROKEN) from None


def _page(status: int, headers: Mapping[str, str] | None = None, **shown: Any) -> Response:
    content = _template().render(**shown)
    return Response(content, status, {**(headers or {}), **_HEADERS}, "text/html")


@cache
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"minute": minute}
    source = files("airflow_provider_salesblink.plugins").joinpath("reports.html.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))
