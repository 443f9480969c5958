"""Check what a prospect's record leaves unclear, before a call changes the wrong person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.classic import column_conflicts, decoding
from airflow_provider_salesblink.client.errors import InvalidInputError, NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.client.identity import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor


class ProspectChecks:
    """Decides whether a value in a prospect's record comes from SalesBlink or from one of the person's own columns.

    ``shared_columns`` are names of SalesBlink that also occur in exports of other tools.
    """

    shared_columns = column_conflicts.SHARED
    shows_every_id = True
    """Whether everybody in a campaign has an id."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def is_reserved(self, name: str) -> bool:
        """Return whether only SalesBlink uses this name, so that no column may have it."""
        return name.strip() in column_conflicts.RESERVED

    def refuse_same_names(self, columns: Collection[str]) -> None:
        """Do nothing: the classic API keeps the names that users write."""

    def column_values(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a prospect's ``fields`` as they are: the classic API keeps the names that users write."""
        return fields

    def id_is_unclear(self, prospect: Prospect) -> bool:
        """Return whether ``prospect``'s id may be a value of one of the person's own columns."""
        return column_conflicts.id_is_unclear(prospect["raw"])

    def is_surely_unsubscribed(self, prospect: Prospect) -> bool:
        """Return whether the API says that the person opted out, rather than one of their own columns."""
        raw = prospect["raw"]
        return prospect["unsubscribed"] is True and (
            column_conflicts.is_nested(raw) or any(column_conflicts.states(raw))
        )

    def id_to_act_on(self, prospect: Prospect) -> str:
        """Return a prospect's id after checking that it is theirs. Costs one read if the record leaves this unclear.

        :raises InvalidInputError: the id may belong to another person.
        :raises UnreadableResponseError: the record has no id.
        """
        prospect_id = prospect["id"]
        if prospect_id is None:
            raise UnreadableResponseError(
                "SalesBlink found the prospect but did not show an id, so the client cannot change them."
            )
        if self.id_is_unclear(prospect):
            self.confirm(prospect_id, fingerprint(prospect["email"] or ""))
        return prospect_id

    def confirm(self, prospect_id: str, who: bytes) -> None:
        """Read a prospect (``GET /prospect/<prospectID>``) and check that it is the expected person.

        :param who: the person's :func:`identity.fingerprint`.
        :raises InvalidInputError: it is not this person.
        """
        try:
            answer = self._requestor.read("prospect", validation.identifier("prospect_id", prospect_id))
            found = answer.decoded(decoding.prospects)
        except (NotFoundError, InvalidInputError):
            found = []
        if len(found) != 1 or found[0]["email"] is None or fingerprint(found[0]["email"]) != who:
            raise InvalidInputError(
                "SalesBlink's answer does not show for certain which prospect this is: one of the person's own columns "
                "may replace the id. Nothing was changed. Look up the id in SalesBlink and pass it as prospect_id."
            )

    def unclear_columns(self, prospect: Prospect) -> frozenset[str]:
        """Return the names in ``prospect``'s record that may be the API's or the person's own columns."""
        return column_conflicts.unclear_columns(prospect["raw"])

    def unclear_in_campaign(self, campaign_id: str, seen: frozenset[str] | None) -> frozenset[str]:
        """Return which columns stay unclear in a campaign. Reads ``GET /campaign/<campaignID>`` if that can help.

        :param seen: the result of :meth:`unclear_columns` for its people; None if the campaign is empty.
        """
        if seen is not None and "status" not in seen:
            return seen
        campaign_id = validation.identifier("campaign_id", campaign_id)
        try:
            answer = self._requestor.read("campaign", campaign_id)
            campaign = answer.decoded(lambda body: decoding.single_campaign(body, campaign_id))
        except NotFoundError:
            # A campaign id from a prospect's record may be one of the person's own columns.
            return seen or column_conflicts.SHARED
        return column_conflicts.unclear_in_campaign(seen, campaign["raw"])
