"""Error responses: those of the classic API with the messages of its documentation, and those of the v1 API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from fastapi.responses import Response

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1 import errors as v1_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES = {
    400: "Bad Request: your request is invalid.",
    401: "Unauthorized: your API key is wrong.",
    403: "Forbidden: the request is hidden for administrators only.",
    404: "Not Found: the specified kitten could not be found.",
    405: "Method Not Allowed: you tried to access SalesBlink with an invalid method.",
    406: "Not Acceptable: you requested a format that isn't json.",
    429: "Too Many Requests: you're requesting too many kittens! Slow down!",
    500: "Internal Server Error: we had a problem with our server. Try again later.",
    503: "Service Unavailable: we're temporarily offline for maintenance. Please try again later.",
}


class ApiError(HTTPException):
    """Rejects a request with the documented message for a status code, and optionally a reason."""

    def __init__(self, status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, f"{error_message(status)} {reason}".strip(), dict(headers or {}))


def error_message(status: int) -> str:
    """Return the documentation's message for a status code."""
    return MESSAGES.get(status, f"Error {status}.")


def error_body(message: str) -> bytes:
    """Return the body of an error response."""
    return json_bytes({"success": False, "error": True, "message": message})


def json_bytes(content: Any) -> bytes:  # noqa: ANN401  # JSON is anything
    """Encode JSON in UTF-8, as the API does. An unpaired surrogate becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response of the classic API."""
    return Response(error_body(message), status, dict(headers or {}), "application/json")


def v1_error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response of the v1 API."""
    return Response(v1_errors.error_body(message), status, dict(headers or {}), "application/json")


def is_v1(path: str) -> bool:
    """Return whether a path belongs to the v1 API."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def usual_error_body(path: str, status: int) -> bytes:
    """Return the usual error body for a status code, in the words of the API that the path belongs to."""
    return v1_errors.error_body(v1_errors.error_message(status)) if is_v1(path) else error_body(error_message(status))
