"""What an answer about a prospect leaves open, and how to find out before anything is done to the wrong person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.classic import column_conflicts, decoding
from airflow_provider_salesblink.client.errors import InvalidInputError, NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.client.identity import fingerprint

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor


class ProspectChecks:
    """Whether what stands in a prospect's answer is SalesBlink's word, or a column of the person.

    ``reserved_columns`` are names that only SalesBlink uses, ``shared_columns`` those that exports of other tools use
    too.
    """

    reserved_columns = column_conflicts.RESERVED
    shared_columns = column_conflicts.SHARED

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def id_is_unclear(self, prospect: Prospect) -> bool:
        """Return whether ``prospect``'s id may be a value of one of the person's own columns."""
        return column_conflicts.id_is_unclear(prospect["raw"])

    def campaign_is_unclear(self, prospect: Prospect) -> bool:
        """Return whether ``prospect``'s campaign id may be a value of one of the person's own columns."""
        return column_conflicts.campaign_is_unclear(prospect["raw"])

    def is_surely_unsubscribed(self, prospect: Prospect) -> bool:
        """Return whether the API says that the person opted out, rather than one of their own columns."""
        raw = prospect["raw"]
        return prospect["unsubscribed"] is True and (
            column_conflicts.is_nested(raw) or any(column_conflicts.states(raw))
        )

    def id_to_act_on(self, prospect: Prospect) -> str:
        """Return a found prospect's id, once it is sure that it is theirs (one read where the answer leaves it open).

        :raises InvalidInputError: the id may be another person's.
        :raises UnreadableResponseError: SalesBlink did not show an id.
        """
        prospect_id = prospect["id"]
        if prospect_id is None:
            raise UnreadableResponseError("SalesBlink found the prospect but showed no id, so nothing can be done.")
        if self.id_is_unclear(prospect):
            self.confirm(prospect_id, fingerprint(prospect["email"] or ""))
        return prospect_id

    def confirm(self, prospect_id: str, who: bytes) -> None:
        """Read a prospect (``GET /prospect/<prospectID>``) and make sure that it is the person meant.

        :param who: the person, as :func:`redaction.fingerprint` has them.
        :raises InvalidInputError: it is not.
        """
        try:
            answer = self._requestor.read("prospect", validation.identifier("prospect_id", prospect_id))
            found = answer.decoded(decoding.prospects)
        except (NotFoundError, InvalidInputError):
            found = []
        if len(found) != 1 or found[0]["email"] is None or fingerprint(found[0]["email"]) != who:
            raise InvalidInputError(
                "SalesBlink's answer does not show for sure which prospect is meant: a column of the person's own may "
                "stand in place of the id. Nothing was done to them. Look up the id in SalesBlink, and give it as "
                "prospect_id."
            )

    def unclear_columns(self, prospect: Prospect) -> frozenset[str]:
        """Return the names of columns of which ``prospect``'s answer does not show whether they are the API's."""
        return column_conflicts.unclear_columns(prospect["raw"])

    def unclear_in_campaign(self, campaign_id: str, seen: frozenset[str] | None) -> frozenset[str]:
        """Return which columns stay unclear in a campaign (``GET /campaign/<campaignID>``, where that can help).

        :param seen: what :meth:`unclear_columns` says of its people; None where it holds nobody.
        """
        if seen is not None and "status" not in seen:
            return seen
        campaign_id = validation.identifier("campaign_id", campaign_id)
        try:
            answer = self._requestor.read("campaign", campaign_id)
            campaign = answer.decoded(lambda body: decoding.single_campaign(body, campaign_id))
        except NotFoundError:
            # Where it comes from a prospect, it may be a column of the person's own.
            return seen or column_conflicts.SHARED
        return column_conflicts.unclear_in_campaign(seen, campaign["raw"])
