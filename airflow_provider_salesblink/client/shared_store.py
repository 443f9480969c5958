"""Where the users of a key keep what they share: a file of this machine, or a Redis server of several machines."""

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
"""What it is called in errors and logs; its URL may hold a password."""

REDIS_TIMEOUT = 5.0
"""Seconds to wait for the Redis server, twice: a connection from before its restart is found dead only when used."""


class StoreAwayError(ConnectionFailedError):
    """What machines share cannot be reached for now.

    :param why: the name of the error that shows it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"{REDIS_SERVER} cannot be used ({why}).")
        self.why = why


@dataclass(frozen=True)
class StoreLocation:
    """A file, or a name in a Redis server.

    :param name: of the key and root URL together; tells nothing of either.
    :param path: of the file; None for a Redis server.
    :param redis_url: of the server; empty for a file.
    """

    name: str
    path: Path | None = None
    redis_url: str = ""


def store_location(pacing_url: str, *, key: str, base_url: str) -> StoreLocation:
    """The place that ``pacing_url`` names for everything that uses ``key`` at ``base_url``.

    :raises InvalidInputError: another kind of URL, or a temporary folder that others on this machine could change.
    """
    name = hashlib.blake2b(f"{base_url}\n{key}".encode(), digest_size=12, person=b"salesblink-pace").hexdigest()
    if pacing_url.startswith(("redis://", "rediss://", "unix://")):
        return StoreLocation(name, redis_url=pacing_url)
    if pacing_url.startswith("file:///"):
        return StoreLocation(name, Path(unquote(pacing_url.removeprefix("file://"))))
    if not pacing_url:
        return StoreLocation(name, _own_folder() / f"{name}.sqlite")
    raise InvalidInputError(
        "pacing_url is neither redis://host/..., rediss://host/..., unix:///path nor file:///path: "
        "mend it, or leave it empty to share the budget within this machine."
    )


def _own_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-salesblink-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    # The name can be guessed, so somebody else could have made it first.
    if not _is_own_folder(folder):
        raise InvalidInputError(
            f"{folder} is not a folder that only this user can write to: "
            "remove it, or say with pacing_url=file:///... where the request count should be kept."
        )
    return folder


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def connect_redis(url: str) -> Redis:
    """A client of the server; it connects when it is used.

    :raises ValueError: the URL is none.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # The library's own ten retries would keep a request back for minutes, and nobody would know why.
    return Redis.from_url(
        url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=Retry(NoBackoff(), 1)
    )


def redis_errors() -> tuple[type[Exception], ...]:
    """What a client raises when the server cannot be used.

    :raises InvalidInputError: the client's library is not installed.
    """
    try:
        from redis import RedisError
    except ImportError:
        missing = "pacing_url names a Redis server: install airflow-provider-salesblink[redis]."
        raise InvalidInputError(missing) from None
    return RedisError, OSError, ValueError


def is_redis_away(error: Exception) -> bool:
    """Whether an error means that the server is away for now, rather than that the connection has to be mended."""
    from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError

    return not isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError | ValueError)
