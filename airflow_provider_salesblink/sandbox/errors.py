"""How the classic API refuses: the documentation's error table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from fastapi.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

MEANINGS = {
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


class Refusal(HTTPException):
    """A request that is not carried out, with the documentation's message and perhaps the reason."""

    def __init__(self, status: int, why: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, f"{meaning(status)} {why}".strip(), dict(headers or {}))


def meaning(status: int) -> str:
    """Return the documentation's message for a status code."""
    return MEANINGS.get(status, f"Error {status}.")


def refusal_body(message: str) -> bytes:
    """Body of every refusal."""
    return json_bytes({"success": False, "error": True, "message": message})


def json_bytes(content: Any) -> bytes:  # noqa: ANN401  # JSON is anything
    """Write JSON as the API does, in UTF-8; half a surrogate pair becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer of a refusal."""
    return Response(refusal_body(message), status, dict(headers or {}), "application/json")
