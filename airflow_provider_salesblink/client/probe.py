"""Find out which of SalesBlink's two APIs accept a key: for the connection test, and to explain a first failure."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import classic, response_content, v1, validation
from airflow_provider_salesblink.client.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Answered, Policy, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client.retry import Outcome


@dataclass(frozen=True)
class Api:
    """An API to probe.

    :param version: its name in ``api_version``.
    :param prefix: its path below the root URL.
    :param parts: the path, below the prefix, of the cheapest read that needs a key.
    """

    version: str
    prefix: str
    parts: tuple[str, ...]


APIS = (
    Api("classic", classic.PREFIX, ("my-team",)),
    Api("v1", v1.PREFIX, ("account", "verify")),
)


@dataclass(frozen=True)
class Finding:
    """The answer of one API: ``error`` is None if it accepted the key."""

    version: str
    error: SalesBlinkError | None

    @property
    def answers(self) -> bool:
        """Whether this API knows the key. It does if it only says that the key's user is not an administrator."""
        return self.error is None or isinstance(self.error, PermissionDeniedError)

    def __str__(self) -> str:
        return f"{self.version} answers" if self.answers else f"{self.version} does not"


def what_to_set(version: str) -> str:
    """Return the sentence that says how to use this API."""
    return f"Set the connection's extra api_version to {version!r}."


def probe(
    api_key: str,
    base_url: str,
    *,
    timeout: float = 30,
    verify_tls: bool = True,
    key_name: str = "the key",
    apis: Iterable[Api] = APIS,
) -> list[Finding]:
    """Send one request to each API, without a rate limit because a person is waiting.

    The key goes to the root URL only, and nothing of the answers is kept: they name the key's owner.

    :raises InvalidInputError: the key or the root URL is invalid.
    """
    key, root = validation.api_key(api_key), validation.root_url(base_url)
    findings = []
    for api in apis:
        requestor = Requestor(
            root,
            api.prefix,
            key,
            policy=Policy(max_attempts=1),
            rate_limiter=NoLimit(),
            timeout=timeout,
            verify_tls=verify_tls,
            key_name=key_name,
        )
        findings.append(Finding(api.version, _error_of(requestor, api)))
        requestor.close()
    return findings


def _error_of(requestor: Requestor, api: Api) -> SalesBlinkError | None:
    try:
        requestor.read(*api.parts)
    except SalesBlinkError as error:
        return error
    return None


class OtherApi:
    """Explains the first failure of a client, if it is due to the wrong ``api_version``. Threads may share it.

    The wrong API may answer a good key with a 401, a 404 or a web page. Nobody would guess the reason from that, so the
    client asks both APIs: once, and the other one only if the API in use refuses the key.

    :param version: the API that the client uses.
    :param probe: :func:`probe` with the client's key and root URL.
    """

    def __init__(self, version: str, probe: Callable[..., list[Finding]]) -> None:
        self._version = version
        self._probe = probe
        self._lock = threading.Lock()
        self._sentence: str | None = None

    def explain(self, outcome: Outcome) -> str:
        """Return a sentence about the other API for the error that ``outcome`` becomes; nothing if it does not help."""
        match outcome:
            case (
                Answered(status=HTTPStatus.UNAUTHORIZED | HTTPStatus.NOT_FOUND)
                | Unreadable(reason=response_content.HTML_PAGE)
            ):
                with self._lock:
                    if self._sentence is None:
                        self._sentence = self._compare()
                return self._sentence
            case _:
                return ""

    def _compare(self) -> str:
        (used,) = self._probe(apis=[api for api in APIS if api.version == self._version])
        # After a 503 or a time-out, nobody knows whether the API in use would accept the key.
        if not isinstance(used.error, AuthenticationError | NotFoundError | UnreadableResponseError):
            return ""
        for other in self._probe(apis=[api for api in APIS if api.version != self._version]):
            if other.answers:
                return f"SalesBlink's API {other.version!r} does accept this key. {what_to_set(other.version)}"
            if isinstance(used.error, AuthenticationError) and isinstance(other.error, AuthenticationError):
                return f"SalesBlink's API {other.version!r} refuses this key, too."
        return ""
