"""Where requests are counted: a file of this machine, or a Redis server. ``pyrate-limiter``'s buckets, made exact."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast
from uuid import uuid4

from pyrate_limiter import AbstractBucket, Decision, Rate, RateItem, RedisBucket, SQLiteBucket

from airflow_provider_salesblink.client import shared_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

log = logging.getLogger(__name__)

RequestKind = Literal["reads", "writes", "deletes"]

RETRY_EVERY = 10.0
"""Seconds after which a server that was away is asked again."""


def safe_share(limit: int) -> int:
    """How much of a budget is used by who cannot ask the others: ten machines that do so together stay within it."""
    return max(1, limit // 10)


@dataclass(frozen=True)
class Store:
    """Where a count is kept.

    :param name: what it is called in errors.
    :param open_bucket: opens the shared bucket of a kind.
    :param errors: what it raises when it cannot be used.
    :param is_away: whether such an error means that it is away for now.
    """

    name: str
    open_bucket: Callable[[RequestKind, list[Rate]], AbstractBucket]
    errors: tuple[type[Exception], ...]
    is_away: Callable[[Exception], bool] = lambda _: False


class _FileBucket(SQLiteBucket):
    """A bucket in a file: reads the clock and counts under one hold of the lock, so that counts and times agree."""

    def put_decision(self, item: RateItem) -> Decision:
        with self.lock:
            item.timestamp = time.time_ns() // 1_000_000
            self._pull_back(item.timestamp)
            return cast("Decision", super().put_decision(item))

    def _pull_back(self, now: int) -> None:
        """Take what was counted before the clock was set back as counted now: nobody waits until that time is over."""
        later = f"FROM '{self.table}' WHERE item_timestamp > ?"
        if self.conn.execute(f"SELECT 1 {later} LIMIT 1", (now,)).fetchone():
            with self.conn:
                update = f"UPDATE '{self.table}' SET item_timestamp = ? WHERE item_timestamp > ?"  # noqa: S608
                self.conn.execute(update, (now, now))


_COUNT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window, known = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4]
local info = redis.call('INFO', 'server')
local run = info:match('run_id:(%w+)') or ''
local begun = now - (info:match('uptime_in_seconds:(%d+)') or 0) * 1000

local was = redis.call('HMGET', KEYS[2], 'run', 'full')
local full = tonumber(was[2] or 0)
if was[1] and was[1] ~= run or not was[1] and known == run then
    full = now + window + ARGV[6]
elseif known ~= '' and known ~= run then
    full = math.max(full, begun + window + ARGV[6])
end
if was[1] ~= run or tonumber(was[2]) ~= full then redis.call('HSET', KEYS[2], 'run', run, 'full', full) end
local careful = now < full and 1 or 0
if careful == 1 then limit = math.min(limit, tonumber(ARGV[5])) end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local counted = redis.call('ZCARD', KEYS[1])
if counted < limit then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], window + 1000)
    return {0, run, careful}
end
local leaves_room = redis.call('ZRANGE', KEYS[1], counted - limit, counted - limit, 'WITHSCORES')
return {leaves_room[2] + window - now + 1, run, careful}
"""
"""Counts one request and answers 0, or answers the milliseconds until there is room.

A server that was started anew may have forgotten what was sent. It shows: it holds the name of another run (it came
back with an older state), the caller knows another run (it came back empty), or it does not hold what the caller knows
(it was emptied). Then all together get the safe share only, until a window has passed since, and the seconds after
which the last one has noticed. A server that nobody knows is taken as new.
"""


class _RedisBucket(RedisBucket):
    """A bucket in Redis that reads the server's clock and counts in one step of the server.

    The library's own sends the caller's time along, and overlooks what somebody else counted a moment later by their
    clock; and it keeps the last answer where another thread can overwrite it.
    """

    def __init__(self, rates: list[Rate], redis: Redis, name: str, kind: RequestKind) -> None:
        super().__init__(rates, redis, f"salesblink:{name}:{kind}", script_hash="")
        self._kind = kind
        self._server_key = f"salesblink:{name}:server"
        self._run = b""
        self._careful = False
        # Loads itself again where the server has forgotten it.
        self._count = redis.register_script(_COUNT)

    def put_decision(self, item: RateItem) -> Decision:  # noqa: ARG002
        rate = self.rates[0]
        share = safe_share(rate.limit)
        keys = [self.bucket_key, self._server_key]
        late = int(RETRY_EVERY * 1000)
        told = self._count(keys=keys, args=[rate.limit, rate.interval, uuid4().hex, self._run, share, late])
        wait, self._run, careful = int(told[0]), told[1], bool(told[2])
        if careful and not self._careful:
            log.warning(
                "The Redis server of pacing_url was started anew and may have forgotten what was sent: for a minute "
                "all who share it send at most %d of %d %s.", share, rate.limit, self._kind,
            )  # fmt: skip
        self._careful = careful
        return Decision(failing_rate=rate if wait else None, retry_after_ms=wait)

    def leak(self, current_timestamp: int | None = None) -> int:  # noqa: ARG002
        return 0


def in_file(path: Path) -> Store:
    """A count in a file that the processes of this machine share."""

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _FileBucket.init_from_file(rates, table=kind, db_path=str(path), use_file_lock=True)

    return Store(str(path), open_bucket, (OSError, sqlite3.Error))


def in_redis(url: str, name: str) -> Store:
    """A count in a Redis server.

    :raises InvalidInputError: its library is not installed.
    """

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        return _RedisBucket(rates, shared_store.connect_redis(url), name, kind)

    return Store(shared_store.REDIS_SERVER, open_bucket, shared_store.redis_errors(), shared_store.is_redis_away)
