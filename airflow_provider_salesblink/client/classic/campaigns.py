"""Campaigns of the classic API (``/api/campaign*``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.classic import decoding
from airflow_provider_salesblink.client.errors import UnsupportedByApiError

if TYPE_CHECKING:
    import builtins

    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.client.records import Campaign
    from airflow_provider_salesblink.client.requestor import Requestor


class Campaigns:
    """Calls about campaigns. Each raises a subclass of :class:`SalesBlinkError` if it fails."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def search(self, term: str) -> list[Campaign]:
        """Return the campaigns whose name contains ``term``, in the API's order (``GET /campaign?term=``)."""
        query = {"term": validation.term("term", term)}
        return self._requestor.read("campaign", query=query).decoded(decoding.campaigns)

    def list(self) -> list[Campaign]:
        """Return all campaigns that the key can see, in the API's order (``GET /campaigns``)."""
        return self._requestor.read("campaigns").decoded(decoding.campaigns)

    def in_state(self, state: CampaignState) -> builtins.list[Campaign]:
        """Return the campaigns that are in a state, ``paused`` or ``running`` (``GET /campaigns``).

        :raises UnsupportedByApiError: the classic API does not know the state.
        """
        if validation.term("state", state) not in ("paused", "running"):
            raise UnsupportedByApiError(
                f"The state {state!r} exists on SalesBlink's API v1 only. The connection uses the classic API, which "
                "knows paused and running. Set the connection's extra api_version to 'v1'."
            )
        return [each for each in self.list() if each["paused"] is (state == "paused")]

    def get(self, campaign_id: str) -> Campaign:
        """Return one campaign (``GET /campaign/<campaignID>``).

        :raises NotFoundError: there is no campaign with this id.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        answer = self._requestor.read("campaign", campaign_id)
        return answer.decoded(lambda body: decoding.single_campaign(body, campaign_id))

    def pause(self, campaign_id: str) -> Campaign:
        """Stop a campaign's upcoming tasks (``POST /campaign-status``). Pausing a paused campaign changes nothing.

        Returns the campaign as SalesBlink's answer shows it, which may be only its id.
        """
        return self._set_paused(campaign_id, paused=True)

    def unpause(self, campaign_id: str) -> Campaign:
        """Resume a paused campaign (``POST /campaign-status``). Unpausing a running campaign changes nothing.

        Returns the campaign as SalesBlink's answer shows it, which may be only its id.
        """
        return self._set_paused(campaign_id, paused=False)

    def _set_paused(self, campaign_id: str, *, paused: bool) -> Campaign:
        campaign_id = validation.identifier("campaign_id", campaign_id)
        answer = self._requestor.write("campaign-status", body={"campaignID": campaign_id, "pause": paused})
        shown = decoding.acknowledged(answer.body, decoding.CAMPAIGN_NAMES)
        record = decoding.campaign(shown, campaign_id)
        if answer.dry_run:
            record["dry_run"] = True
        return record
