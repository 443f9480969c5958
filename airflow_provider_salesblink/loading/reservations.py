"""Who is about to be added by whom: two loads that hold the same person do not both send them.

A reservation is kept after the person was added, until it expires: another load may have read the campaign before that.
So a load must not rely on a reading of the campaign that is older than half of :data:`HELD_FOR`, nor on one from before
the store forgot anything, a clock was set, or somebody was taken over from another load; and it sends nobody whose
reservation the store does not hold right then, and lets it begin anew with that.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_salesblink.client import shared_store
from airflow_provider_salesblink.client.errors import ConnectionFailedError, SalesBlinkError
from airflow_provider_salesblink.loading.reservations_file import FileReservations
from airflow_provider_salesblink.loading.reservations_redis import HELD_FOR, RedisReservations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow_provider_salesblink.client.shared_store import StoreLocation
    from airflow_provider_salesblink.loading.reservations_redis import Holder

log = logging.getLogger(__name__)

LONGEST_UNSENT = HELD_FOR / 2
"""Seconds for which a reading of the campaign is relied on, and for which an add may wait to be sent: half as long as a
reservation lasts, so that it outlives both."""

SETTLING_TIME = 30.0
"""Seconds for which a request may be under way."""

ASKED_AGAIN, BETWEEN = 12, 5.0
"""How often a store that is away is asked again before a load gives up, and after how many seconds each time."""

CLOCK_TOLERANCE = 2.0
"""Seconds by which the two clocks may come apart from one look at them to the next, as clocks that are adjusted do."""

Told = TypeVar("Told")


class NotReservedError(SalesBlinkError):
    """Somebody's reservation is gone, or the store cannot tell. They were not sent."""


class Reservations(Protocol):
    """A store of reservations for one campaign and one load."""

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now. The others are another load's."""

    def about_to_send(self, who: bytes) -> bool:
        """Whether a person is reserved for this load, right now; then the reservation starts again.

        Notes that the load is at work, too: what is under way is never older than that.
        """

    def known_since(self) -> float:
        """Since when, by the monotonic clock, no reservation was forgotten, as far as the last :meth:`take` tells.

        Whom others had reserved and sent before that, only the campaign tells.
        """

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle, to be looked for after that before they are sent."""

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last sent; infinite if none."""

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""


def reservations(
    location: StoreLocation,
    scope: str,
    owner: str,
    *,
    held_for: float = HELD_FOR,
    settling_time: float = SETTLING_TIME,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> PatientReservations:
    """The reservations for ``scope`` at the location that the users of a key share.

    :param scope: what the people are reserved for: a campaign.
    :param owner: the load; the same again after it was killed, so that it need not wait for its own reservations.
    :param settling_time: seconds for which a request may be under way.
    :param sleep: how to wait for a store that is away.
    :raises ConnectionFailedError: the location cannot be used.
    """
    scope = f"{location.key_hash}:{scope}"
    if path := location.path:
        file = path.with_suffix(".reserved.sqlite")
        opened = partial(FileReservations, file, scope, owner, held_for=held_for)
        return PatientReservations(
            opened, str(file), (OSError, sqlite3.Error), settling_time=settling_time, sleep=sleep
        )
    errors = shared_store.redis_errors()
    opened_there = partial(_opened, location.redis_url, scope, owner, held_for)
    return PatientReservations(
        opened_there,
        shared_store.REDIS_SERVER,
        errors,
        settling_time=settling_time,
        sleep=sleep,
        is_away=shared_store.is_redis_unavailable,
    )


def _opened(url: str, scope: str, owner: str, held_for: float) -> RedisReservations:
    return RedisReservations(shared_store.connect_redis(url), scope, owner, held_for=held_for)


def wait_for_earlier_run(own: PatientReservations, settling_time: float, sleep: Callable[[float], None]) -> None:
    """Wait until the server has surely done with what an earlier run of the same owner sent before it was killed."""
    rest = settling_time - own.left_at_work()
    if rest > 0:
        log.info("An earlier run did not finish: what it sent may still be under way; waiting %.0f s.", rest)
        sleep(rest)


class PatientReservations:
    """Reservations whose store may be away for a while, and tells in words when it cannot be used.

    :param opened: opens the store.
    :param name: what the store is called in errors.
    :param errors: what it raises when it cannot be used.
    :param is_away: whether such an error means that it is away for now: then it is asked again for about a minute.
    """

    def __init__(
        self,
        opened: Callable[[], Reservations],
        name: str,
        errors: tuple[type[Exception], ...],
        *,
        settling_time: float,
        sleep: Callable[[float], None],
        is_away: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._name = name
        self._errors = errors
        self._is_away = is_away
        self._settling_time = settling_time
        self._sleep = sleep
        self._clocks_apart = _clocks_apart()
        self._clock_set = -math.inf
        try:
            self._store = opened()
        except errors as error:
            raise self._unusable(error) from None

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now. The others are another load's.

        Waits where the store has forgotten what others have under way, until that has come to its end.
        """
        own = self._patiently(lambda: self._store.take(people))
        rest = self.known_since() - time.monotonic()
        if rest > 0:
            log.warning(
                "Who is being added may be forgotten in %s (it was started anew, or a clock was set): waiting %.0f s, "
                "then looking.", self._name, rest,
            )  # fmt: skip
            self._sleep(rest)
        return own

    def confirm(self, who: bytes) -> None:
        """Check that a person is reserved for this load, right before they are sent; told at once or not at all.

        :raises NotReservedError: they are not, or it cannot be told.
        """
        try:
            is_held = self._store.about_to_send(who)
        except self._errors as error:
            raise _not_sent(f"{self._name} cannot be used ({type(error).__name__})") from None
        if not is_held:
            raise _not_sent(f"{self._name} does not hold the person's reservation any more")

    def known_since(self) -> float:
        """Since when, by the monotonic clock, it is known who was sent: by the store, or by looking after that."""
        apart = _clocks_apart()
        # Reservations end by one, readings of the campaign grow old by the other: one was set, or the machine slept.
        if abs(apart - self._clocks_apart) > CLOCK_TOLERANCE:
            self._clock_set = time.monotonic()
        self._clocks_apart = apart
        return max(self._store.known_since(), self._clock_set) + self._settling_time

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""
        return self._patiently(lambda: self._store.idle_owner(who))

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""
        return self._patiently(lambda: self._store.holders(people))

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle, to be looked for after that before they are sent."""
        return self._patiently(lambda: self._store.take_over(who, idle_owner))

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last reserved; infinite if none."""
        return self._patiently(self._store.left_at_work)

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        self._if_possible(lambda: self._store.release(people))

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""
        self._if_possible(self._store.finish)

    def _patiently(self, ask: Callable[[], Told]) -> Told:
        for asked in range(ASKED_AGAIN):
            try:
                return ask()
            except self._errors as error:
                if not self._is_away(error):
                    raise self._unusable(error) from None
                if not asked:
                    log.warning(
                        "People cannot be reserved in %s (%s): nobody is added until it is back; waiting for it for "
                        "about %.0f s.", self._name, type(error).__name__, ASKED_AGAIN * BETWEEN,
                    )  # fmt: skip
            self._sleep(BETWEEN)
        try:
            return ask()
        except self._errors as error:
            raise self._unusable(error) from None

    def _if_possible(self, ask: Callable[[], None]) -> None:
        # What is not given up ends by itself, later. It is no reason to fail when the work is done.
        try:
            ask()
        except self._errors as error:
            log.info(
                "Reservations in %s cannot be given up (%s); they end by themselves.", self._name, type(error).__name__
            )

    def _unusable(self, error: Exception) -> ConnectionFailedError:
        return ConnectionFailedError(
            f"People cannot be reserved in {self._name} ({type(error).__name__}), and without that somebody could "
            "be added twice. Mend it, or point pacing_url elsewhere (empty: a file on this machine)."
        )


def _clocks_apart() -> float:
    return time.time() - time.monotonic()


def _not_sent(why: str) -> NotReservedError:
    return NotReservedError(f"{why}; nothing was sent, since somebody could be added twice.")
