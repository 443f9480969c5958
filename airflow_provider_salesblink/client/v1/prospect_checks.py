"""Say what a prospect's record leaves unclear: on the API v1 nothing, because no column may have a name of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.v1.column_names import ColumnValues, is_reserved, to_wire

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_salesblink.client.records import Prospect


class ProspectChecks:
    """The counterpart of :class:`classic.prospect_checks.ProspectChecks`."""

    shared_columns: frozenset[str] = frozenset()
    shows_every_id = False
    """Whether everybody in a campaign has an id. Here, those who were mailed and then taken off their list do not."""

    def is_reserved(self, name: str) -> bool:
        """Return whether only SalesBlink uses this name, so that no column may have it."""
        return is_reserved(name)

    def refuse_same_names(self, columns: Collection[str]) -> None:
        """Refuse columns of one row whose names become the same one.

        :raises InvalidInputError: when two do.
        """
        to_wire("A row", dict.fromkeys(columns))

    def column_values(self, fields: dict[str, Any]) -> ColumnValues:
        """Return a prospect's ``fields`` as a mapping that finds them under the names that users write."""
        return ColumnValues(fields)

    def id_is_unclear(self, prospect: Prospect) -> bool:  # noqa: ARG002
        """Return False: a lead's id is SalesBlink's."""
        return False

    def is_surely_unsubscribed(self, prospect: Prospect) -> bool:
        """Return whether SalesBlink shows that the person opted out."""
        return prospect["unsubscribed"] is True

    def id_to_act_on(self, prospect: Prospect) -> str:
        """Return a prospect's id.

        :raises UnreadableResponseError: the record has no id.
        """
        if prospect["id"] is None:
            raise UnreadableResponseError(
                "SalesBlink found the prospect but did not show an id, so the client cannot change them."
            )
        return prospect["id"]

    def confirm(self, prospect_id: str, who: bytes) -> None:
        """Do nothing: a lead's id is SalesBlink's."""

    def unclear_columns(self, prospect: Prospect) -> frozenset[str]:  # noqa: ARG002
        """Return nothing: SalesBlink's own keys cannot be columns."""
        return frozenset()

    def unclear_in_campaign(self, campaign_id: str, seen: frozenset[str] | None) -> frozenset[str]:  # noqa: ARG002
        """Return nothing: SalesBlink's own keys cannot be columns."""
        return frozenset()
