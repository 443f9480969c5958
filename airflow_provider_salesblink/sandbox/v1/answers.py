"""Answers of the public API v1: the envelope, and pages of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Response
from pydantic import BaseModel, BeforeValidator, Field

from airflow_provider_salesblink.sandbox.errors import json_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


def success(data: Any = None, **more: Any) -> Response:  # noqa: ANN401  # JSON is anything
    """Return the envelope of a success, with ``data`` unless it is None, and with ``more`` next to it."""
    return json_answer({"success": True} | ({} if data is None else {"data": data}) | more)


def json_answer(content: Any) -> Response:  # noqa: ANN401  # JSON is anything
    """Return a response with JSON."""
    return Response(json_bytes(content), media_type="application/json")


def _empty_is_missing(value: Any) -> Any:  # noqa: ANN401  # what a query holds
    return None if value == "" else value


Filter = Annotated[str | None, BeforeValidator(_empty_is_missing)]


class Window(BaseModel):
    """The time window of a query, in Unix milliseconds. Parameters that the API does not know are ignored."""

    since: int | None = Field(None, alias="from", description="Earliest time, in Unix milliseconds.")
    until: int | None = Field(None, alias="to", description="Latest time, in Unix milliseconds.")


class Page(Window):
    """A time window and a page of at most 500 records."""

    limit: int = Field(100, ge=1, description="Records of a page. More than 500 gives 500.")
    skip: int = Field(0, ge=0, description="Records to leave out.")

    def answer(self, records: Sequence[Any]) -> Response:
        """Return the page of ``records``, with the paging fields next to it."""
        limit = min(self.limit, 500)
        shown = list(records[self.skip : self.skip + limit])
        return success(shown, count=len(shown), total=len(records), skip=self.skip, limit=limit)
