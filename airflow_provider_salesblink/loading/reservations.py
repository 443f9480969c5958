"""Reservations: two loads that hold the same person do not both send them.

A reservation outlives the add until it expires, because another load may have read the campaign before the add.
So a load follows three rules:

- It does not rely on a reading of the campaign that is older than half of :data:`HELD_FOR`, or that began before the
  store lost reservations, a clock was set, or the load took over a person from another load.
- It sends a person only while the store holds that person's reservation, and sending renews the reservation.
- It waits for other loads' reservations, or takes them over once their owners are idle.

``reservations_file`` and ``reservations_redis`` are the two stores; ``reservations_retry`` opens one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

HELD_FOR = 900.0
"""Seconds until a reservation expires. Long enough for a client's attempts at one call; after it, the people that a
dead load reserved are free."""

LONGEST_UNSENT = HELD_FOR / 2
"""Seconds for which a load relies on a reading of the campaign, and for which an add may wait to be sent. It is half of
a reservation's life, so that the reservation outlives both."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Another load that holds a person's reservation.

    :param is_active: whether it may still have requests under way.
    """

    owner: str
    is_active: bool


class Reservations(Protocol):
    """A store of reservations for one campaign and one load."""

    def acquire(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; return those of ``people`` that it holds now. Other loads hold the rest."""

    def renew(self, people: Sequence[bytes]) -> bool:
        """Restart the life of reservations right before the people are sent; return whether this load holds them all.

        Also marks the load as active now: a later run of it waits for what is sent at this moment.
        """

    def held(self, people: Sequence[bytes]) -> set[bytes]:
        """Return those of ``people`` that this load, or an earlier run of it, has reserved."""

    def complete_since(self) -> float:
        """Return the monotonic time since which the store has lost no reservation, as of the last :meth:`acquire`.

        Only the campaign shows the people that other loads reserved and sent before that.
        """

    def idle_owner(self, who: bytes) -> str | None:
        """Return the owner of a person's reservation if it is idle; None if it is active or there is none."""

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner that is still idle; return whether it worked.

        Look the person up in the campaign after that, before sending them: the idle owner may have added them.
        """

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""

    def idle_for(self) -> float:
        """Return the seconds since an unfinished earlier run of this load was active; infinite if there is none."""

    def finish(self) -> None:
        """Mark the load as idle: none of its requests is under way."""
