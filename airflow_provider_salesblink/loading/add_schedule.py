"""When people may be added: in the hours of a window, and at most so many new people a day.

People are counted before they are sent, and the count is checked again right before each attempt. Nothing is given back
that may have been sent. So a crash in between wastes some of the day, and no day gets more people than it may.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import shared_store
from airflow_provider_salesblink.client.errors import BudgetSpentError
from airflow_provider_salesblink.loading.daily_counts import Counted, Day, FileCounts, RedisCounts
from airflow_provider_salesblink.loading.sending_window import SendingWindow, instant
from airflow_provider_salesblink.loading.store_retry import StoreCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.client.shared_store import StoreLocation
    from airflow_provider_salesblink.loading.daily_counts import DailyCounts
    from airflow_provider_salesblink.loading.options import RunOptions

log = logging.getLogger(__name__)

CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of two machines may differ. People who are sent this long before midnight count in both
days."""
_NOT_GIVEN_BACK = "People who were not added stay counted in %s (%s)."


def unix_time() -> float:
    """Return the time of day in Unix seconds."""
    return time.time()


class AddsPausedError(BudgetSpentError):
    """Nobody may be added now, because the day's people are added or the window is closed. Nothing was sent."""


@dataclass(frozen=True)
class Taken:
    """Which people of a group may be sent.

    :param given_up: people who were sent on several days and never showed.
    :param pause: why the others must wait.
    """

    may_be_sent: set[bytes]
    given_up: set[bytes] = field(default_factory=set)
    pause: AddsPausedError | None = None


class AddSchedule:
    """Says who may be added now. Threads may share it.

    :param window: the hours in which people may be added; None for always.
    :param ramp: counts the people of a day; None for no limit.
    :param now: returns the time in Unix seconds.
    """

    def __init__(self, window: SendingWindow | None, ramp: Ramp | None, now: Callable[[], float]) -> None:
        self._window = window
        self._ramp = ramp
        self._now = now

    def closed(self) -> AddsPausedError | None:
        """Return why nobody may be added now, because the window is closed; None while it is open."""
        if self._window is None:
            return None
        now = datetime.fromtimestamp(self._now(), UTC)
        wait = self._window.opens_in(now)
        if not wait:
            return None
        return _paused(
            f"sending_window ({self._window.text}) is closed", "It opens", now + wait, now, self._window.zone
        )

    def take(self, people: Sequence[bytes]) -> Taken:
        """Count people who are about to be sent, and return who of them may be.

        :raises ConnectionFailedError: when they cannot be counted.
        """
        if self._ramp is None:
            return Taken(set(people))
        now = self._now()
        found = self._ramp.take(people, now)
        waits = len(found.may_be_sent) + len(found.given_up) < len(people)
        return Taken(found.may_be_sent, found.given_up, self._full(self._ramp, found, now) if waits else None)

    def confirm(self, people: Sequence[bytes]) -> None:
        """Check right before people are sent that the window is open, and that they are counted in this day.

        :raises AddsPausedError: when one is not so.
        :raises NotReservedError: when the store of the counts cannot be used.
        """
        closed = self.closed()
        if closed:
            raise closed
        if self._ramp is not None:
            now = self._now()
            found = self._ramp.take(people, now, retries=False)
            if len(found.may_be_sent) < len(people):
                # It was another day when they were counted.
                raise self._full(self._ramp, found, now)

    def keep(self, people: Sequence[bytes]) -> None:
        """Note that people may have been added, so that they stay counted."""
        if self._ramp is not None:
            self._ramp.keep(people)

    def give_back(self, people: Sequence[bytes]) -> None:
        """Take people out of the count who were certainly not added, and never sent successfully before."""
        if self._ramp is not None:
            self._ramp.give_back(people)

    def _full(self, ramp: Ramp, found: Counted, unix_now: float) -> AddsPausedError:
        now = datetime.fromtimestamp(unix_now, UTC)
        begins = ramp.next_day(now)
        if self._window is not None:
            begins += self._window.opens_in(begins)
        return _paused(ramp.why_full(found, now), "Adds continue", begins, now, ramp.zone)


def _paused(why: str, what: str, at: datetime, now: datetime, zone: tzinfo) -> AddsPausedError:
    # A second more, because the clock of the triggerer may be a little ahead.
    wait = (at - now).total_seconds() + 1
    shown = at.astimezone(zone).isoformat(" ", timespec="minutes")
    return AddsPausedError(f"{why}. {what} at {shown}.", status=None, retry_after=wait)


class Ramp:
    """Counts the new people of a day, which all loads of a key share.

    :param most: how many new people may be added in a day.
    :param zone: whose days count.
    :param margin: seconds for which a request that is sent now may still take effect.
    :param hash_person: returns what stands for a person in the store.
    """

    def __init__(
        self,
        most: int,
        zone: tzinfo,
        margin: float,
        hash_person: Callable[[bytes], bytes],
        calls: StoreCalls,
        open_store: Callable[[], DailyCounts],
    ) -> None:
        self._most = most
        self.zone = zone
        self._margin = margin
        self._hash = hash_person
        self._calls = calls
        self._store = calls.open(open_store)
        self._returnable: set[bytes] = set()

    def take(self, people: Sequence[bytes], now: float, *, retries: bool = True) -> Counted:
        """Count people in the day of the time ``now``."""
        day = Day(self._today(now), now, now + self._margin, self._most)
        hashes = {self._hash(who): who for who in people}
        call = self._calls.retry if retries else self._calls.once
        found = call(lambda: self._store.take(list(hashes), day))
        self._returnable |= found.new
        may_be_sent, new, given_up = (
            {hashes[each] for each in part} for part in (found.may_be_sent, found.new, found.given_up)
        )
        return Counted(may_be_sent, new, given_up, found.complete_since)

    def keep(self, people: Sequence[bytes]) -> None:
        """Note that people may have been added."""
        self._returnable.difference_update(map(self._hash, people))

    def give_back(self, people: Sequence[bytes]) -> None:
        """Take people out of the count who were certainly not added, and who this load has counted."""
        hashes = [each for each in map(self._hash, people) if each in self._returnable]
        if hashes:
            self._calls.attempt(lambda: self._store.give_back(hashes), _NOT_GIVEN_BACK)
            self._returnable.difference_update(hashes)

    def next_day(self, now: datetime) -> datetime:
        """Return when the next day begins."""
        return instant(now.astimezone(self.zone).date() + timedelta(days=1), 0, self.zone)

    def why_full(self, found: Counted, now: datetime) -> str:
        """Return why nobody more may be added in this day."""
        if found.complete_since > self._today(now.timestamp()) - self._margin:
            return (
                f"{self._calls.name} was restarted or emptied today, so it may have forgotten who was added today: "
                "nobody more is added in this day, because it could exceed daily_new_people"
            )
        return f"The {self._most:,} new people of this day (daily_new_people) are counted, for all loads with this key"

    def _today(self, now: float) -> float:
        return instant(datetime.fromtimestamp(now, self.zone).date(), 0, self.zone).timestamp()


def open_schedule(client: SalesBlinkClient, target_id: str, run: RunOptions, settling_time: float) -> AddSchedule:
    """Return when the people of a load may be added.

    :param target_id: the campaign or the list.
    :param settling_time: seconds for which a sent request may still take effect.
    :raises ConnectionFailedError: when the place of the counts cannot be used.
    """
    window, now = run.window, run.now or unix_time
    most = run.new_people_a_day
    if most is None:
        return AddSchedule(window, None, now)
    key = client.addresses.key_for("people who were added in a day")

    def hash_person(who: bytes) -> bytes:
        return hashlib.blake2b(target_id.encode() + b"\n" + who, key=key, digest_size=16).digest()

    zone, margin = window.zone if window else UTC, settling_time + CLOCKS_DIFFER
    return AddSchedule(window, Ramp(most, zone, margin, hash_person, *_store(client.shared, run)), now)


def _store(location: StoreLocation, run: RunOptions) -> tuple[StoreCalls, Callable[[], DailyCounts]]:
    calls = partial(StoreCalls, failure="New people cannot be counted", danger="daily_new_people could be exceeded")
    if location.path:
        file = location.path.with_suffix(".added.sqlite")
        return calls(str(file), (OSError, sqlite3.Error), run.sleep), partial(FileCounts, file, location.key_hash)
    errors, is_away = shared_store.redis_errors(), shared_store.is_redis_unavailable
    server = calls(shared_store.REDIS_SERVER, errors, run.sleep, is_away)
    return server, lambda: RedisCounts(shared_store.connect_redis(location.redis_url), location.key_hash)
