"""A Redis server that machines share: how it is reached, and which errors mean that it is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import ConnectionFailedError, InvalidInputError

if TYPE_CHECKING:
    from redis import Redis

NAME = "the Redis server of pacing_url"
"""What it is called in errors and logs; its URL may hold a password."""

REDIS_TIMEOUT = 5.0
"""Seconds to wait for the Redis server, twice: a connection from before its restart is found dead only when used."""


class StoreAwayError(ConnectionFailedError):
    """What machines share cannot be reached for now.

    :param why: the name of the error that shows it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"{NAME} cannot be used ({why}).")
        self.why = why


def connected(url: str) -> Redis:
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


def errors() -> tuple[type[Exception], ...]:
    """What a client raises when the server cannot be used.

    :raises InvalidInputError: the client's library is not installed.
    """
    try:
        from redis import RedisError
    except ImportError:
        missing = "pacing_url names a Redis server: install airflow-provider-salesblink[redis]."
        raise InvalidInputError(missing) from None
    return RedisError, OSError, ValueError


def is_away(error: Exception) -> bool:
    """Whether an error means that the server is away for now, rather than that the connection has to be mended."""
    from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError

    return not isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError | ValueError)
