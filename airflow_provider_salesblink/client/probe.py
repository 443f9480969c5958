"""Find out which of SalesBlink's two APIs accept a key, for the connection test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import SalesBlinkError
from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    Api("classic", "/api", ("my-team",)),
    Api("v1", "/api/public/v1.0.0", ("account", "verify")),
)


@dataclass(frozen=True)
class Finding:
    """The answer of one API: ``error`` is None if it accepted the key."""

    version: str
    error: SalesBlinkError | None

    def __str__(self) -> str:
        return f"{self.version} answers" if self.error is None else f"{self.version} does not"


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
