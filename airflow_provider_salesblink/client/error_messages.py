"""Turn outcomes into errors: each message says what is wrong, on which call, and what to do about it.

The meanings of the status codes are from the error table in the classic API's documentation.
"""

from __future__ import annotations

from airflow_provider_salesblink.client.errors import (
    ApiRefusedError,
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.retry import (
    Answered,
    LostAnswer,
    NeverSent,
    Outcome,
    RefusedInBody,
    Unreadable,
)

_REFUSALS: dict[int, tuple[type[SalesBlinkError], str]] = {
    400: (
        InvalidRequestError,
        "SalesBlink cannot use the request ({where}){message}. Check the arguments of the call.",
    ),
    401: (
        AuthenticationError,
        "SalesBlink refused {key_name} ({where}){message}. "
        "Create a key under Integrations in SalesBlink and update the connection.",
    ),
    403: (
        PermissionDeniedError,
        "SalesBlink allows this for administrators only ({where}){message}. Use the key of an administrator.",
    ),
    404: (
        NotFoundError,
        "SalesBlink did not find it ({where}){message}. "
        "Check the id, whether the key's user may see it, and the root URL{root}.",
    ),
    405: (
        InvalidRequestError,
        "SalesBlink does not accept this method here ({where}){message}. "
        "Check the root URL{root}: something other than the SalesBlink API may have answered.",
    ),
    406: (
        InvalidRequestError,
        "SalesBlink says that the request asked for a format other than JSON ({where}){message}. "
        "Check for a proxy that changes the Accept header.",
    ),
    422: (
        InvalidRequestError,
        "SalesBlink understood the request but cannot use its content ({where}){message}. "
        "Check the arguments of the call.",
    ),
}
_OTHER_REFUSAL = (
    InvalidRequestError,
    "SalesBlink refused the request ({where}){message}. It would refuse the same request again.",
)

_SERVER_ERRORS = {
    503: "SalesBlink is offline for maintenance ({where}){message}. Try again later.",
}
_OTHER_SERVER_ERROR = "SalesBlink had an internal problem ({where}){message}. Try again later."


def to_error(
    outcome: Outcome, *, method: str, path: str, key_name: str = "the key", root_url: str = ""
) -> SalesBlinkError:
    """Return the error to raise when a call ended in ``outcome``.

    :param key_name: the key's name in the message.
    :param root_url: the root URL, shown where it may be wrong.
    """
    call = f"{method} {path}"
    root = f" ({root_url})" if root_url else ""
    match outcome:
        case NeverSent(reason=reason):
            return ConnectionFailedError(
                f"Nothing was sent ({call}): {reason}. Check the root URL{root}, and the network from this machine.",
                method=method, path=path,
            )  # fmt: skip
        case LostAnswer(reason=reason):
            return ConnectionFailedError(
                f"The request was sent, but SalesBlink did not answer ({call}): {reason}. "
                f"Try again later, or check the root URL{root}.",
                method=method, path=path,
            )  # fmt: skip
        case Unreadable(status=status, reason=reason):
            return UnreadableResponseError(
                f"The answer is not SalesBlink's ({status} on {call}): {reason}. "
                f"Check the root URL{root}, and whether a proxy or a maintenance page answered.",
                status=status, method=method, path=path,
            )  # fmt: skip
        case RefusedInBody(message=words):
            return ApiRefusedError(
                f"SalesBlink answered that the call failed (200 on {call}){_after_colon(words)}. Check the arguments.",
                status=200, method=method, path=path,
            )  # fmt: skip
        case Answered():
            return _error_for_status(outcome, method, path, {"key_name": key_name, "root": root})


def _error_for_status(outcome: Answered, method: str, path: str, names: dict[str, str]) -> SalesBlinkError:
    status = outcome.status
    words = {
        "where": f"{status} on {method} {path}",
        "message": _after_colon(outcome.message),
        **names,
    }
    if status == 429:
        return RateLimitedError(
            f"SalesBlink asks to slow down ({words['where']}){words['message']}. {_retry_hint(outcome.retry_after)}",
            method=method, path=path, retry_after=outcome.retry_after,
        )  # fmt: skip
    if status >= 500:
        sentence = _SERVER_ERRORS.get(status, _OTHER_SERVER_ERROR).format(**words)
        return ServerError(sentence, status=status, method=method, path=path)
    kind, template = _REFUSALS.get(status, _OTHER_REFUSAL)
    return kind(template.format(**words), status=status, method=method, path=path)


def describe(outcome: Outcome) -> str:
    """Return what happened in a few words, for a log."""
    match outcome:
        case NeverSent(reason=reason) | LostAnswer(reason=reason):
            return reason
        case Unreadable(status=status, reason=reason):
            return f"{status}, {reason}"
        case RefusedInBody(message=words):
            return f"200 with success false{_after_colon(words)}"
        case Answered(status=status, retry_after=None):
            return str(status)
        case Answered(status=status, retry_after=seconds):
            return f"{status}, Retry-After {seconds:.0f} s"


def _after_colon(message: str) -> str:
    return f": {message.rstrip('.')}" if message else ""


def _retry_hint(retry_after: float | None) -> str:
    if retry_after is None:
        return "It does not say how long to wait; a minute is usual."
    return f"It asks to wait {retry_after:.0f} s."
