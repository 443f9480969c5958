"""The client's exceptions: one for each way in which a caller would react.

The messages follow the error table in the classic API's documentation. None of them shows a key or an address.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_salesblink.client.redaction import redacted


class SalesBlinkError(Exception):
    """A call to SalesBlink failed.

    :param message: what happened, where, and what to do.
    :param status: the HTTP status of the answer; None without an answer.
    :param method: the HTTP method of the call; empty if there was no call.
    :param path: the path of the call, without its query.
    """

    permanent: ClassVar[bool] = False
    """Whether the same call would fail again, so that a retry is useless."""

    def __init__(self, message: str, *, status: int | None = None, method: str = "", path: str = "") -> None:
        # Redacted here, so that no caller can forget it: an id or a column name may hold an address.
        super().__init__(redacted(message))
        self.status = status
        self.method = method
        self.path = redacted(path)

    def append(self, sentence: str) -> None:
        """Add a sentence to the end of the message."""
        self.args = (f"{self} {redacted(sentence)}",)


class AuthenticationError(SalesBlinkError):
    """401: the key is wrong."""

    permanent = True


class PermissionDeniedError(SalesBlinkError):
    """403: the key is right, but its user may not do this."""

    permanent = True


class NotFoundError(SalesBlinkError):
    """404, or an answer without the requested object."""

    permanent = True


class InvalidRequestError(SalesBlinkError):
    """400, 405, 406, 422 or another 4xx: SalesBlink cannot use the request."""

    permanent = True


class InvalidInputError(InvalidRequestError, ValueError):
    """An argument is invalid. Nothing was sent."""


class RateLimitedError(SalesBlinkError):
    """429 for longer than the client waits.

    :param retry_after: seconds to wait before the next request; None if the server does not say.

    ``report`` may hold what was done before.
    """

    report: Any = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = 429,
        method: str = "",
        path: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, method=method, path=path)
        self.retry_after = retry_after


class BudgetSpentError(RateLimitedError):
    """The shared rate limit is used up for longer than the caller waits. The call was not sent."""


class ServerError(SalesBlinkError):
    """5xx: SalesBlink has an internal problem, or is down for maintenance."""


class ConnectionFailedError(SalesBlinkError):
    """No answer: the server is down, the connection broke, or the call timed out."""


class UnreadableResponseError(SalesBlinkError):
    """An answer that is not the documented JSON: a proxy's page, half a document, a redirect."""


class ApiRefusedError(SalesBlinkError):
    """HTTP 200 whose body says that the call failed (``success`` is false)."""

    permanent = True


class UnsupportedByApiError(SalesBlinkError):
    """The API that the connection uses does not have this. Nothing was sent; the message names the API that has it."""

    permanent = True


class AmbiguousWriteError(SalesBlinkError):
    """A write was sent, its answer was lost, and the client could not read back whether it was carried out.

    Check SalesBlink before sending it again: a second ``prospect-add`` may mail a person twice.

    :param settling_time: seconds to wait before the check, because the sent request may still take effect.
    :param is_accepted: whether SalesBlink answered that it accepted the write, and will carry it out later.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        method: str = "",
        path: str = "",
        settling_time: float = 0.0,
        is_accepted: bool = False,
    ) -> None:
        super().__init__(message, status=status, method=method, path=path)
        self.settling_time = settling_time
        self.is_accepted = is_accepted
