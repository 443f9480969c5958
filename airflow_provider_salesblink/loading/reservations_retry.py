"""Reservations whose store may be unreachable for a while: opened here, retried, and checked before each send."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import shared_store
from airflow_provider_salesblink.loading.reservations import HELD_FOR
from airflow_provider_salesblink.loading.reservations_file import FileReservations
from airflow_provider_salesblink.loading.reservations_redis import RedisReservations
from airflow_provider_salesblink.loading.store_retry import StoreCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow_provider_salesblink.client.shared_store import StoreLocation
    from airflow_provider_salesblink.loading.reservations import Holder, Reservations

log = logging.getLogger(__name__)

SETTLING_TIME = 30.0
"""Seconds for which a sent request may still take effect."""

_NOT_RELEASED = "Reservations in %s cannot be released (%s); they expire later."
"""A reservation that is not released expires. That is not a reason to fail when the work is done."""

CLOCK_TOLERANCE = 2.0
"""Seconds by which the two clocks may drift apart between two readings, as adjusted clocks do."""


def open_reservations(
    location: StoreLocation,
    scope: str,
    owner: str,
    *,
    held_for: float = HELD_FOR,
    settling_time: float = SETTLING_TIME,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> RetryingReservations:
    """Return the reservations for ``scope`` at the location that the users of a key share.

    :param scope: what the people are reserved for: a campaign.
    :param owner: the load's name. A load that was killed uses it again, so that it need not wait for its own
        reservations.
    :param settling_time: seconds for which a sent request may still take effect.
    :param sleep: how to wait for a store that is unreachable.
    :raises ConnectionFailedError: when the location cannot be used.
    """
    scope = f"{location.key_hash}:{scope}"
    if path := location.path:
        file = path.with_suffix(".reserved.sqlite")
        open_file = partial(FileReservations, file, scope, owner, held_for=held_for)
        calls = StoreCalls(str(file), (OSError, sqlite3.Error), sleep)
        return RetryingReservations(open_file, calls, settling_time=settling_time)
    calls = StoreCalls(shared_store.REDIS_SERVER, shared_store.redis_errors(), sleep, shared_store.is_redis_unavailable)
    open_server = partial(_open_redis, location.redis_url, scope, owner, held_for)
    return RetryingReservations(open_server, calls, settling_time=settling_time)


def _open_redis(url: str, scope: str, owner: str, held_for: float) -> RedisReservations:
    return RedisReservations(shared_store.connect_redis(url), scope, owner, held_for=held_for)


def wait_for_earlier_run(own: RetryingReservations, settling_time: float, sleep: Callable[[float], None]) -> None:
    """Wait until requests that an earlier run of the same owner sent before it was killed can no longer take effect."""
    rest = settling_time - own.idle_for()
    if rest > 0:
        log.info("An earlier run did not finish, and its requests may still be under way: waiting %.0f s.", rest)
        sleep(rest)


class RetryingReservations:
    """Reservations that retry an unreachable store, and raise errors that say what to do.

    :param open_store: opens the store.
    :param calls: makes the calls to it.
    """

    def __init__(self, open_store: Callable[[], Reservations], calls: StoreCalls, *, settling_time: float) -> None:
        self._calls = calls
        self._settling_time = settling_time
        self._clock_difference = _clock_difference()
        self._clock_set_at = -math.inf
        self._store = calls.open(open_store)

    def acquire(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; return those of ``people`` that it holds now. Other loads hold the rest.

        If the store may have lost other loads' reservations, wait until their requests have taken effect.
        """
        own = self._calls.retry(lambda: self._store.acquire(people))
        rest = self.complete_since() - time.monotonic()
        if rest > 0:
            log.warning(
                "Reservations may be lost in %s (it was restarted, or a clock was set): waiting %.0f s, then reading "
                "the campaign again.", self._calls.name, rest,
            )  # fmt: skip
            self._calls.sleep(rest)
        return own

    def confirm(self, people: Sequence[bytes]) -> None:
        """Renew the reservations of people right before they are sent. Does not retry.

        :raises NotReservedError: when this load does not hold all of them, or the store cannot be used.
        """
        if not self._calls.once(lambda: self._store.renew(people)):
            raise self._calls.not_sent(f"{self._calls.name} does not hold the person's reservation any more")

    def held(self, people: Sequence[bytes]) -> set[bytes]:
        """Return those of ``people`` that this load, or an earlier run of it, has reserved."""
        return self._calls.retry(lambda: self._store.held(people))

    def complete_since(self) -> float:
        """Return the monotonic time from which a reading of the campaign and the store together show every send."""
        difference = _clock_difference()
        # Reservations expire by one clock, readings of the campaign by the other. If the clocks moved apart, one was
        # set, or the machine slept.
        if abs(difference - self._clock_difference) > CLOCK_TOLERANCE:
            self._clock_set_at = time.monotonic()
        self._clock_difference = difference
        return max(self._store.complete_since(), self._clock_set_at) + self._settling_time

    def idle_owner(self, who: bytes) -> str | None:
        """Return the owner of a person's reservation if it is idle; None if it is active or there is none."""
        return self._calls.retry(lambda: self._store.idle_owner(who))

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""
        return self._calls.retry(lambda: self._store.holders(people))

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner that is still idle; return whether it worked.

        Look the person up in the campaign after that, before sending them: the idle owner may have added them.
        """
        return self._calls.retry(lambda: self._store.take_over(who, idle_owner))

    def idle_for(self) -> float:
        """Return the seconds since an unfinished earlier run of this load was active; infinite if there is none."""
        return self._calls.retry(self._store.idle_for)

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        self._calls.attempt(lambda: self._store.release(people), _NOT_RELEASED)

    def finish(self) -> None:
        """Mark the load as idle: none of its requests is under way."""
        self._calls.attempt(self._store.finish, _NOT_RELEASED)


def _clock_difference() -> float:
    return time.time() - time.monotonic()
