"""What can go wrong between this client and SalesBlink: one exception for each thing a caller would do about it.

The sentences follow the error table of the classic API's documentation. None of them holds a key or an address.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_salesblink.client.redaction import redacted


class SalesBlinkError(Exception):
    """A call to SalesBlink did not do what was asked.

    :param message: what is wrong, where, and what to do about it.
    :param status: the HTTP status of the answer; None where there was none.
    :param method: the HTTP method of the call; empty where nothing was to be sent.
    :param path: the path of the call, without its query.
    """

    permanent: ClassVar[bool] = False
    """Whether the same call would fail again, so that repeating it is a waste."""

    def __init__(self, message: str, *, status: int | None = None, method: str = "", path: str = "") -> None:
        # Here, so that no way of raising one can show an address, whoever put it into an id or a column's name.
        super().__init__(redacted(message))
        self.status = status
        self.method = method
        self.path = redacted(path)


class AuthenticationError(SalesBlinkError):
    """401: the key is wrong."""

    permanent = True


class PermissionDeniedError(SalesBlinkError):
    """403: the key is right, but its user may not do this."""

    permanent = True


class NotFoundError(SalesBlinkError):
    """404, or an answer without the object that was asked for."""

    permanent = True


class InvalidRequestError(SalesBlinkError):
    """400, 405, 406, 422 or another 4xx: SalesBlink cannot use the request."""

    permanent = True


class InvalidInputError(InvalidRequestError, ValueError):
    """An argument that cannot be right, seen before anything was sent."""


class RateLimitedError(SalesBlinkError):
    """429 for longer than the client waits.

    :param retry_after: how many seconds the server wants to be left alone; None where it does not say.

    ``report`` may hold what was done before that.
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
    """The shared budget is used up for longer than the caller wants to wait. The call was not sent."""


class ServerError(SalesBlinkError):
    """5xx: SalesBlink has a problem, or is down for maintenance."""


class ConnectionFailedError(SalesBlinkError):
    """No answer: nobody listens there, the connection broke, or the time ran out."""


class UnreadableResponseError(SalesBlinkError):
    """An answer, but not the JSON that was promised: a proxy's page, half a document, a redirect."""


class ApiRefusedError(SalesBlinkError):
    """HTTP 200 whose body says that the call failed (``success`` is false)."""

    permanent = True


class AmbiguousWriteError(SalesBlinkError):
    """A write was sent, its answer was lost, and whether it was carried out could not be read back.

    Look before sending it again: a second ``prospect-add`` may mail a person twice.

    :param settling_time: seconds to wait before looking: so long the server may still be at work.
    """

    def __init__(
        self, message: str, *, status: int | None = None, method: str = "", path: str = "", settling_time: float = 0.0
    ) -> None:
        super().__init__(message, status=status, method=method, path=path)
        self.settling_time = settling_time
