"""The parts of ``/openapi.json`` that FastAPI does not derive from the routes."""

import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from airflow_provider_salesblink.sandbox import v1
from airflow_provider_salesblink.sandbox.errors import MESSAGES
from airflow_provider_salesblink.sandbox.schemas import Failure

TITLE = "SalesBlink sandbox"
VERSION = "2022-05-01"  # when the classic API was last described by its vendor
DESCRIPTION = """\
The classic API of SalesBlink, served on this machine. The sandbox sends no email.

SalesBlink never documented the bodies of its responses. The sandbox offers several shapes (`--shapes`); the examples
show the default shape.
"""

CAMPAIGN = {"campaignID": "spring-2027", "name": "Spring 2027", "paused": False}
PROSPECT = {
    "prospectID": "5f0c9e2ab1d34c7788aa01bc",
    "campaignID": "spring-2027",
    "First Name": "Ana",
    "Last Name": "Silva",
    "Email": "ana@example.com",
    "Company": "Northwind",
    "unsubscribed": False,
}
MEMBER = {
    "user_name": "Olu Owner",
    "email": "olu@example.com",
    "company_name": "Example Ltd",
    "user_picture": "iVBORw0K",
}

Responses = dict[int | str, dict[str, Any]]


def responses(example: Any, description: str, *extra_statuses: int) -> Responses:  # noqa: ANN401  # JSON is anything
    """Return a call's documented responses: the success, the errors common to all calls, and ``extra_statuses``."""
    content = {"application/json": {"schema": _ANSWER, "example": {"success": True, "error": False, "data": example}}}
    success: Responses = {200: {"description": description, "content": content}}
    return success | {status: _error_response(status) for status in sorted({401, 406, 429, 500, 503, *extra_statuses})}


def _error_response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"model": Failure, "description": MESSAGES[status]}
    if status == 429:
        retry_after = {
            "description": "When to retry: a number of seconds or a date. May be missing.",
            "schema": {"type": "string"},
        }
        response["headers"] = {"Retry-After": retry_after}
    return response


_ANSWER = {
    "description": "An envelope with `data` or with a name such as `campaigns`, or the bare payload.",
    "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
}
_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "The key alone, without `Bearer`.",
}


def describe_v1() -> dict[str, Any]:
    """Return the project's description of the v1 API, with this sandbox as its server."""
    found: dict[str, Any] = json.loads(files(v1).joinpath("public_api_v1.openapi.json").read_text(encoding="utf-8"))
    return found | {"servers": [{"url": v1.PREFIX, "description": "This sandbox"}]}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of ``app``'s classic API."""
    found = get_openapi(
        title=TITLE,
        version=VERSION,
        summary="The classic API of SalesBlink, on this machine.",
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": "/", "description": "This sandbox"}],
    )
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI adds it; this API returns 400 instead
    for schema in ("HTTPValidationError", "ValidationError"):
        found["components"]["schemas"].pop(schema, None)
    found["components"]["securitySchemes"] = {"key": _KEY}
    found["security"] = [{"key": []}]
    return found
