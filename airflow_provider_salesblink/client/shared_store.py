"""Where clients with the same key keep shared state: a file on this machine, or a Redis server for several machines."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from airflow_provider_salesblink.client.errors import ConnectionFailedError, InvalidInputError

if TYPE_CHECKING:
    from redis import Redis

REDIS_SERVER = "the Redis server of pacing_url"
"""Its name in errors and logs. Its URL may hold a password."""

REDIS_TIMEOUT = 5.0
"""Seconds to wait for the Redis server. The client tries twice: a connection that a restart has closed fails on first
use."""

RECOGNIZE_RUN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function recognize_run(memory, seen_run)
    local info = redis.call('INFO', 'server')
    local run = info:match('run_id:(%w+)') or ''
    local was = redis.call('HMGET', memory, 'run', 'since')
    local since = tonumber(was[2])
    if not was[1] and seen_run ~= run then
        since = now - (info:match('uptime_in_seconds:(%d+)') or 0) * 1000
    elseif was[1] ~= run then
        since = now
    end
    local is_ahead = since > now
    if is_ahead then since = now end
    if was[1] ~= run or is_ahead then redis.call('HSET', memory, 'run', run, 'since', since) end
    return run, since
end
"""
"""Begins a script for Redis: ``recognize_run`` returns the server's run and the time since which it has lost nothing.

It remembers both in the hash ``memory``. If the hash names another run, the server restarted from an older snapshot, so
it has lost nothing since now. If there is no hash, the server has been empty since its start; or since it was emptied,
if the caller has seen this run. After the server's clock was set back, it has lost nothing since now.
"""


class StoreUnavailableError(ConnectionFailedError):
    """The shared Redis server is unavailable for now.

    :param reason: the name of the library's exception.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"{REDIS_SERVER} cannot be used ({reason}).")
        self.reason = reason


@dataclass(frozen=True)
class StoreLocation:
    """A file, or a part of a Redis server.

    :param key_hash: a hash of the API key and the root URL, which does not reveal either.
    :param path: the file; None for a Redis server.
    :param redis_url: the server's URL; empty for a file.
    """

    key_hash: str
    path: Path | None = None
    redis_url: str = ""


def store_location(pacing_url: str, *, key: str, base_url: str) -> StoreLocation:
    """Return where clients with ``key`` at ``base_url`` keep their shared state, as ``pacing_url`` says.

    :raises InvalidInputError: ``pacing_url`` has another form, or other users of this machine could change the
        temporary folder.
    """
    key_hash = hashlib.blake2b(f"{base_url}\n{key}".encode(), digest_size=12, person=b"salesblink-pace").hexdigest()
    if pacing_url.startswith(("redis://", "rediss://", "unix://")):
        return StoreLocation(key_hash, redis_url=pacing_url)
    if pacing_url.startswith("file:///"):
        return StoreLocation(key_hash, Path(unquote(pacing_url.removeprefix("file://"))))
    if not pacing_url:
        return StoreLocation(key_hash, _temporary_folder() / f"{key_hash}.sqlite")
    raise InvalidInputError(
        "pacing_url is neither redis://host/..., rediss://host/..., unix:///path nor file:///path: "
        "correct it, or leave it empty to share the rate limit within this machine."
    )


def _temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-salesblink-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    # The name can be guessed, so somebody else could have made it first.
    if not _is_private_folder(folder):
        raise InvalidInputError(
            f"{folder} is not a folder that only this user can write to: "
            "remove it, or set pacing_url=file:///... to keep the request count in another file."
        )
    return folder


def _is_private_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def connect_redis(url: str) -> Redis:
    """Return a Redis client, which connects on first use.

    :raises ValueError: ``url`` is not a valid URL.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # The library's default of ten retries would block a request for minutes without a log line.
    return Redis.from_url(
        url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=Retry(NoBackoff(), 1)
    )


def redis_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a Redis client raises when the server cannot be used.

    :raises InvalidInputError: the ``redis`` library is not installed.
    """
    try:
        from redis import RedisError
    except ImportError:
        missing = "pacing_url names a Redis server: install airflow-provider-salesblink[redis]."
        raise InvalidInputError(missing) from None
    return RedisError, OSError, ValueError


def is_redis_unavailable(error: Exception) -> bool:
    """Return whether the server is unavailable for now, rather than wrongly configured in ``pacing_url``."""
    from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError

    return not isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError | ValueError)
