"""The web application: the classic API, the pages and the error handlers. All sandboxes of a process share it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from airflow_provider_salesblink.sandbox import admin, api
from airflow_provider_salesblink.sandbox.errors import MESSAGES, ApiError, error_message, error_response
from airflow_provider_salesblink.sandbox.openapi import TITLE, describe


class SandboxApp(FastAPI):
    """A FastAPI application with the classic API's error bodies, and without pages that load scripts from a CDN."""

    def __init__(self) -> None:
        super().__init__(title=TITLE, docs_url=None, redoc_url=None, redirect_slashes=False)
        self.include_router(api.router)
        self.include_router(admin.router)
        self.add_exception_handler(HTTPException, _http_error)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(Exception, _http_error)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description of the classic API."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return error_response(error.status_code, str(error.detail), error.headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {"Allow": ", ".join(_allowed(request))} if status == 405 else {}
    return error_response(status, error_message(status), headers)


async def _invalid(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    details = [f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in problems]
    return error_response(400, f"{MESSAGES[400]} {'; '.join(details)}".strip())


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes of the path. Starlette reports only those of the first route."""
    routes = [*api.router.routes, *admin.router.routes]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


app = SandboxApp()
