"""Checks before the API reads a request's content: key, Accept, rate limit, role and content type, in this order."""

from collections.abc import Callable, Coroutine
from functools import lru_cache
from json import dumps, loads
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from airflow_provider_salesblink.sandbox.errors import ApiError
from airflow_provider_salesblink.sandbox.limits import kind_of
from airflow_provider_salesblink.sandbox.state import State
from airflow_provider_salesblink.sandbox.v1.errors import V1Error

ADMINISTRATORS_ONLY = ("/api/my-team",)


def state_of(request: Request) -> State:
    """Return the state of the sandbox that serves the request."""
    state: State = request.scope["sandbox"]
    return state


class CheckedRoute(APIRoute):
    """A route that checks each request first."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as FastAPI does, except that only a percent-encoded slash is part of an id."""
        if scope["type"] == "http" and scope["raw_path"].count(b"/") != self.path.count("/"):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, which reads the body, with the checks before it."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            self.check(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return checked

    def check(self, request: Request) -> None:
        """Raise :class:`ApiError` unless the request passes all checks of the classic API."""
        _check_classic(request)


class V1Route(CheckedRoute):
    """A route of the v1 API. It ignores Accept, and wants the JSON content type only where there is a body."""

    def check(self, request: Request) -> None:
        """Raise :class:`V1Error` unless the request passes all checks of the v1 API."""
        state = state_of(request)
        if not state.knows(request.headers.get("authorization", "")):
            raise V1Error(401)
        wait = state.rate_limiter.admit(kind_of(request.method))
        if wait is not None:
            raise V1Error(429, headers=state.rate_limiter.headers(wait))
        if _has_body(request) and not _is_json(request.headers.get("content-type", "")):
            raise V1Error(400, "The content type must be application/json.")


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _check_classic(request: Request) -> None:
    state, key = state_of(request), request.headers.get("authorization", "")
    if not state.knows(key):
        raise ApiError(401)
    if not accepts_json(request.headers.get("accept", "")):
        raise ApiError(406)
    rate_limiter = state.rate_limiter
    wait = rate_limiter.admit(kind_of(request.method))
    if wait is not None:
        raise ApiError(429, headers=rate_limiter.headers(wait))
    if request.url.path in ADMINISTRATORS_ONLY and not state.is_administrator(key):
        raise ApiError(403)
    if request.method == "POST" and not _is_json(request.headers.get("content-type", "")):
        raise ApiError(400, "The content type must be application/json.")


@lru_cache(maxsize=256)
def accepts_json(accept: str) -> bool:
    """Return whether an Accept header allows JSON. The most specific matching range decides."""
    if not accept.strip():
        return True
    qualities = dict(_quality(media_range) for media_range in accept.split(","))
    matching = [qualities[name] for name in ("application/json", "application/*", "*/*") if name in qualities]
    return bool(matching) and matching[0] > 0


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
    """Parses only standard JSON: UTF-8, no NaN or infinite numbers, no unpaired surrogates."""

    async def json(self) -> Any:  # noqa: ANN401  # JSON is anything
        body = await self.body()
        try:
            content = loads(body.decode())
            # Python's parser accepts more than standard JSON. Strict encoding fails on the rest.
            dumps(content, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise ApiError(400, "The body is not JSON.") from None
        return content
