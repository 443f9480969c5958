"""Error responses of the v1 API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import HTTPException

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES = {
    400: "Invalid request.",
    401: "Invalid API key.",
    403: "You do not have permission to do this.",
    404: "Not found.",
    405: "Method not allowed.",
    409: "Conflict.",
    429: "Too many requests. Please wait at least 60 seconds.",
    500: "Something went wrong. Please try again.",
}


class V1Error(HTTPException):
    """Rejects a request of the v1 API, with the usual message for a status code or with another one."""

    def __init__(self, status: int, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message or error_message(status), dict(headers or {}))


def error_message(status: int) -> str:
    """Return the usual message for a status code."""
    return MESSAGES.get(status, f"Error {status}.")


def error_body(message: str) -> bytes:
    """Return the body of an error response. An unpaired surrogate becomes a question mark."""
    return json.dumps({"success": False, "message": message}, ensure_ascii=False).encode("utf-8", "replace")
