"""What happened to the people of one round of adds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import BudgetSpentError
from airflow_provider_salesblink.loading.opt_out_lookups import TooLongAgoError

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.errors import AmbiguousWriteError, SalesBlinkError
    from airflow_provider_salesblink.loading.add_schedule import AddsPausedError
    from airflow_provider_salesblink.loading.opt_out_lookups import LookedUp
    from airflow_provider_salesblink.loading.plan_steps import Step

log = logging.getLogger(__name__)

LONGEST_SETTLING_TIME = 60.0
"""The most seconds that a load waits for a server that asks for a pause. If it asks for more, the load ends for now."""


@dataclass
class Round:
    """What happened to the people of one round.

    :param accepted: those of the adds in doubt that SalesBlink accepted, to carry them out later.
    :param last_doubt: the last call in doubt whose answer was lost, and what came back.
    :param settling_time: seconds for which the requests in doubt may still take effect.
    :param retry_after: seconds until the rate limit allows more calls.
    :param held_by_others: people that other loads hold.
    :param refused_groups: parts of refused calls, to be sent on their own.
    :param refusals: refused calls in a row.
    :param pause: why nobody else may be added for now.
    :param error: why the round ended.
    :param lookup_error: why people could not be looked up in other campaigns.
    """

    in_doubt: int = 0
    accepted: int = 0
    last_doubt: str = ""
    not_sent: int = 0
    settling_time: float = 0.0
    retry_after: float = 0.0
    held_by_others: list[bytes] = field(default_factory=list)
    refused_groups: list[list[LookedUp]] = field(default_factory=list)
    refusals: int = 0
    pause: AddsPausedError | None = None
    error: SalesBlinkError | None = None
    lookup_error: SalesBlinkError | None = None

    @property
    def bounded_settling_time(self) -> float:
        """Return the seconds to wait until the requests in doubt cannot take effect any more."""
        return min(self.settling_time, LONGEST_SETTLING_TIME)

    def note_doubt(self, error: AmbiguousWriteError, people: int) -> None:
        """Note a call that may have added people."""
        self.in_doubt += people
        self.accepted += people * error.is_accepted
        if not error.is_accepted:
            self.last_doubt = f"{error.method} {error.path}: {error.status or 'no answer'}"
            self.settling_time = max(self.settling_time, error.settling_time)

    def note_lookup_error(self, step: Step, error: SalesBlinkError, *, waits: bool) -> None:
        """Note that a person could not be looked up in other campaigns.

        The round does not end at once: people who were looked up before are still sent. Else each run of the load could
        end at the same point.

        :param waits: whether the load waits for the rate limit.
        """
        self.not_sent += 1
        if isinstance(error, BudgetSpentError):
            self.retry_after = max(self.retry_after, error.retry_after or 0.0)
            if waits:
                return
        elif not self.lookup_error:
            log.error("Row %d could not be looked up in other campaigns, so the load stops.", step.number)
        self.lookup_error = self.lookup_error or error

    def note_not_sent(self, error: SalesBlinkError, *, waits: bool) -> None:
        """Note why a person was not sent: they go into the next round, or the error ends the load for now.

        :param waits: whether the load waits for the rate limit.
        """
        self.not_sent += 1
        if isinstance(error, BudgetSpentError):
            self.retry_after = max(self.retry_after, error.retry_after or 0.0)
        if not (isinstance(error, TooLongAgoError) or (isinstance(error, BudgetSpentError) and waits)):
            # Raised when no other call is in flight, so that the report has all of them.
            self.error = self.error or error

    def log_doubt(self) -> None:
        """Log why the campaign is read again."""
        lost = self.in_doubt - self.accepted
        if self.accepted:
            log.info(
                "SalesBlink accepted people: %s. The load reads the campaign until it shows them.", f"{self.accepted:,}"
            )
        if lost:
            log.warning(
                "Adds in doubt: %s, the last of them %s. The load reads the campaign to see who was added.",
                f"{lost:,}",
                self.last_doubt,
            )
