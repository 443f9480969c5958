"""What an interrupted load leaves for its next run: what is still to be sent, in row numbers and ids, no address.

It saves reading the campaign again. It is good only for the same input, and only as long as what was read is young
enough to rely on. Whoever takes it takes it away, so that no two runs go on from the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.addresses import found_in
from airflow_provider_salesblink.loading.rows import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.rows import Row

LONGEST = 60_000
"""Characters of JSON. Airflow's state store is meant for values up to 64 KB; a larger rest is read anew."""

_MOST = 5_000


class Memory(Protocol):
    """Where a load keeps what its next run needs."""

    def take(self) -> dict[str, Any] | None:
        """What the run before left, which is gone from there now; None if nothing."""

    def keep(self, left: dict[str, Any]) -> None:
        """Keep it for the next run."""


class Fingerprinted:
    """A source that can tell, once it was read, whether it is the same as another time.

    :param scope: what the rows are for; the same rows for something else are another input.
    """

    def __init__(self, source: Iterable[Row | Reject], scope: str) -> None:
        self._source = source
        self._scope = scope
        self.fingerprint = ""

    def __iter__(self) -> Iterator[Row | Reject]:
        digest = hashlib.blake2b(self._scope.encode(errors="surrogatepass"), digest_size=16)
        for row in self._source:
            # A row that cannot be read may not be JSON either; its reason stands for it.
            what = row.reason if isinstance(row, Reject) else [row.columns, row.opted_out]
            digest.update(json.dumps([row.number, what]).encode())
            yield row
        self.fingerprint = digest.hexdigest()


def kept(plan: Plan, report: Report, source: Fingerprinted, looked_at: float) -> dict[str, Any] | None:
    """What the next run needs; None where it has to read the campaign anyway.

    :param looked_at: when, by the monotonic clock, the reading that the plan is made from began.
    """
    left = plan.left(_MOST)
    if left is None:
        return None
    read = time.time() - (time.monotonic() - looked_at)
    told = {"input": source.fingerprint, "read": read, "done": report.done(), **left}
    text = json.dumps(told)
    # A column may be named after somebody.
    return None if len(text) > LONGEST or found_in(text) else told


def age(left: dict[str, Any]) -> float:
    """Seconds since the campaign was read; infinite where the clock went back, which proves nothing."""
    seconds = time.time() - float(left["read"])
    return seconds if seconds >= 0 else float("inf")
