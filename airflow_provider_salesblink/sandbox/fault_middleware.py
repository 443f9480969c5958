"""The wire: writes down every request, and does to the answer what a bad network or server would."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import time
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.errors import meaning, refusal_body
from airflow_provider_salesblink.sandbox.loopback import is_loopback
from airflow_provider_salesblink.sandbox.request_log import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_salesblink.sandbox.faults import Fault
    from airflow_provider_salesblink.sandbox.state import State

log = logging.getLogger(__name__)

# What people look at is neither written down nor hit by faults.
OWN_PATHS = ("/", "/docs", "/openapi.json", "/favicon.ico")
OWN_PREFIX = "/sandbox/"

JSON_TYPE = (b"content-type", b"application/json")
HTML_TYPE = (b"content-type", b"text/html; charset=utf-8")
MAINTENANCE = b"""<!doctype html><html lang="en"><head><title>Maintenance</title></head>
<body><h1>We'll be right back</h1><p>SalesBlink is down for maintenance.</p></body></html>
"""
GARBAGE = b'\xff\xfe\x80{"success": \xc3\x28 \x00'
NOT_LOOPBACK = "The sandbox answers only under a loopback name: 127.0.0.1, localhost or [::1]."


@dataclass
class Answer:
    """A whole answer."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class Wire:
    """ASGI application around the API's. It must be the outermost, since faults need the server's own transport."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scope["sandbox"] = self._state
        if not is_loopback(headers.get("host", "")):
            await _send(send, Answer(403, [JSON_TYPE], refusal_body(NOT_LOOPBACK)))
        elif scope["path"] in OWN_PATHS or scope["path"].startswith(OWN_PREFIX):
            await self._app(scope, receive, send)
        else:
            await self._recorded(scope, headers, await _body(receive), receive, send)

    async def _recorded(self, scope: Scope, headers: dict[str, str], body: bytes, receive: Receive, send: Send) -> None:
        operation = _operation(scope)
        fault = self._state.faults.draw(operation, scope["method"]) if operation else None
        journal = self._state.journal
        number = journal.note(self._entry(scope, headers, body, fault))

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.answered(number, message["status"])
            await send(message)

        call = _Call(self._app, scope, body, receive, noting, getattr(send, "__self__", None))
        if fault is None:
            await call.answer_truly()
        else:
            await _suffer(fault, call)

    def _entry(self, scope: Scope, headers: dict[str, str], body: bytes, fault: Fault | None) -> Request:
        key = headers.pop("authorization", "")
        return Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            authorized=self._state.knows(key),
            body=_parsed(body),
            status=None,
            at=time.monotonic(),
            connection=(scope["client"] or ("", 0))[1],
            fault=str(fault) if fault else None,
        )


class _Call:
    """One request: it can be carried out, answered, or left without an answer."""

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
        self._unread: bytes | None = body
        # uvicorn's request/response cycle, whose `send` is bound to it: the one way from ASGI to the transport.
        self._transport: asyncio.Transport = cycle.transport

    async def answer_truly(self) -> None:
        """Carry the request out, and answer."""
        try:
            await self._app(self._scope, self._replay, self.send)
        except Exception:
            log.exception("The sandbox failed on %s %s", self._scope["method"], self._scope["raw_path"])
            raise

    async def carried_out(self) -> Answer:
        """Carry the request out, and keep the answer back."""
        answer = Answer()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                answer.body += message.get("body", b"")

        await self._app(self._scope, self._replay, keep)
        return answer

    async def closed(self, *, reset: bool = False) -> None:
        """End the connection: with a TCP reset, or in order after what was written."""
        if reset:
            # Lingering for no time at all makes the kernel send RST instead of FIN.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()
        # uvicorn complains of an application that returns without an answer, unless it knows of the disconnection.
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _replay(self) -> Message:
        body, self._unread = self._unread, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _suffer(fault: Fault, call: _Call) -> None:
    if fault.kind == "slow" and not fault.carries_out:
        await asyncio.sleep(fault.seconds or 0)
        await call.answer_truly()
        return
    truth = await call.carried_out() if fault.carries_out else Answer()
    await _SPOILERS[fault.kind](fault, call, truth)


async def _reset(_: Fault, call: _Call, __: Answer) -> None:
    await call.closed(reset=True)


async def _close(_: Fault, call: _Call, __: Answer) -> None:
    await call.closed()


async def _status(fault: Fault, call: _Call, _: Answer) -> None:
    status = fault.answered_status
    headers = [
        JSON_TYPE,
        *((name.lower().encode(), text.encode()) for name, text in fault.retry_after_header().items()),
    ]
    # These two have no body, by the rules of HTTP.
    body = b"" if status in (204, 304) else refusal_body(meaning(status))
    await _send(call.send, Answer(status, headers, body))


async def _slow(fault: Fault, call: _Call, truth: Answer) -> None:
    await asyncio.sleep(fault.seconds or 0)
    await _send(call.send, truth)


async def _html(_: Fault, call: _Call, __: Answer) -> None:
    await _send(call.send, Answer(200, [HTML_TYPE], MAINTENANCE))


async def _truncated(_: Fault, call: _Call, truth: Answer) -> None:
    await _send(call.send, Answer(truth.status, truth.headers, truth.body[: len(truth.body) // 2]))


async def _cut(_: Fault, call: _Call, truth: Answer) -> None:
    await call.send({"type": "http.response.start", "status": truth.status, "headers": truth.headers})
    half = truth.body[: len(truth.body) // 2]
    await call.send({"type": "http.response.body", "body": half, "more_body": True})
    await call.closed()


async def _refused(_: Fault, call: _Call, __: Answer) -> None:
    body = b'{"success":false,"message":"The request was refused."}'
    await _send(call.send, Answer(200, [JSON_TYPE], body))


async def _redirect(fault: Fault, call: _Call, _: Answer) -> None:
    await _send(call.send, Answer(302, [(b"location", (fault.location or "").encode())]))


async def _garbage(_: Fault, call: _Call, __: Answer) -> None:
    await _send(call.send, Answer(200, [JSON_TYPE], GARBAGE))


_SPOILERS: dict[str, Callable[[Fault, _Call, Answer], Awaitable[None]]] = {
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


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _operation(scope: Scope) -> str:
    """Return the fault table's word for a request, empty outside of the API."""
    root, _, rest = scope["path"].lstrip("/").partition("/")
    segment = rest.partition("/")[0] if root == "api" else ""
    return "prospect-update" if segment == "prospect" and scope["method"] == "POST" else segment


def _parsed(body: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
