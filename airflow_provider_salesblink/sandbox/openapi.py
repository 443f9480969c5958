"""What ``/openapi.json`` says beside what FastAPI reads from the routes."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from airflow_provider_salesblink.sandbox.errors import MEANINGS
from airflow_provider_salesblink.sandbox.schemas import Failure

TITLE = "SalesBlink sandbox"
VERSION = "2022-05-01"  # when the classic API was last described by its vendor
DESCRIPTION = """\
The classic API of SalesBlink, served at home: nobody gets mail from here.

SalesBlink never documented what its answers look like. The sandbox answers in one of several shapes (`--shapes`);
the examples show the one it starts with.
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


def responses(example: Any, description: str, *also: int) -> Responses:  # noqa: ANN401  # JSON is anything
    """Describe a call's answers: the good one, the refusals that any call may meet, and those of this one."""
    content = {"application/json": {"schema": _ANSWER, "example": {"success": True, "error": False, "data": example}}}
    good: Responses = {200: {"description": description, "content": content}}
    return good | {status: _refusal(status) for status in sorted({401, 406, 429, 500, 503, *also})}


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {"model": Failure, "description": MEANINGS[status]}
    if status == 429:
        retry_after = {
            "description": "When to come back: seconds, or a date. May be missing.",
            "schema": {"type": "string"},
        }
        refusal["headers"] = {"Retry-After": retry_after}
    return refusal


_ANSWER = {
    "description": "An envelope with `data`, one with a name such as `campaigns`, or the bare payload.",
    "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
}
_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "The bare key as the whole header value; no `Bearer` before it.",
}


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
            operation["responses"].pop("422", None)  # FastAPI's own; here it is a 400
    for schema in ("HTTPValidationError", "ValidationError"):
        found["components"]["schemas"].pop(schema, None)
    found["components"]["securitySchemes"] = {"key": _KEY}
    found["security"] = [{"key": []}]
    return found
