"""Logs every request, and applies faults to responses: TCP resets, error codes, delays, broken bodies."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import time
from dataclasses import dataclass, field
from html import escape
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.errors import error_body, is_v1, usual_error_body
from airflow_provider_salesblink.sandbox.loopback import is_loopback
from airflow_provider_salesblink.sandbox.request_log import Request
from airflow_provider_salesblink.sandbox.v1.operations import operation_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_salesblink.sandbox.faults import Fault
    from airflow_provider_salesblink.sandbox.state import State

log = logging.getLogger(__name__)

# Requests for the pages are not logged, and faults do not affect them.
OWN_PATHS = ("/", "/docs", "/openapi.json", "/openapi-v1.json", "/favicon.ico")
OWN_PREFIX = "/sandbox/"

JSON_TYPE = (b"content-type", b"application/json")
HTML_TYPE = (b"content-type", b"text/html; charset=utf-8")
MAINTENANCE = b"""<!doctype html><html lang="en"><head><title>Maintenance</title></head>
<body><h1>We'll be right back</h1><p>SalesBlink is down for maintenance.</p></body></html>
"""
GARBAGE = b'\xff\xfe\x80{"success": \xc3\x28 \x00'
NOT_LOOPBACK = "The sandbox accepts only the loopback names 127.0.0.1, localhost and [::1] as Host."


@dataclass
class RawResponse:
    """A complete response: status, headers and body."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class FaultMiddleware:
    """ASGI middleware around the API. It must be the outermost one, because faults need the server's transport."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope["sandbox"] = self._state
        self._state.imports.catch_up()
        if not is_loopback(headers.get("host", "")):
            await _send(send, RawResponse(403, [JSON_TYPE], error_body(NOT_LOOPBACK)))
        elif scope["path"] in OWN_PATHS or scope["path"].startswith(OWN_PREFIX):
            await self._app(scope, receive, send)
        else:
            await self._handle_api_request(scope, headers, await _read_body(receive), receive, send)

    async def _handle_api_request(
        self, scope: Scope, headers: dict[str, str], body: bytes, receive: Receive, send: Send
    ) -> None:
        operation = _operation_of(scope)
        fault = self._state.faults.next_fault(operation, scope["method"]) if operation else None
        request_log = self._state.request_log
        number = request_log.add(self._log_entry(scope, headers, body, fault))

        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_log.set_status(number, message["status"])
            await send(message)

        app = self._app if self._is_served(scope["path"]) else _refuse_unserved
        call = _Call(app, scope, body, receive, send_and_log, getattr(send, "__self__", None))
        if fault is None:
            await call.respond()
        else:
            await _apply_fault(fault, call)

    def _is_served(self, path: str) -> bool:
        return ("v1" if is_v1(path) else "classic") in self._state.serves

    def _log_entry(self, scope: Scope, headers: dict[str, str], body: bytes, fault: Fault | None) -> Request:
        key = headers.pop("authorization", "")
        return Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            authorized=self._state.knows(key),
            body=_parse_json(body),
            status=None,
            at=time.monotonic(),
            connection=(scope["client"] or ("", 0))[1],
            fault=str(fault) if fault else None,
        )


class _Call:
    """One request, which can be processed, answered, or left without a response."""

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: bytes,
        receive: Receive,
        send: Send,
        cycle: Any,  # noqa: ANN401
    ) -> None:
        self._app, self._scope, self._receive, self.send = app, scope, receive, send
        self.path: str = scope["path"]
        self._unread: bytes | None = body
        # ASGI offers no way to the transport, but uvicorn's `send` is a method of an object that has it.
        self._transport: asyncio.Transport = cycle.transport

    async def respond(self) -> None:
        """Process the request and send its response."""
        try:
            await self._app(self._scope, self._replay, self.send)
        except Exception:
            log.exception("The sandbox failed on %s %s", self._scope["method"], self._scope["raw_path"])
            raise

    async def process(self) -> RawResponse:
        """Process the request and return its response without sending it."""
        response = RawResponse()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status, response.headers = message["status"], list(message["headers"])
            else:
                response.body += message.get("body", b"")

        await self._app(self._scope, self._replay, collect)
        return response

    async def close(self, *, reset: bool = False) -> None:
        """Close the connection: with a TCP reset, or normally after the bytes already written."""
        if reset:
            # With a linger time of zero the kernel sends RST instead of FIN.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        # uvicorn logs an error if the application returns without a response, unless it has seen the disconnect.
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _replay(self) -> Message:
        body, self._unread = self._unread, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _apply_fault(fault: Fault, call: _Call) -> None:
    if fault.kind == "slow" and not fault.processes_request:
        await asyncio.sleep(fault.seconds or 0)
        await call.respond()
        return
    response = await call.process() if fault.processes_request else RawResponse()
    await _HANDLERS[fault.kind](fault, call, response)


async def _reset(_: Fault, call: _Call, __: RawResponse) -> None:
    await call.close(reset=True)


async def _close(_: Fault, call: _Call, __: RawResponse) -> None:
    await call.close()


async def _status(fault: Fault, call: _Call, _: RawResponse) -> None:
    status = fault.response_status
    headers = [
        JSON_TYPE,
        *((name.lower().encode(), text.encode()) for name, text in fault.retry_after_header().items()),
    ]
    # HTTP allows no body with these two status codes.
    body = b"" if status in (204, 304) else usual_error_body(call.path, status)
    await _send(call.send, RawResponse(status, headers, body))


async def _slow(fault: Fault, call: _Call, response: RawResponse) -> None:
    await asyncio.sleep(fault.seconds or 0)
    await _send(call.send, response)


async def _html(_: Fault, call: _Call, __: RawResponse) -> None:
    await _send(call.send, RawResponse(200, [HTML_TYPE], MAINTENANCE))


async def _truncated(_: Fault, call: _Call, response: RawResponse) -> None:
    await _send(call.send, RawResponse(response.status, response.headers, response.body[: len(response.body) // 2]))


async def _cut(_: Fault, call: _Call, response: RawResponse) -> None:
    await call.send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    half = response.body[: len(response.body) // 2]
    await call.send({"type": "http.response.body", "body": half, "more_body": True})
    await call.close()


async def _refuse_unserved(scope: Scope, _: Receive, send: Send) -> None:
    """Answer as web frameworks do for a path that they have no route for."""
    what = escape(f"Cannot {scope['method']} {scope['path']}")
    body = f'<!DOCTYPE html>\n<html lang="en"><head><title>Error</title></head><body><pre>{what}</pre></body></html>\n'
    await _send(send, RawResponse(404, [HTML_TYPE], body.encode("utf-8", "replace")))


async def _refused(_: Fault, call: _Call, __: RawResponse) -> None:
    body = b'{"success":false,"message":"The request was refused."}'
    await _send(call.send, RawResponse(200, [JSON_TYPE], body))


async def _redirect(fault: Fault, call: _Call, _: RawResponse) -> None:
    await _send(call.send, RawResponse(302, [(b"location", (fault.location or "").encode())]))


async def _garbage(_: Fault, call: _Call, __: RawResponse) -> None:
    await _send(call.send, RawResponse(200, [JSON_TYPE], GARBAGE))


_HANDLERS: dict[str, Callable[[Fault, _Call, RawResponse], Awaitable[None]]] = {
    "reset": _reset,
    "close": _close,
    "status": _status,
    "429": _status,
    "slow": _slow,
    "html": _html,
    "truncated": _truncated,
    "cut": _cut,
    "refused": _refused,
    "redirect": _redirect,
    "garbage": _garbage,
}


async def _send(send: Send, response: RawResponse) -> None:
    headers = [(name, value) for name, value in response.headers if name != b"content-length"]
    headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _operation_of(scope: Scope) -> str:
    """Return the operation name that faults use for a request; empty outside the API."""
    if is_v1(scope["path"]):
        return operation_of(scope["method"], scope["raw_path"].decode("latin-1"))
    root, _, rest = scope["path"].lstrip("/").partition("/")
    segment = rest.partition("/")[0] if root == "api" else ""
    return "prospect-update" if segment == "prospect" and scope["method"] == "POST" else segment


def _parse_json(body: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
