"""A trigger for asset watchers: it starts DAGs when a campaign's people change."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.triggers import BaseEventTrigger

from airflow_provider_salesblink.argument_types import digits
from airflow_provider_salesblink.choices import ALL
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID
from airflow_provider_salesblink.triggers.base import event, import_waiting, shared_client_for
from airflow_provider_salesblink.triggers.merging import merged
from airflow_provider_salesblink.waiting.changes import KINDS, SHELVES, Cursor, of_kinds
from airflow_provider_salesblink.waiting.feed_cursor import FEED_KINDS, FEED_SHELVES, FeedCursor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from airflow.triggers.base import TriggerEvent

    from airflow_provider_salesblink.waiting.changes import ChangeKind, Snapshot
    from airflow_provider_salesblink.waiting.feed_cursor import FeedKind
    from airflow_provider_salesblink.waiting.resources import Resource

    Watched = Callable[[], tuple[Resource, object]]

log = logging.getLogger(__name__)

SHORTEST_INTERVAL = 5.0
"""Seconds. Events reach Airflow's database in about a second, which must be before the next poll is remembered."""

AFTER_REFUSAL = 300.0
"""Seconds until the next try if the connection cannot be used."""

MOST_CHANGES_PER_EVENT = 100
"""Maximum number of changes in one event."""

ALL_KINDS = (*KINDS, *FEED_KINDS)

USUAL_LOOKBACK = 24 * 3600.0
"""Seconds."""

LONGEST_LOOKBACK = 366 * USUAL_LOOKBACK


class ProspectEventTrigger(BaseEventTrigger):
    """Report what happens to the people of a campaign, for an ``AssetWatcher`` (Airflow 3.0 and later).

    ``appeared``, ``changed`` and ``unsubscribed`` come from a comparison of the campaign's people. ``replied``,
    ``opened``, ``clicked`` and ``bounced`` come from SalesBlink's feeds of events, and need API v1.

    Each event's payload holds ``campaign_id`` and ``changes``, up to 100 of them: ``event``, ``prospect_id`` and
    ``key``. Events of feeds also hold ``person``, the hash of the address that ``SalesBlinkHook.address_hash`` returns;
    their ``prospect_id`` is None if the feed does not show it. The payload holds no address.

    On Airflow 3.3 it remembers what it saw in the asset's state, so no change is lost while no triggerer runs or when
    one is killed. It may then repeat its last changes, with the same ``key``. On 3.0 to 3.2 it reports changes from its
    start on. When it starts for the first time, it takes everybody in the campaign and all events so far as known.

    :param campaign_id: the campaign's id. A trigger watches one campaign, so "all" is refused.
    :param events: the kinds to report, in any order; by default the three that work on both APIs.
    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: seconds between two polls, at least 5.
    :param lookback: seconds by which an event of a feed may arrive late; one day by default. Each poll reads that time
        again, at one request for each 100 events of a feed.
    :raises ValueError: an argument is invalid.
    """

    def __init__(
        self,
        *,
        campaign_id: str,
        events: Iterable[ChangeKind | FeedKind] = KINDS,
        salesblink_conn_id: str = DEFAULT_CONN_ID,
        poll_interval: float = 60.0,
        lookback: float = USUAL_LOOKBACK,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.campaign_id = digits(campaign_id)
        given = list(events)
        # In one order, without repeats: Airflow identifies a watcher by these arguments.
        self.events = [kind for kind in ALL_KINDS if kind in given]
        self.salesblink_conn_id = salesblink_conn_id
        self.poll_interval = poll_interval
        self.lookback = lookback
        if not given or isinstance(events, str) or any(each not in ALL_KINDS for each in given):
            shown = repr(events) if isinstance(events, str) else repr(given)
            raise ValueError(f"events is {shown}; it takes some of {', '.join(map(repr, ALL_KINDS))}.")
        if not campaign_id:
            raise ValueError("campaign_id is empty.")
        if campaign_id == ALL:
            raise ValueError(f"campaign_id is {ALL!r}, but a trigger watches one campaign: pass the id of a campaign.")
        if poll_interval < SHORTEST_INTERVAL:
            raise ValueError(f"poll_interval is {poll_interval}; it must be at least {SHORTEST_INTERVAL:g} seconds.")
        if not _is_lookback(lookback):
            raise ValueError(f"lookback is {lookback!r}; give seconds, more than 0 and at most {LONGEST_LOOKBACK:.0f}.")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores."""
        names = ["campaign_id", "events", "salesblink_conn_id", "poll_interval"]
        # Only if used: Airflow identifies a watcher by these arguments, and those of earlier versions have no lookback.
        names += ["lookback"] if self._feeds else []
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events with the changes. All triggers of a triggerer share their requests.

        Airflow 3.3 calls this only for triggers of feeds, earlier versions for all.
        """
        store = await usable_store(self)
        async with aclosing(merged([each async for each in self._streams(store)])) as events:
            async for each in events:
                yield each

    def shared_stream_key(self) -> Hashable | None:
        """Return a key that triggers with the same campaign and interval share, to share their snapshots.

        A trigger of feeds has none. Where to read a feed from depends on what this trigger remembers, which a shared
        stream does not know. It shares its requests through the connection's client instead.
        """
        return None if self._feeds else ("salesblink", self.salesblink_conn_id, self.campaign_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Yield a snapshot from each poll."""
        conn_id, campaign_id, interval = (kwargs[name] for name in _OF_STREAM)
        async with aclosing(polled(conn_id, campaign_id, interval, _people(campaign_id))) as looks:
            async for snapshot in looks:
                yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield events with the changes."""
        memory = self._memory(await usable_store(self), SHELVES)
        async for each in self._reported(shared_stream, Cursor(await memory.shelves()), memory):
            yield each

    @property
    def _feeds(self) -> list[FeedKind]:
        return [kind for kind in FEED_KINDS if kind in self.events]

    async def _streams(self, store: Any) -> AsyncIterator[AsyncGenerator[TriggerEvent, None]]:  # noqa: ANN401
        """Yield a stream of events for each feed, and one for the comparison of people."""
        if len(self._feeds) < len(self.events):
            memory = self._memory(store, SHELVES)
            yield self._watch(_people(self.campaign_id), Cursor(await memory.shelves()), memory)
        for kind in self._feeds:
            memory = self._memory(store, FEED_SHELVES, kind)
            cursor = FeedCursor(int(self.lookback * 1000), await memory.shelves())
            yield self._watch(_feed(kind, self.campaign_id, cursor), cursor, memory)

    async def _watch(self, watched: Watched, cursor: _Cursor, memory: _Memory) -> AsyncGenerator[TriggerEvent, None]:
        looks = polled(self.salesblink_conn_id, self.campaign_id, self.poll_interval, watched)
        async with aclosing(looks):
            async for each in self._reported(looks, cursor, memory):
                yield each

    def _memory(self, store: Any, names: Sequence[str], *feed: str) -> _Memory:  # noqa: ANN401
        # An asset may have several watchers, and each has reported other changes.
        scope = ":".join([self.salesblink_conn_id, self.campaign_id, ",".join(sorted(self.events)), *feed])
        return _Memory(store, scope, names)

    async def _reported(
        self, looks: AsyncIterator[Any], cursor: _Cursor, memory: _Memory
    ) -> AsyncGenerator[TriggerEvent, None]:
        seen = -math.inf
        async for look in looks:
            if not memory.begun:
                cursor.begin(look)
                await memory.begin(cursor)
                continue
            # Looks of watchers with a shorter interval arrive here too.
            if time.monotonic() - seen < self.poll_interval * 0.9:
                continue
            seen = time.monotonic()
            # One poll late: by now the previous events have reached Airflow's database.
            await memory.keep(cursor)
            for batch in _in_batches(of_kinds(cursor.advance(look), self.events)):
                yield event(campaign_id=self.campaign_id, changes=batch)


async def usable_store(trigger: BaseEventTrigger) -> Any:  # noqa: ANN401  # Airflow's, from 3.3 on
    """Return the state of a trigger's asset; None if there is none to use."""
    store = getattr(trigger, "asset_state_store", None)
    try:
        if store is not None:
            await store.aget("salesblink")
    except ValueError:
        # Airflow runs one trigger for several assets if all its arguments are equal.
        log.warning(
            "Several assets share the same trigger, so it cannot remember what it saw: changes while no triggerer "
            "runs are not reported. Give each asset's trigger a different poll_interval."
        )
        return None
    return store


def _is_lookback(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value <= LONGEST_LOOKBACK


_OF_STREAM = ("salesblink_conn_id", "campaign_id", "poll_interval")


class _Cursor(Protocol):
    """What a stream knows already: :class:`Cursor` of people, or :class:`FeedCursor` of events."""

    def begin(self, look: Any, /) -> None: ...  # noqa: ANN401

    def advance(self, look: Any, /) -> Iterator[Mapping[str, str | None]]: ...  # noqa: ANN401

    def unsaved(self) -> Mapping[str, Any]: ...


# Functions that return what to poll and what to look for, because importing that takes time.
def _people(campaign_id: str) -> Watched:
    def watched() -> tuple[Resource, object]:
        from airflow_provider_salesblink.waiting.resources import CampaignPeople, EveryPerson

        return CampaignPeople(campaign_id), EveryPerson()

    return watched


def _feed(kind: FeedKind, campaign_id: str, cursor: FeedCursor) -> Watched:
    def watched() -> tuple[Resource, object]:
        from airflow_provider_salesblink.waiting.feeds import Feed, NewEvents

        return Feed(kind), NewEvents(campaign_id, cursor)

    return watched


async def polled(conn_id: str, campaign_id: str, interval: float, watched: Watched) -> AsyncGenerator[Any, None]:
    """Yield what each poll shows, without end. While the connection cannot be used, log why and try again later.

    :param watched: returns what to poll and what to look for.
    """
    await import_waiting()
    from airflow_provider_salesblink.waiting.connection_reload import UnusableConnectionError

    while True:
        try:
            async with shared_client_for(conn_id) as shared:
                resource, condition = watched()
                async with aclosing(shared.poller(resource).watch(condition, interval=interval)) as looks:
                    async for look in looks:
                        yield look
        except UnusableConnectionError as error:
            log.error("Campaign %s cannot be watched: %s", campaign_id, error)
            await asyncio.sleep(AFTER_REFUSAL)


class _Memory:
    """The asset's state, if this Airflow has one.

    :param names: the names of the shelves that a cursor's ``unsaved`` may return.
    """

    def __init__(self, store: Any, scope: str, names: Sequence[str]) -> None:  # noqa: ANN401
        self._store = store
        self._scope = scope
        self._names = names
        self.begun = False

    async def shelves(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what was seen before; nothing if nothing is remembered."""
        if self._store is None or not await self._store.aget(self._key("begun")):
            return {}
        self.begun = True
        found = {name: await self._store.aget(self._key(name)) for name in self._names}
        return {name: shelf for name, shelf in found.items() if shelf}

    async def begin(self, cursor: _Cursor) -> None:
        """Remember a campaign for the first time. Set ``begun`` last, so that an interrupted start does not count."""
        await self.keep(cursor)
        if self._store is not None:
            await self._store.aset(self._key("begun"), True)
        self.begun = True

    async def keep(self, cursor: _Cursor) -> None:
        """Store the shelves that changed."""
        unsaved: Mapping[str, Any] = cursor.unsaved() if self._store is not None else {}
        for name, shelf in unsaved.items():
            await self._store.aset(self._key(name), shelf)

    def _key(self, name: str) -> str:
        return f"salesblink:{self._scope}:{name}"


def _in_batches(changes: Iterator[Mapping[str, str | None]]) -> Iterator[list[Mapping[str, str | None]]]:
    while batch := list(islice(changes, MOST_CHANGES_PER_EVENT)):
        yield batch
