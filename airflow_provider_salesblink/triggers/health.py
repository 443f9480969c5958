"""A trigger for asset watchers: it starts DAGs when a campaign is beyond its limits."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID
from airflow_provider_salesblink.triggers.base import event
from airflow_provider_salesblink.triggers.events import SHORTEST_INTERVAL, polled, usable_store
from airflow_provider_salesblink.waiting.health import HealthLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent

    from airflow_provider_salesblink.waiting.resources import Resource

USUAL_WINDOW = 24 * 3600.0
"""Seconds."""


class CampaignHealthEventTrigger(BaseEventTrigger):
    """Report that a campaign is beyond one of its limits, for an ``AssetWatcher`` (Airflow 3.0 and later, API v1).

    It reports once, and again only after a poll found the campaign within its limits. It pauses nothing: let the DAG
    that it starts do that. The event's payload is what :class:`CampaignHealthSensor` leaves in XCom: ``outcome``
    "unhealthy", ``campaign_id``, ``exceeded`` and figures. On Airflow 3.3, the asset's state remembers that it has
    reported.

    :param campaign_id: the campaign's id.
    :param window: seconds before a poll in which the mails were sent; one day by default.
    :param max_bounce_rate: highest share of the mails that bounces; None for no limit.
    :param max_unsubscribe_rate: highest share after which the person unsubscribes; None for no limit.
    :param min_reply_rate: lowest share that is replied to; None for no limit.
    :param min_sample: number of mails below which nothing is decided.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: seconds between two polls, at least 5.
    :raises ValueError: an argument is invalid.
    """

    def __init__(
        self,
        *,
        campaign_id: str,
        window: float = USUAL_WINDOW,
        max_bounce_rate: float | None = 0.05,
        max_unsubscribe_rate: float | None = 0.02,
        min_reply_rate: float | None = None,
        min_sample: int = 200,
        salesblink_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float = 300.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = digits(campaign_id)
        self.window = window
        self.max_bounce_rate = max_bounce_rate
        self.max_unsubscribe_rate = max_unsubscribe_rate
        self.min_reply_rate = min_reply_rate
        self.min_sample = min_sample
        self.salesblink_conn_id = salesblink_conn_id
        self.poll_interval = poll_interval
        if not campaign_id:
            raise ValueError("campaign_id is empty.")
        if poll_interval < SHORTEST_INTERVAL:
            raise ValueError(f"poll_interval is {poll_interval}; it must be at least {SHORTEST_INTERVAL:g} seconds.")
        HealthLimits(**self._given_limits())

    def _given_limits(self) -> dict[str, Any]:
        names = ("window", "max_bounce_rate", "max_unsubscribe_rate", "min_reply_rate", "min_sample")
        return {name: getattr(self, name) for name in names}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores."""
        shared = {name: getattr(self, name) for name in ("campaign_id", "salesblink_conn_id", "poll_interval")}
        return f"{__name__}.{type(self).__name__}", {**shared, **self._given_limits()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event each time that the campaign comes to be beyond a limit. Watchers share their polls."""
        store, key = await usable_store(self), self._key()
        reported = bool(store is not None and await store.aget(key))
        stored = reported
        polls = polled(self.salesblink_conn_id, self.campaign_id, self.poll_interval, self._watched)
        async with aclosing(polls):
            async for health in polls:
                # One poll late: by now the event has reached Airflow's database.
                if store is not None and stored != reported:
                    await store.aset(key, reported)
                    stored = reported
                if health.exceeded and not reported:
                    yield event(**health.found())
                reported = bool(health.exceeded)

    def _key(self) -> str:
        """Return what the asset's state remembers under: watchers with other limits must not silence each other."""
        from airflow_provider_salesblink.waiting.changes import short_hash

        limits = short_hash(json.dumps(self._given_limits(), sort_keys=True), 6)
        return f"salesblink:health:{self.salesblink_conn_id}:{self.campaign_id}:{limits}"

    def _watched(self) -> tuple[Resource, object]:
        from airflow_provider_salesblink.waiting.campaign_health import CampaignHealth, EveryHealth

        return CampaignHealth(self.campaign_id), EveryHealth(HealthLimits(**self._given_limits()))
