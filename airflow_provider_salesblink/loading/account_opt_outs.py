"""Who opted out in the account, read in bulk: for an API that adds many people in one call."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.errors import SalesBlinkError
from airflow_provider_salesblink.client.identity import fingerprint, normalized
from airflow_provider_salesblink.loading.opt_out_lookups import (
    LONGEST_RELIED_ON,
    ROW_ERRORS,
    LookedUp,
    StepSource,
    look_up,
)
from airflow_provider_salesblink.loading.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.plan_steps import Step


class OptOutsUnreadableError(SalesBlinkError):
    """SalesBlink refuses to say who opted out in the account. The load stops, because this concerns everybody."""

    permanent = True


FEW = 10
"""Up to so many people are looked up one by one: the list of all opt-outs of an account may be long."""


class AccountOptOuts:
    """Everybody who opted out in the account. Keeps a hash of each address in memory."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._addresses: set[bytes] = set()
        self._domains: set[str] = set()
        self._read_at = -float("inf")

    def read(self) -> float:
        """Read the list, unless it was read a short time ago; return the monotonic time of the reading.

        :raises SalesBlinkError: when it cannot be read.
        """
        if time.monotonic() - self._read_at > LONGEST_RELIED_ON / 2:
            with Progress("opt-outs of the account read") as progress:
                self._keep(progress.each(self._destination.each_opt_out()))
            # The end: a long list would otherwise be too old as soon as it is read, and nobody would ever be sent.
            self._read_at = time.monotonic()
        return self._read_at

    def _keep(self, entries: Iterable[str]) -> None:
        addresses, domains = set(), set()
        for entry in entries:
            if "@" in entry:
                addresses.add(fingerprint(entry))
            else:
                domains.add(entry)
        self._addresses, self._domains = addresses, domains

    def has(self, who: bytes) -> bool:
        """Return whether the address of a person opted out, whatever their domain did."""
        return who in self._addresses

    def hold(self, address: str) -> bool:
        """Return whether the person with ``address``, or their domain, opted out."""
        return fingerprint(address) in self._addresses or normalized(address).rpartition("@")[2] in self._domains


class LookupInBulk(StepSource):
    """The people to add, each compared with everybody who opted out in the account.

    :param are_few: whether to look them up one by one instead.
    """

    def __init__(
        self, steps: Iterator[Step], opt_outs: AccountOptOuts, destination: Destination, *, are_few: bool
    ) -> None:
        super().__init__(steps)
        self._opt_outs = opt_outs
        self._destination = destination
        self._are_few = are_few
        self._is_stopped = False

    def ready(self, most: int, sending: Iterable[Future[None]]) -> list[LookedUp]:  # noqa: ARG002
        """Return the next people of the plan."""
        # What cannot be read now is not asked for again in this round.
        steps = [] if self._is_stopped else list(islice(self._steps, most))
        found = self._one_by_one(steps) if self._are_few else self._all_at_once(steps)
        self.is_over = not found
        return found

    def _all_at_once(self, steps: list[Step]) -> list[LookedUp]:
        if not steps:
            return []
        try:
            read_at = self._opt_outs.read()
        except SalesBlinkError as error:
            self._is_stopped = True
            return [LookedUp(step, error=_of_everybody(error)) for step in steps]
        return [LookedUp(step, self._opt_outs.hold(step.columns[EMAIL]), read_at) for step in steps]

    def _one_by_one(self, steps: list[Step]) -> list[LookedUp]:
        found: list[LookedUp] = []
        for step in steps:
            last = found[-1].error if found else None
            stopped = last is not None and not isinstance(last, ROW_ERRORS)
            found.append(
                LookedUp(step, error=last) if stopped else look_up(step, self._destination.opted_out_elsewhere)
            )
        return found


def _of_everybody(error: SalesBlinkError) -> SalesBlinkError:
    """Return an error that stops the load, in place of one that would only refuse a person's row."""
    if not isinstance(error, ROW_ERRORS):
        return error
    return OptOutsUnreadableError(f"Who opted out in the account cannot be read. {error}")
