"""The web application: the classic API, the pages, and how errors are told. One for all sandboxes of a process."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from airflow_provider_salesblink.sandbox import admin, api
from airflow_provider_salesblink.sandbox.errors import MEANINGS, Refusal, meaning, refused
from airflow_provider_salesblink.sandbox.openapi import TITLE, describe


class SandboxApp(FastAPI):
    """FastAPI with this API's own words for errors, and no page that loads scripts from elsewhere."""

    def __init__(self) -> None:
        super().__init__(title=TITLE, docs_url=None, redoc_url=None, redirect_slashes=False)
        self.include_router(api.router)
        self.include_router(admin.router)
        self.add_exception_handler(HTTPException, _http_error)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(Exception, _http_error)

    def openapi(self) -> dict[str, Any]:
        """Describe the classic API."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return refused(error.status_code, str(error.detail), error.headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {"Allow": ", ".join(_allowed(request))} if status == 405 else {}
    return refused(status, meaning(status), headers)


async def _invalid(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = [f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in problems]
    return refused(400, f"{MEANINGS[400]} {'; '.join(told)}".strip())


def _allowed(request: Request) -> list[str]:
    """Methods that the path takes: it may have several routes, and Starlette names those of the first only."""
    routes = [*api.router.routes, *admin.router.routes]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


app = SandboxApp()
