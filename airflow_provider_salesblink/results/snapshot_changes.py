"""The rows of a changes file: who appeared in a campaign, changed there, or left it since the look before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.results.snapshots import COLUMNS as STATE

if TYPE_CHECKING:
    from airflow_provider_salesblink.results.snapshots import Row

COLUMNS = {"change": "text", "time": "text", "previous_time": "text", **STATE, "before": "json", "after": "json"}
"""The columns of a row, in this order, and their types."""


def row_of_change(earlier: Row | None, now: Row | None, time: str, previous_time: str | None) -> Row:
    """Return the row of a person whose row at the look before and row of now differ.

    It has the person's state now, or the last known one if they left. ``before`` and ``after`` hold just what changed;
    they are None for people who appeared or left.

    :param earlier: None if the person was not in the campaign.
    :param now: None if the person is not in the campaign.
    """
    change = "changed" if earlier and now else "appeared" if now else "left"
    state = now or earlier or {}
    row: Row = {"change": change, "time": time, "previous_time": previous_time, **{name: state[name] for name in STATE}}
    if earlier and now:
        return {**row, "before": _parts(earlier, now), "after": _parts(now, earlier)}
    return {**row, "before": None, "after": None}


def _parts(row: Row, other: Row) -> Row:
    """Return what differs from another row; of the person's own columns, only those that differ."""
    found = _different(row, other)
    if "fields" in found:
        found["fields"] = _different(row["fields"], other["fields"])
    return found


def _different(values: Row, others: Row) -> Row:
    return {name: value for name, value in values.items() if name not in others or not _same(value, others[name])}


def _same(value: Any, other: Any) -> bool:  # noqa: ANN401
    # In Python, 1 and True are equal.
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
