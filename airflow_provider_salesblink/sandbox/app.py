"""The web application: both APIs, the pages and the error handlers. All sandboxes of a process share it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from airflow_provider_salesblink.sandbox import admin, api
from airflow_provider_salesblink.sandbox.errors import (
    MESSAGES,
    ApiError,
    error_message,
    error_response,
    is_v1,
    v1_error_response,
)
from airflow_provider_salesblink.sandbox.openapi import TITLE, describe
from airflow_provider_salesblink.sandbox.v1 import (
    account,
    analytics,
    blocklist,
    contacts,
    feeds,
    inbox,
    leads,
    lists,
    senders,
    sequence_leads,
    sequences,
    team,
)
from airflow_provider_salesblink.sandbox.v1 import errors as v1_errors

V1_TOPICS = (
    account, analytics, blocklist, contacts, feeds, inbox, leads, lists, senders, sequence_leads, sequences, team
)  # fmt: skip
ROUTERS = (api.router, *(topic.router for topic in V1_TOPICS), admin.router)


class SandboxApp(FastAPI):
    """A FastAPI application with the classic API's error bodies, and without pages that load scripts from a CDN."""

    def __init__(self) -> None:
        super().__init__(title=TITLE, docs_url=None, redoc_url=None, redirect_slashes=False)
        for router in ROUTERS:
            self.include_router(router)
        self.add_exception_handler(HTTPException, _http_error)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(Exception, _http_error)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description of the classic API."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


async def _http_error(request: Request, error: Exception) -> Response:
    v1 = is_v1(request.url.path)
    respond, message_of = (v1_error_response, v1_errors.error_message) if v1 else (error_response, error_message)
    if isinstance(error, ApiError | v1_errors.V1Error):
        return respond(error.status_code, str(error.detail), error.headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {"Allow": ", ".join(_allowed(request))} if status == 405 else {}
    return respond(status, message_of(status), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    details = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in problems)
    if is_v1(request.url.path):
        return v1_error_response(400, f"{v1_errors.MESSAGES[400]} {details}".strip())
    return error_response(400, f"{MESSAGES[400]} {details}".strip())


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes of the path. Starlette reports only those of the first route."""
    routes = [route for router in ROUTERS for route in router.routes]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


app = SandboxApp()
