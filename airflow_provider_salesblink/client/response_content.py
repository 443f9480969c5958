"""Decide what an HTTP response means: its content, and the envelope that both of SalesBlink's APIs put around it."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal
from urllib.parse import quote

from airflow_provider_salesblink.client import json_stream
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.client.retry import (
    Answered,
    Outcome,
    RefusedInBody,
    Unreadable,
    parse_http_date,
    parse_retry_after,
)

ContentKind = Literal["json", "scalar", "csv"]
"""What a call asks for: a JSON object or list; the same, or a bare JSON true or false; a CSV text."""

HTML_PAGE = "it is an HTML page"
"""Why such an answer is unreadable: something other than the API answered, for example a proxy."""

LONGEST_MESSAGE = 200
DEEPEST_MESSAGE = 3
_LONGEST_REFUSAL = 65_536
_IDS = ("campaignID", "prospectID", "_id", "id")

Headers = Mapping[str, str]
Content = bytes | SpooledTemporaryFile[bytes]


class ContentRefusedError(Exception):
    """The client does not read the content of this answer; the message says why."""


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
    for name in ("message", "error", "msg", "err"):
        match body.get(name):
            case str() as words if words.strip():
                return " ".join(words.split())
            case dict() as nested if words := message(nested, depth - 1):
                return words
    return ""


def _is_false(value: object) -> bool:
    return not value or (isinstance(value, str) and value.strip().casefold() in ("false", "no", "0"))


def outcome_of_answer(
    status: int, headers: Headers, content: Content | ContentRefusedError, key: str, kind: ContentKind
) -> Outcome:
    """Return what an answer means.

    :param key: the API key, to keep out of messages.
    :param kind: what the call asks for.
    """
    if status >= HTTPStatus.BAD_REQUEST:
        return Answered(status, _retry_after(headers), _api_message(_decoded(content), key))
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return Unreadable(status, "it is a redirect, which the client does not follow", hopeless=True)
    if kind == "csv":
        return _outcome_of_csv(status, headers, content, key)
    if status == HTTPStatus.NO_CONTENT:
        return Answered(status, body={})
    if isinstance(content, SpooledTemporaryFile):
        return Answered(status, body=content)
    body = _decoded(content)
    if is_refusal(body):
        return RefusedInBody(_api_message(body, key))
    if isinstance(body, dict | list) or (kind == "scalar" and isinstance(body, bool)):
        return Answered(status, body=body)
    return _unreadable(status, headers, content, "a complete JSON object or list")


def _outcome_of_csv(status: int, headers: Headers, content: Content | ContentRefusedError, key: str) -> Outcome:
    if isinstance(content, ContentRefusedError):
        return _unreadable(status, headers, content, "CSV text")
    file: IO[bytes] = io.BytesIO(content) if isinstance(content, bytes) else content
    start = file.read(_LONGEST_REFUSAL).lstrip()
    file.seek(0)
    if start[:1] == b"{" and is_refusal(body := _decoded(start)):
        return RefusedInBody(_api_message(body, key))
    is_other = start[:1] in (b"{", b"<") or _has_type(headers, "html", "json") or not _is_text(start)
    if not start or is_other:
        return _unreadable(status, headers, start, "CSV text")
    return Answered(status, body=file)


def _is_text(start: bytes) -> bool:
    """Return whether bytes are UTF-8; the last character may be incomplete."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _unreadable(status: int, headers: Headers, content: bytes | ContentRefusedError, wanted: str) -> Unreadable:
    if isinstance(content, ContentRefusedError):
        return Unreadable(status, str(content), hopeless=True)
    if not content:
        return Unreadable(status, "it is empty")
    is_page = _has_type(headers, "html") or content.lstrip()[:1] == b"<"
    return Unreadable(status, HTML_PAGE if is_page else f"it is not {wanted}")


def _has_type(headers: Headers, *words: str) -> bool:
    return any(word in headers.get("Content-Type", "") for word in words)


def _api_message(body: object, key: str) -> str:
    # Cut last: the redaction does not find half a key or half an address.
    return redacted(message(body), key, quote(key, safe=""))[:LONGEST_MESSAGE]


def _decoded(content: object) -> Any:  # noqa: ANN401
    try:
        return json_stream.parsed(content) if isinstance(content, bytes) else None
    except ValueError:
        return None


def _retry_after(headers: Headers) -> float | None:
    # By the server's clock, if the answer has a Date: this machine's clock may be wrong.
    now = parse_http_date(headers.get("Date")) or datetime.now(UTC)
    return parse_retry_after(headers.get("Retry-After"), now=now)
