"""Where people go: the campaign of one of SalesBlink's APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client.records import Prospect


class Destination(Protocol):
    """Where people go: the campaign of one of SalesBlink's APIs."""

    def people(self) -> Iterable[Prospect]:
        """Everybody who is there."""

    def opted_out_elsewhere(self, address: str) -> bool | None:
        """Return whether a person opted out in any campaign of the account; None where that is not known."""

    def add(self, columns: dict[str, str]) -> None:
        """Send one person.

        :raises AmbiguousWriteError: sent, and not known whether carried out. An API that only accepts always does this.
        """

    def update(self, prospect_id: str, fields: dict[str, str], who: bytes) -> None:
        """Set fields of the person ``who``.

        :raises InvalidInputError: the id may be another person's.
        """

    def unsubscribe(self, prospect_id: str, who: bytes) -> None:
        """Stop all outreach to the person ``who``.

        :raises InvalidInputError: the id may be another person's.
        """
