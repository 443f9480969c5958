"""Who is about to be added by whom: two loads that hold the same person do not both send them.

A reservation is kept after the person was added, until it expires: another load may have read the campaign before that.
So a load must not rely on a reading of the campaign that is older than :data:`HELD_FOR`.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from airflow_provider_salesblink.client.errors import ConnectionFailedError
from airflow_provider_salesblink.client.pacing import REDIS_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from redis import Redis

    from airflow_provider_salesblink.client.places import Place

log = logging.getLogger(__name__)

HELD_FOR = 900.0
"""Seconds. Long enough for a client's attempts at one call; what a dead load has reserved is free after it."""

LONGEST_UNSENT = HELD_FOR / 2
"""Seconds for which a reading of the campaign is relied on, and for which an add may wait to be sent: both together are
no longer than a reservation lasts."""

LOCK_TIMEOUT = 60.0


class Reservations(Protocol):
    """A store of reservations for one campaign and one load."""

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now. The others are another load's."""

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle; only after looking for the person since then."""

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last reserved; infinite if none."""

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""


def reservations(place: Place, scope: str, owner: str, *, held_for: float = HELD_FOR) -> Reservations:
    """The reservations for ``scope`` at the place that the users of a key share.

    :param scope: what the people are reserved for: a campaign.
    :param owner: the load; the same again after it was killed, so that it need not wait for its own reservations.
    :raises ConnectionFailedError: the place cannot be used; so do all methods.
    """
    scope = f"{place.name}:{scope}"
    if path := place.path:
        file = path.with_suffix(".reserved.sqlite")
        opened = partial(FileReservations, file, scope, owner, held_for=held_for)
        return _Told(opened, str(file), (OSError, sqlite3.Error))
    from redis import Redis, RedisError

    redis = Redis.from_url(place.redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)
    opened_there = partial(RedisReservations, redis, scope, owner, held_for=held_for)
    return _Told(opened_there, "the Redis server of pacing_url", (OSError, RedisError))


def wait_for_earlier_run(own: Reservations, settle: float, sleep: Callable[[float], None]) -> None:
    """Wait until the server has surely done with what an earlier run of the same owner sent before it was killed."""
    rest = settle - own.left_at_work()
    if rest > 0:
        log.info("An earlier run did not finish: what it sent may still be under way; waiting %.0f s.", rest)
        sleep(rest)


class _Told:
    """Reservations whose store tells in words when it cannot be used."""

    def __init__(self, opened: Callable[[], Reservations], name: str, errors: tuple[type[Exception], ...]) -> None:
        self._name = name
        self._errors = errors
        with self._telling():
            self._inner = opened()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise ConnectionFailedError(
                f"People cannot be reserved in {self._name} ({type(error).__name__}), and without that somebody could "
                "be added twice. Mend it, or point pacing_url elsewhere (empty: a file on this machine)."
            ) from None

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        with self._telling():
            return self._inner.take(people)

    def idle_owner(self, who: bytes) -> str | None:
        with self._telling():
            return self._inner.idle_owner(who)

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        with self._telling():
            return self._inner.take_over(who, idle_owner)

    def release(self, people: Sequence[bytes]) -> None:
        with self._telling():
            self._inner.release(people)

    def left_at_work(self) -> float:
        with self._telling():
            return self._inner.left_at_work()

    def finish(self) -> None:
        with self._telling():
            self._inner.finish()


class FileReservations:
    """Reservations in a file that the processes of this machine share."""

    def __init__(self, path: Path, scope: str, owner: str, *, held_for: float = HELD_FOR) -> None:
        self._path = path
        self._scope = scope
        self._owner = owner
        self._held_for = held_for
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database:
            # No write-ahead log: switching to it does not wait for others who open the file at the same moment.
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "CREATE TABLE IF NOT EXISTS reservation "
                "(scope TEXT, person BLOB, owner TEXT, until REAL, PRIMARY KEY (scope, person)) WITHOUT ROWID"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS at_work (scope TEXT, owner TEXT, since REAL, PRIMARY KEY (scope, owner))"
            )
            database.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=LOCK_TIMEOUT, isolation_level=None)

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now."""
        now = time.time()
        with closing(self._open()) as database:
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM reservation WHERE until < ?", (now,))
            own = {who for who in people if self._taken(database, who, now)}
            database.execute("DELETE FROM at_work WHERE since < ?", (now - self._held_for,))
            database.execute("INSERT OR REPLACE INTO at_work VALUES (?, ?, ?)", (self._scope, self._owner, now))
            database.execute("COMMIT")
        return own

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT owner FROM reservation WHERE scope = ? AND person = ? AND NOT EXISTS "
                "(SELECT * FROM at_work WHERE at_work.scope = reservation.scope AND at_work.owner = reservation.owner)",
                (self._scope, who),
            ).fetchone()
        return str(found[0]) if found else None

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle."""
        now = time.time()
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            taken = database.execute(
                "UPDATE reservation SET owner = ?, until = ? "
                "WHERE scope = ? AND person = ? AND owner = ? AND NOT EXISTS "
                "(SELECT * FROM at_work WHERE at_work.scope = reservation.scope AND at_work.owner = reservation.owner)",
                (self._owner, now + self._held_for, self._scope, who, idle_owner),
            ).rowcount
            database.execute("INSERT OR REPLACE INTO at_work VALUES (?, ?, ?)", (self._scope, self._owner, now))
            database.execute("COMMIT")
        return bool(taken)

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        with closing(self._open()) as database:
            database.executemany(
                "DELETE FROM reservation WHERE scope = ? AND person = ? AND owner = ?",
                [(self._scope, who, self._owner) for who in people],
            )

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last reserved; infinite if none."""
        with closing(self._open()) as database:
            found = database.execute(
                "SELECT since FROM at_work WHERE scope = ? AND owner = ?", (self._scope, self._owner)
            ).fetchone()
        return max(0.0, time.time() - found[0]) if found else math.inf

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""
        with closing(self._open()) as database:
            database.execute("DELETE FROM at_work WHERE scope = ? AND owner = ?", (self._scope, self._owner))

    def _taken(self, database: sqlite3.Connection, who: bytes, now: float) -> bool:
        return bool(
            database.execute(
                "INSERT INTO reservation VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET until = excluded.until WHERE owner = excluded.owner",
                (self._scope, who, self._owner, now + self._held_for),
            ).rowcount
        )


_TAKE = """
local taken = {}
for place, name in ipairs(KEYS) do
    local is_new = redis.call('SET', name, ARGV[1], 'NX', 'PX', ARGV[2])
    local own = is_new or redis.call('GET', name) == ARGV[1]
    if own and not is_new then redis.call('PEXPIRE', name, ARGV[2]) end
    taken[place] = own and 1 or 0
end
return taken
"""
"""Reserves people, or anew those that are the owner's already, and answers 1 for each that is."""

_TAKE_OVER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[3], '', 'PX', ARGV[3])
return 1
"""

_RELEASE = """
for _, name in ipairs(KEYS) do
    if redis.call('GET', name) == ARGV[1] then redis.call('DEL', name) end
end
"""


class RedisReservations:
    """Reservations in a Redis server that machines share."""

    def __init__(self, redis: Redis, scope: str, owner: str, *, held_for: float = HELD_FOR) -> None:
        self._redis = redis
        self._scope = scope
        self._owner = owner.encode()
        self._held_for = int(held_for * 1000)
        self._at_work = self._work_of(owner)
        self._take = redis.register_script(_TAKE)
        self._take_over = redis.register_script(_TAKE_OVER)
        self._release = redis.register_script(_RELEASE)

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now."""
        self._redis.set(self._at_work, "", px=self._held_for)
        answers = self._take(keys=self._names(people), args=[self._owner, self._held_for])
        return {who for who, taken in zip(people, answers, strict=True) if taken}

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""
        (name,) = self._names([who])
        held = cast("bytes | None", self._redis.get(name))
        owner = held.decode() if held is not None else None
        return None if owner is None or self._redis.exists(self._work_of(owner)) else owner

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle."""
        keys = [*self._names([who]), self._work_of(idle_owner), self._at_work]
        return bool(self._take_over(keys=keys, args=[idle_owner, self._owner, self._held_for]))

    def _work_of(self, owner: str) -> str:
        return f"salesblink:at-work:{self._scope}:{owner}"

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        self._release(keys=self._names(people), args=[self._owner])

    def _names(self, people: Sequence[bytes]) -> list[str]:
        return [f"salesblink:reserved:{self._scope}:{who.hex()}" for who in people]

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last reserved; infinite if none."""
        left = self._redis.pttl(self._at_work)
        return max(0, self._held_for - left) / 1000 if left >= 0 else math.inf

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""
        self._redis.delete(self._at_work)
