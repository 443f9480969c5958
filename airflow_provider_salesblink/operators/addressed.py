"""Operators whose ``email`` is the person they act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.operators.base import SalesBlinkOperator
from airflow_provider_salesblink.tasks import Addressed

if TYPE_CHECKING:
    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient


class AddressedOperator(Addressed, SalesBlinkOperator):  # type: ignore[misc]  # its email is another thing
    """A task that acts on the person with an address.

    :param email: the person's address.
    """

    def searched(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return the prospects with the address, perhaps none.

        :raises InvalidInputError: no address came.
        """
        from airflow_provider_salesblink.client import InvalidInputError

        if self.email is None:
            raise InvalidInputError(f"There is no email; a template may have found nothing.{self.hint}")
        return client.prospects.search(self.email)

    def of_address(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return every prospect with the address.

        :raises InvalidInputError: no address came.
        :raises NotFoundError: there is none.
        """
        from airflow_provider_salesblink.client import NotFoundError

        found = self.searched(client)
        if not found:
            raise NotFoundError("No prospect has this address. Check it, and that the key's user may see the campaign.")
        return found
