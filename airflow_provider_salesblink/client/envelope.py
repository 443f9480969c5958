"""The envelope that both of SalesBlink's APIs put around their answers: success, error, message."""

from __future__ import annotations

from typing import Any

DEEPEST_MESSAGE = 3
_IDS = ("campaignID", "prospectID", "_id", "id")


def is_refusal(body: Any) -> bool:  # noqa: ANN401
    """Return whether ``body`` says that the call failed, whatever the HTTP status."""
    if not isinstance(body, dict):
        return False
    if any(isinstance(body.get(name), str | int) for name in _IDS):
        # A bare record may have columns of its own named success and error. Only the API's success is a boolean.
        return body.get("success") is False
    if "success" in body:
        return _is_false(body["success"])
    return "error" in body and not _is_false(body["error"])


def message(body: Any, depth: int = DEEPEST_MESSAGE) -> str:  # noqa: ANN401
    """Return the API's message, on one line; empty if it has none."""
    if not isinstance(body, dict) or not depth:
        return ""
    for name in ("message", "error", "msg"):
        match body.get(name):
            case str() as words if words.strip():
                return " ".join(words.split())
            case dict() as nested if words := message(nested, depth - 1):
                return words
    return ""


def _is_false(value: object) -> bool:
    return not value or (isinstance(value, str) and value.strip().casefold() in ("false", "no", "0"))
