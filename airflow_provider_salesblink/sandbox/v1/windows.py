"""Time windows and other filters of events, from the query of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.event_store import EventFilter
from airflow_provider_salesblink.sandbox.request_checks import state_of
from airflow_provider_salesblink.sandbox.v1.answers import LARGEST, whole_number

if TYPE_CHECKING:
    from fastapi import Request


def given(request: Request, name: str) -> str | None:
    """Return a query parameter as it was sent. An empty one counts as not given."""
    return request.query_params.get(name) or None


def window(request: Request) -> tuple[int, int]:
    """Return the first and the last millisecond that a request asks for. ``since`` is an older name of ``from``."""
    since = max(whole_number(request, "from", 0), whole_number(request, "since", 0))
    return since, max(whole_number(request, "to", LARGEST), 0)


def events_wanted(request: Request, **more: str | None) -> EventFilter:
    """Return the filter for the events in the window of a request.

    :param more: further fields of the filter.
    """
    since, until = window(request)
    rules = state_of(request).store.rules
    return EventFilter(
        **more,
        since=since,
        until=until,
        since_is_included=rules.from_inclusive,
        until_is_included=rules.to_inclusive,
    )
