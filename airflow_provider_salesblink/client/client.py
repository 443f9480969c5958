"""The client for one key at one root URL, on any of SalesBlink's APIs."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from airflow_provider_salesblink.client import classic, v1, validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.client.probe import OtherApi, probe
from airflow_provider_salesblink.client.rate_limit import RequestKind, rate_limiter
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.client.shared_store import store_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

DEFAULT_BASE_URL = "https://run.salesblink.io"
LONGEST_TIMEOUT = 86_400
"""Seconds. Sockets cannot wait much longer."""
PROBE_TIMEOUT = 5
"""Seconds to wait for each API when a first call fails: its error has to wait for this."""

# To add an API, add a package with PREFIX and Api, whose campaigns, prospects and team have the same methods and return
# the same records.
_APIS = {"classic": classic, "v1": v1}


class SalesBlinkClient:
    """A client for SalesBlink. Threads may share it; it keeps its connections open until :meth:`close`.

    :param api_key: the key from SalesBlink's Integrations page.
    :param base_url: the root URL; plain ``http://`` only to a loopback address.
    :param api_version: the API to use; ``classic`` or ``v1``.
    :param timeout: seconds to wait for an answer; at most 10 of them for the connection.
    :param max_attempts: the most times that a call is sent.
    :param reads_per_minute: rate limit of all clients with this key together; 0 means no limit. The same for writes and
        deletes.
    :param pacing_url: where requests are counted: empty for a file that the processes of this machine share,
        ``redis://...`` for a server that several machines share, ``file:///...`` for another file.
    :param dry_run: send reads only; log writes and return records marked ``dry_run``.
    :param verify_tls: whether the server's certificate must be valid.
    :param hash_key: the key of the hashes of addresses in output files; empty to derive it from ``api_key``.
    :param key_name: the key's name in errors.
    :param adds_refused: the reason why this client must not add people; empty if it may.
    :param policy: a retry policy in place of ``Policy(max_attempts, settling_time=timeout)``.
    :raises InvalidInputError: an argument is invalid.

    ``campaigns``, ``prospects`` and ``team`` have the calls, with the same records on both APIs. The other attributes
    are resources of the API v1; on the classic API they raise :class:`UnsupportedByApiError`. ``shared`` is where the
    state is that clients with this key share; ``has_pacing_url`` says whether it was configured. ``addresses`` hashes
    addresses. ``settling_time`` is
    how many seconds an add may take to show in the campaign if nobody waits for its answer.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        api_version: str = "classic",
        timeout: float = 30,
        max_attempts: int = 5,
        reads_per_minute: int = 30,
        writes_per_minute: int = 15,
        deletes_per_minute: int = 10,
        pacing_url: str = "",
        dry_run: bool = False,
        verify_tls: bool = True,
        hash_key: str = "",
        *,
        key_name: str = "the key",
        adds_refused: str = "",
        policy: Policy | None = None,
    ) -> None:
        key, root = validation.api_key(api_key), validation.root_url(base_url)
        if str(api_version) not in _APIS:
            raise InvalidInputError(f"This api_version is unknown; known: {', '.join(_APIS)}.")
        validation.number("timeout", timeout, 0.001, LONGEST_TIMEOUT)
        max_attempts = validation.whole_number("max_attempts", max_attempts, 1)
        per_minute: dict[RequestKind, int] = {
            "reads": validation.whole_number("reads_per_minute", reads_per_minute, 0),
            "writes": validation.whole_number("writes_per_minute", writes_per_minute, 0),
            "deletes": validation.whole_number("deletes_per_minute", deletes_per_minute, 0),
        }
        if not isinstance(hash_key, str):
            raise InvalidInputError(f"hash_key is a {type(hash_key).__name__}: pass a text.")
        api = _APIS[str(api_version)]
        self.addresses = AddressHash(hash_key, api_key=key)
        self.base_url = root
        self.shared = store_location(pacing_url, key=key, base_url=root)
        self.has_pacing_url = bool(pacing_url)
        self.timeout = timeout
        self.dry_run = dry_run
        self.reads_per_minute = per_minute["reads"]
        self.writes_per_minute = per_minute["writes"]
        self._requestor = Requestor(
            root,
            api.PREFIX,
            key,
            policy=policy or Policy(max_attempts=max_attempts, settling_time=timeout),
            rate_limiter=rate_limiter(per_minute, pacing_url=pacing_url, key=key, base_url=root),
            timeout=timeout,
            dry_run=dry_run,
            verify_tls=verify_tls,
            key_name=key_name,
            explain=OtherApi(
                str(api_version), partial(probe, key, root, timeout=min(timeout, PROBE_TIMEOUT), verify_tls=verify_tls)
            ).explain,
        )
        calls: classic.Api | v1.Api = api.Api(self._requestor)
        self.campaigns = calls.campaigns
        self.prospects = calls.prospects
        self.team = calls.team
        only_v1 = cast("v1.Api", calls)
        self.account = only_v1.account
        self.analytics = only_v1.analytics
        self.blocklist = only_v1.blocklist
        self.endpoints = only_v1.endpoints
        self.events = only_v1.events
        self.leads = only_v1.leads
        self.lists = only_v1.lists
        self.senders = only_v1.senders
        self.sequences = only_v1.sequences
        self.users = only_v1.users
        self.workspaces = only_v1.workspaces
        self.settling_time = timeout + calls.prospects.import_time
        self.prospects.adds_refused = "" if dry_run else adds_refused

    def __repr__(self) -> str:
        return f"SalesBlinkClient(base_url={self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        """While active, raise :class:`BudgetSpentError` for a call that would wait longer for the rate limit."""
        before, self._requestor.longest_wait = self._requestor.longest_wait, seconds
        try:
            yield
        finally:
            self._requestor.longest_wait = before

    def address_hash(self, email: str) -> str:
        """Return the keyed hash of an address, in hexadecimal: what output files show in its place.

        :raises InvalidInputError: ``email`` is empty or not an address.
        """
        if not email:
            raise InvalidInputError(
                "email is empty, so there is no address to hash. Leave out rows without an address: their person is "
                "null in an outcomes file."
            )
        return self.addresses.digest(validation.address("email", email)).hex()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        self._requestor.close()
