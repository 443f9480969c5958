"""Wait for people that another load holds: ask where the reservations are, not SalesBlink."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_salesblink.loading.reservations import PatientReservations

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
"""Seconds between two questions to the store; each pause is twice as long as the one before."""
READ_EVERY = 60.0
"""Seconds after which it is worth reading the campaign although others still hold some of the people."""
TRY_AGAIN_AFTER = 30.0
"""Seconds after which a load that has given up its place tries again."""


class HeldByOthersError(BudgetSpentError):
    """Another load is adding the same people, for longer than the caller wants to wait."""


def wait_for_others(
    reservations: PatientReservations,
    people: Collection[bytes],
    *,
    longest_wait: float,
    sleep: Callable[[float], None],
    is_view_old: Callable[[], bool] = lambda: False,
) -> tuple[dict[bytes, str], float]:
    """Wait until other loads have finished with some of ``people``.

    Whoever waits counts as idle meanwhile: two loads may wait for each other.

    :param longest_wait: most seconds to wait, as a call waits for the budget.
    :param is_view_old: whether the campaign has to be read anyway.
    :returns: the owner of each person whose owner is idle, as of before the campaign is read; and the seconds waited.
    :raises HeldByOthersError: they are still held.
    """
    reservations.finish()
    people, waited, pause = set(people), 0.0, FIRST_PAUSE
    while True:
        holders = reservations.holders(people)
        at_work = sum(holder.is_at_work for holder in holders.values())
        some_are_free = at_work < len(people) and (not waited or waited >= READ_EVERY)
        if not at_work or some_are_free or is_view_old():
            return {who: holder.owner for who, holder in holders.items() if not holder.is_at_work}, waited
        if waited + pause > longest_wait:
            raise HeldByOthersError(
                f"Another load has been adding {_people(at_work)} of this one for longer than {longest_wait:.0f} s.",
                status=None,
                retry_after=TRY_AGAIN_AFTER,
            )
        if not waited:
            verb = "is" if at_work == 1 else "are"
            log.info("%s %s being added by another load; waiting.", _people(at_work), verb)
        sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"
