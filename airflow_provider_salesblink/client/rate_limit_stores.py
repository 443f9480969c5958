"""Count requests in a file on this machine or in a Redis server, with buckets based on ``pyrate-limiter``."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import uuid4

from pyrate_limiter import AbstractBucket, Decision, Rate, RateItem, RedisBucket, SQLiteBucket

from airflow_provider_salesblink.client import shared_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

RequestKind = Literal["reads", "writes", "deletes"]

log = logging.getLogger(__name__)

RETRY_EVERY = 10.0
"""Seconds between attempts to reach a server that is unavailable."""


def safe_share(limit: int) -> int:
    """Return how many requests one machine may send while it cannot reach the shared store.

    A tenth of the limit, and at least 1: ten machines that lose the store together stay within the limit.
    """
    return max(1, limit // 10)


@dataclass(frozen=True)
class Store:
    """A place that keeps request counts.

    :param name: its name in errors.
    :param open_bucket: opens the bucket that counts one kind of request.
    :param errors: the exceptions it raises when it cannot be used.
    :param is_unavailable: returns whether such an exception means that the store is unavailable for now.
    """

    name: str
    open_bucket: Callable[[RequestKind, list[Rate]], AbstractBucket]
    errors: tuple[type[Exception], ...]
    is_unavailable: Callable[[Exception], bool] = lambda _: False


class _FileBucket(SQLiteBucket):
    """A bucket in a file. It reads the clock while it holds the file's lock, so requests are counted in time order."""

    def put_decision(self, item: RateItem) -> Decision:
        with self.lock:
            item.timestamp = time.time_ns() // 1_000_000
            self._move_future_requests_to(item.timestamp)
            return cast("Decision", super().put_decision(item))

    def _move_future_requests_to(self, now: int) -> None:
        """After the clock was set back, count requests with a later time as sent now. Nobody waits for that time."""
        later = f"FROM '{self.table}' WHERE item_timestamp > ?"
        if self.conn.execute(f"SELECT 1 {later} LIMIT 1", (now,)).fetchone():
            with self.conn:
                update = f"UPDATE '{self.table}' SET item_timestamp = ? WHERE item_timestamp > ?"  # noqa: S608
                self.conn.execute(update, (now, now))


MEMORY_KEY = "salesblink:counting"
"""Since when the server counts: for all keys together, because a server loses everything at once."""

_SLIDING_WINDOW = (
    shared_store.RECOGNIZE_RUN
    + """
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local run, since = recognize_run(KEYS[2], ARGV[4])
local known_from = since + window + ARGV[5]
if now < known_from then return {run, 0, known_from - now} end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
for _, request in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
    redis.call('ZADD', KEYS[1], now, request)
end
local counted = redis.call('ZCARD', KEYS[1])
if counted < limit then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], window + 1000)
    return {run, 1, 0}
end
local leaves_room = redis.call('ZRANGE', KEYS[1], counted - limit, counted - limit, 'WITHSCORES')
return {run, 1, leaves_room[2] + window - now + 1}
"""
)
"""Return the server's run, whether it knows the count, and the milliseconds until there is room.

Counts one request if there is room at once. A server that lost its data knows the count when a window has passed: the
limit may have been used up just before. Clients that use their machine's share notice up to ``ARGV[5]`` later that the
server is back, so it waits for that long too. After the server's clock was set back, requests with a later time count
as sent now: nobody waits for that time.
"""


class _RedisBucket(RedisBucket):
    """A bucket in Redis that reads the server's clock and counts in one atomic script.

    The library's own bucket sends the caller's time, so it misses requests that a machine with a faster clock has
    counted. It also keeps the last answer where another thread can overwrite it.
    """

    def __init__(self, rates: list[Rate], redis: Redis, name: str, kind: RequestKind) -> None:
        super().__init__(rates, redis, f"salesblink:{name}:{kind}", script_hash="")
        self._kind = kind
        # Loads itself again where the server has forgotten it.
        self._script = redis.register_script(_SLIDING_WINDOW)
        self._run = b""
        self._knew = True

    def put_decision(self, item: RateItem) -> Decision:  # noqa: ARG002
        rate = self.rates[0]
        arguments: list[Any] = [rate.limit, rate.interval, uuid4().hex, self._run, int(RETRY_EVERY * 1000)]
        self._run, knows, wait = self._script(keys=[self.bucket_key, MEMORY_KEY], args=arguments)
        if self._knew and not knows:
            log.warning(
                "The Redis server of pacing_url has just started, or has lost its data. It does not know how many %s "
                "were sent in the last minute, so none are sent for %.0f s.", self._kind, wait / 1000,
            )  # fmt: skip
        self._knew = bool(knows)
        return Decision(failing_rate=rate if wait else None, retry_after_ms=wait)

    def leak(self, current_timestamp: int | None = None) -> int:  # noqa: ARG002
        return 0


def file_store(path: Path) -> Store:
    """Return a store in a file that the processes of this machine share."""

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _FileBucket.init_from_file(rates, table=kind, db_path=str(path), use_file_lock=True)

    return Store(str(path), open_bucket, (OSError, sqlite3.Error))


def redis_store(url: str, name: str) -> Store:
    """Return a store in a Redis server.

    :param name: part of the keys; stores with the same name share their counts.
    :raises InvalidInputError: the ``redis`` library is not installed.
    """

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        return _RedisBucket(rates, shared_store.connect_redis(url), name, kind)

    errors = shared_store.redis_errors()
    return Store(shared_store.REDIS_SERVER, open_bucket, errors, shared_store.is_redis_unavailable)
