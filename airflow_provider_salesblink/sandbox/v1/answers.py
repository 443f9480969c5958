"""What the routes of the v1 API share: reading the query, and building answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Response

from airflow_provider_salesblink.sandbox.errors import json_bytes
from airflow_provider_salesblink.sandbox.v1.errors import V1Error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

Record = TypeVar("Record")
Item = TypeVar("Item")
LARGEST = 2**53  # beyond it, JSON numbers are not exact everywhere


@dataclass(frozen=True)
class Page:
    """A page of the ``limit``/``skip`` dialect that counts records."""

    limit: int
    skip: int

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Return the items on this page."""
        return list(items[self.skip : self.skip + self.limit])

    def fields(self, items: Sequence[Any]) -> dict[str, int]:
        """Return the paging fields that stand next to ``data``."""
        return {"count": len(self.of(items)), "total": len(items), "skip": self.skip, "limit": self.limit}


def page_of(request: Request, *, most: int, default: int = 100) -> Page:
    """Return the page that a request asks for. A limit above the maximum is lowered without an error."""
    limit = whole_number(request, "limit", default)
    return Page(min(limit, most) if limit >= 1 else default, max(whole_number(request, "skip", 0), 0))


def whole_number(request: Request, name: str, default: int) -> int:
    """Return a number in the query. What cannot be read counts as not given."""
    try:
        return max(-LARGEST, min(int(request.query_params.get(name, default)), LARGEST))
    except ValueError:
        return default


def flag(request: Request, name: str) -> bool:
    """Return whether a flag in the query is true."""
    return request.query_params.get(name, "").casefold() in ("true", "1")


def text(request: Request, name: str) -> str:
    """Return a text in the query without regard to case; empty if it is not given."""
    return request.query_params.get(name, "").strip().casefold()


def require(record: Record | None, what: str) -> Record:
    """Return ``record``, or answer 404 if it is None."""
    if record is None:
        raise V1Error(404, f"{what} not found.")
    return record


def done(data: Any = None, **more: Any) -> Response:  # noqa: ANN401  # JSON is anything
    """Return a success, with ``data`` unless it is None."""
    return json({"success": True} | ({} if data is None else {"data": data}) | more)


def json(content: Any) -> Response:  # noqa: ANN401  # JSON is anything
    """Return JSON."""
    return Response(json_bytes(content), media_type="application/json")


def as_date_time(unix: float) -> str:
    """Return a time as a ``date-time`` string, as lists have it."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
