"""Operators whose ``email`` is the person they act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from airflow_provider_salesblink.operators.base import SalesBlinkOperator
from airflow_provider_salesblink.tasks import Addressed

if TYPE_CHECKING:
    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient


class AddressedOperator(Addressed, SalesBlinkOperator):  # type: ignore[misc]  # its email is another thing
    """A task that acts on the person with an address.

    :param email: the person's address.
    """

    def of_address(self, client: SalesBlinkClient) -> list[Prospect]:
        """Every prospect with the address.

        :raises NotFoundError: there is none.
        """
        from airflow_provider_salesblink.client import NotFoundError

        found = client.prospects.search(cast("str", self.email))
        if not found:
            raise NotFoundError("No prospect has this address. Check it, and that the key's user may see the campaign.")
        return found
