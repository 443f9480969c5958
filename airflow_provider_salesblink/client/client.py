"""The client: one key at one root URL, whichever of SalesBlink's APIs serves it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from airflow_provider_salesblink.client import classic, validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.rate_limit import RequestKind, rate_limiter
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.client.shared_store import store_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

DEFAULT_BASE_URL = "https://run.salesblink.io"
LONGEST_TIMEOUT = 86_400
"""Seconds. Sockets cannot wait for much longer."""

# The second API comes in here: a module beside `classic` with the same four names, whose classes have the same
# methods and answer the same records.
_APIS = {"classic": classic}


class SalesBlinkClient:
    """SalesBlink over HTTP. Threads may share a client; it keeps its connections until :meth:`close`.

    :param api_key: the key from SalesBlink's Integrations page.
    :param base_url: the root URL; plain ``http://`` only to a loopback address.
    :param api_version: which API serves the calls; ``classic`` or a later one.
    :param timeout: seconds to wait for an answer; connections are given up after 10.
    :param max_attempts: how often a call is sent at most while it may help.
    :param reads_per_minute: budget of all clients with this key; 0 is no limit. Likewise writes and deletes.
    :param pacing_url: where the budget is counted: empty for a file that the processes of this machine share,
        ``redis://...`` for a server that machines share, ``file:///...`` for a file of one's own.
    :param dry_run: reads go through; writes are logged and answer a record marked ``dry_run``.
    :param verify_tls: whether the server's certificate must be valid.
    :param key_name: what errors call the key.
    :param adds_refused: why nobody may be added with this client; empty where people may be added.
    :param policy: another retry policy than ``Policy(max_attempts, settling_time=timeout)``.
    :raises InvalidInputError: an argument cannot be right.

    ``campaigns``, ``prospects`` and ``team`` hold the calls; ``shared`` says where the users of the key keep what they
    share, and ``has_pacing_url`` whether that was configured.
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
        *,
        key_name: str = "the key",
        adds_refused: str = "",
        policy: Policy | None = None,
    ) -> None:
        key, root = validation.api_key(api_key), validation.root_url(base_url)
        if str(api_version) not in _APIS:
            raise InvalidInputError(f"This api_version is not served; known: {', '.join(_APIS)}.")
        validation.number("timeout", timeout, 0.001, LONGEST_TIMEOUT)
        max_attempts = validation.whole_number("max_attempts", max_attempts, 1)
        per_minute: dict[RequestKind, int] = {
            "reads": validation.whole_number("reads_per_minute", reads_per_minute, 0),
            "writes": validation.whole_number("writes_per_minute", writes_per_minute, 0),
            "deletes": validation.whole_number("deletes_per_minute", deletes_per_minute, 0),
        }
        api = _APIS[api_version]
        self._root = root
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
        )
        self.campaigns: classic.Campaigns = api.Campaigns(self._requestor)
        self.prospects: classic.Prospects = api.Prospects(self._requestor)
        self.team: classic.Team = api.Team(self._requestor)
        self.prospects.adds_refused = "" if dry_run else adds_refused

    def __repr__(self) -> str:
        return f"SalesBlinkClient(base_url={self._root!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        """Within it, a call that would wait longer than this for the budget is a :class:`BudgetSpentError`."""
        before, self._requestor.longest_wait = self._requestor.longest_wait, seconds
        try:
            yield
        finally:
            self._requestor.longest_wait = before

    def close(self) -> None:
        """Close the kept connections."""
        self._requestor.close()
