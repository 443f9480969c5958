"""The gate: what a request must show before the API looks at its content, in the order of the refusals."""

from collections.abc import Callable, Coroutine
from functools import lru_cache
from json import dumps, loads
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from airflow_provider_salesblink.sandbox.errors import Refusal
from airflow_provider_salesblink.sandbox.state import State

ADMINISTRATORS_ONLY = ("/api/my-team",)


def state_of(request: Request) -> State:
    """Return the state of the sandbox that was asked."""
    state: State = request.scope["sandbox"]
    return state


class GatedRoute(APIRoute):
    """A route behind the gate."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as FastAPI does, except that only a quoted slash is part of an id."""
        if scope["type"] == "http" and scope["raw_path"].count(b"/") != self.path.count("/"):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler, which reads the body, so that the gate comes first."""
        handle = super().get_route_handler()

        async def gated(request: Request) -> Response:
            admit(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return gated


def admit(request: Request) -> None:
    """Let a request pass, or refuse it."""
    state, key = state_of(request), request.headers.get("authorization", "")
    if not state.knows(key):
        raise Refusal(401)
    if not accepts_json(request.headers.get("accept", "")):
        raise Refusal(406)
    meter = state.meter
    wait = meter.wait("reads" if request.method == "GET" else "writes")
    if wait is not None:
        raise Refusal(429, headers=meter.headers(wait))
    if request.url.path in ADMINISTRATORS_ONLY and not state.is_administrator(key):
        raise Refusal(403)
    if request.method == "POST" and not _is_json(request.headers.get("content-type", "")):
        raise Refusal(400, "Its content type is not application/json.")


@lru_cache(maxsize=256)
def accepts_json(accept: str) -> bool:
    """Say whether an Accept header has room for JSON; the most specific range that fits decides."""
    if not accept.strip():
        return True
    qualities = dict(_quality(media_range) for media_range in accept.split(","))
    fitting = [qualities[name] for name in ("application/json", "application/*", "*/*") if name in qualities]
    return bool(fitting) and fitting[0] > 0


def _quality(media_range: str) -> tuple[str, float]:
    name, *parameters = (part.strip().casefold() for part in media_range.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().casefold() == "application/json"


class _StrictRequest(Request):
    """Reads JSON as its standard has it: UTF-8, no NaN, no half surrogate pairs, no number that is infinite."""

    async def json(self) -> Any:  # noqa: ANN401  # JSON is anything
        body = await self.body()
        try:
            content = loads(body.decode())
            # What Python reads as JSON and nobody else does cannot be written back so.
            dumps(content, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise Refusal(400, "Its body is not JSON.") from None
        return content
