"""Triggers as a triggerer runs them: made from their own kwargs, in one event loop."""

from __future__ import annotations

import asyncio
import pkgutil
from contextlib import aclosing
from typing import Any

USUAL = {"salesblink_conn_id": "salesblink_default", "poll_interval": 0.02, "max_consecutive_failures": 2}
"""The arguments that all triggers take."""


async def event_of(trigger: Any) -> Any:
    """The payload of a trigger's one event."""
    async with aclosing(trigger.run()) as events:
        payload = (await anext(events)).payload
        assert [event async for event in events] == []
        return payload


def result_of(trigger: Any) -> Any:
    """Run a trigger to its end, alone; give the payload of its one event."""
    return asyncio.run(event_of(trigger))


def stored(trigger: Any) -> Any:
    """The row in which Airflow stores a trigger."""
    from airflow.models.trigger import Trigger  # noqa: TID251

    return Trigger.from_object(trigger)


def made_again(trigger: Any) -> Any:
    """What the triggerer makes of a trigger that was stored: encoded, encrypted, decrypted and decoded."""
    row = stored(trigger)
    return pkgutil.resolve_name(row.classpath)(**row.kwargs)
