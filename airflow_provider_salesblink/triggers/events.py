"""A trigger for asset watchers: it starts DAGs when a campaign's people change."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID
from airflow_provider_salesblink.triggers.base import event, import_waiting, shared_client_for
from airflow_provider_salesblink.waiting.changes import KINDS, SHELVES, Cursor, of_kinds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterable, Iterator, Mapping

    from airflow.triggers.base import TriggerEvent

    from airflow_provider_salesblink.waiting.changes import Change, ChangeKind, Snapshot

log = logging.getLogger(__name__)

SHORTEST_INTERVAL = 5.0
"""Seconds. Events reach Airflow's database in about a second, which must be before the next poll is remembered."""

AFTER_REFUSAL = 300.0
"""Seconds until the next try if the connection cannot be used."""

MOST_CHANGES_PER_EVENT = 100
"""Maximum number of changes in one event."""


class ProspectEventTrigger(BaseEventTrigger):
    """Report changes to the people of a campaign, for an ``AssetWatcher`` (Airflow 3.0 and later).

    Each event's payload holds ``campaign_id`` and ``changes``, up to 100 of them: ``event`` (``appeared``, ``changed``
    or ``unsubscribed``), ``prospect_id`` and ``key``. It holds no address.

    On Airflow 3.3 it remembers what it saw in the asset's state, so no change is lost while no triggerer runs or when
    one is killed. It may then repeat its last changes, with the same ``key``. On 3.0 to 3.2 it reports changes from its
    start on. When it starts for the first time, it takes everybody in the campaign as known.

    :param campaign_id: the campaign's id.
    :param events: the kinds of changes to report, in any order; all by default.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: seconds between two polls, at least 5.
    :raises ValueError: an argument is invalid.
    """

    def __init__(
        self,
        *,
        campaign_id: str,
        events: Iterable[ChangeKind] = KINDS,
        salesblink_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = digits(campaign_id)
        given = list(events)
        # In one order, without repeats: Airflow identifies a watcher by these arguments.
        self.events = [kind for kind in KINDS if kind in given]
        self.salesblink_conn_id = salesblink_conn_id
        self.poll_interval = poll_interval
        if not given or isinstance(events, str) or any(each not in KINDS for each in given):
            shown = repr(events) if isinstance(events, str) else repr(given)
            raise ValueError(f"events is {shown}; it takes some of {', '.join(map(repr, KINDS))}.")
        if not campaign_id:
            raise ValueError("campaign_id is empty.")
        if poll_interval < SHORTEST_INTERVAL:
            raise ValueError(f"poll_interval is {poll_interval}; it must be at least {SHORTEST_INTERVAL:g} seconds.")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores."""
        names = ("campaign_id", "events", "salesblink_conn_id", "poll_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events with the changes. Airflow 3.0 to 3.2 calls this; requests are shared there too."""
        async with aclosing(_looks(self.salesblink_conn_id, self.campaign_id, self.poll_interval)) as looks:
            async for each in self._events(looks):
                yield each

    def shared_stream_key(self) -> Hashable | None:
        """Return a key that triggers with the same campaign and interval share, to share their snapshots."""
        return ("salesblink", self.salesblink_conn_id, self.campaign_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Yield a snapshot from each poll."""
        conn_id, campaign_id, interval = (kwargs[name] for name in _OF_STREAM)
        async with aclosing(_looks(conn_id, campaign_id, interval)) as looks:
            async for snapshot in looks:
                yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield events with the changes."""
        async for each in self._events(shared_stream):
            yield each

    async def _events(self, looks: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        # An asset may have several watchers, and each has reported other changes.
        scope = f"{self.salesblink_conn_id}:{self.campaign_id}:{','.join(sorted(self.events))}"
        memory = _Memory(getattr(self, "asset_state_store", None), scope)
        cursor = await memory.cursor()
        seen = -math.inf
        async for snapshot in looks:
            if cursor is None:
                cursor = Cursor()
                cursor.begin(snapshot)
                await memory.begin(cursor)
                continue
            # Snapshots of watchers with a shorter interval arrive here too.
            if time.monotonic() - seen < self.poll_interval * 0.9:
                continue
            seen = time.monotonic()
            # One poll late: by now the previous events have reached Airflow's database.
            await memory.keep(cursor)
            for batch in _in_batches(of_kinds(cursor.advance(snapshot), self.events)):
                yield event(campaign_id=self.campaign_id, changes=batch)


_OF_STREAM = ("salesblink_conn_id", "campaign_id", "poll_interval")


async def _looks(conn_id: str, campaign_id: str, interval: float) -> AsyncGenerator[Snapshot, None]:
    await import_waiting()
    from airflow_provider_salesblink.waiting.connection_reload import UnusableConnectionError
    from airflow_provider_salesblink.waiting.resources import CampaignPeople, EveryPerson

    while True:
        try:
            async with shared_client_for(conn_id) as shared:
                watched = shared.poller(CampaignPeople(campaign_id)).watch(EveryPerson(), interval=interval)
                async with aclosing(watched) as snapshots:
                    async for snapshot in snapshots:
                        yield snapshot
        except UnusableConnectionError as error:
            log.error("Campaign %s cannot be watched: %s", campaign_id, error)
            await asyncio.sleep(AFTER_REFUSAL)


class _Memory:
    """The asset's state, if this Airflow has one."""

    def __init__(self, store: Any, scope: str) -> None:  # noqa: ANN401
        self._store = store
        self._scope = scope

    async def cursor(self) -> Cursor | None:
        """Return what was seen before; None if nothing is remembered."""
        try:
            if self._store is None or not await self._store.aget(self._key("begun")):
                return None
        except ValueError:
            # Airflow runs one trigger for several assets if all its arguments are equal.
            log.warning(
                "Several assets share the same trigger, so it cannot remember what it saw: changes while no triggerer "
                "runs are not reported. Give each asset's trigger a different poll_interval."
            )
            self._store = None
            return None
        shelves = {name: await self._store.aget(self._key(name)) for name in SHELVES}
        return Cursor({name: shelf for name, shelf in shelves.items() if shelf})

    async def begin(self, cursor: Cursor) -> None:
        """Remember a campaign for the first time. Set ``begun`` last, so that an interrupted start does not count."""
        await self.keep(cursor)
        if self._store is not None:
            await self._store.aset(self._key("begun"), True)

    async def keep(self, cursor: Cursor) -> None:
        """Store the shelves that changed."""
        unsaved: Mapping[str, Any] = cursor.unsaved() if self._store is not None else {}
        for name, shelf in unsaved.items():
            await self._store.aset(self._key(name), shelf)

    def _key(self, name: str) -> str:
        return f"salesblink:{self._scope}:{name}"


def _in_batches(changes: Iterator[Change]) -> Iterator[list[Change]]:
    while batch := list(islice(changes, MOST_CHANGES_PER_EVENT)):
        yield batch
