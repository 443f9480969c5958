"""Wait for people that another load holds, by asking the store of the reservations instead of SalesBlink."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
"""Seconds between two questions to the store. Each pause is twice as long as the one before."""
READ_EVERY = 60.0
"""Seconds after which reading the campaign is worth it although other loads still hold some of the people."""
TRY_AGAIN_AFTER = 30.0
"""Seconds after which a load that stopped waiting tries again."""


class HeldByOthersError(BudgetSpentError):
    """Another load has been adding the same people for longer than this one may wait."""


def wait_for_others(
    reservations: RetryingReservations,
    people: Collection[bytes],
    *,
    longest_wait: float,
    sleep: Callable[[float], None],
    is_reading_stale: Callable[[], bool] = lambda: False,
) -> tuple[dict[bytes, str], float]:
    """Wait until other loads have finished with some of ``people``.

    This load counts as idle while it waits, because two loads may wait for each other.

    :param longest_wait: the most seconds to wait.
    :param is_reading_stale: whether the campaign has to be read again anyway.
    :returns: the owner of each person whose owner is idle, and the seconds waited. Read the campaign after this, not
        before: an owner may have added the person before it became idle.
    :raises HeldByOthersError: when other loads still hold them.
    """
    reservations.finish()
    people, waited, pause = set(people), 0.0, FIRST_PAUSE
    while True:
        holders = reservations.holders(people)
        held = sum(holder.is_active for holder in holders.values())
        some_are_free = held < len(people) and (not waited or waited >= READ_EVERY)
        if not held or some_are_free or is_reading_stale():
            return {who: holder.owner for who, holder in holders.items() if not holder.is_active}, waited
        if waited + pause > longest_wait:
            raise HeldByOthersError(
                f"Another load has been adding {_people(held)} of this one for longer than {longest_wait:.0f} s.",
                status=None,
                retry_after=TRY_AGAIN_AFTER,
            )
        if not waited:
            verb = "is" if held == 1 else "are"
            log.info("%s %s being added by another load; waiting.", _people(held), verb)
        sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"
