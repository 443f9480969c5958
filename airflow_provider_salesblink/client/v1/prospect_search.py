"""Find the prospects of one person: in the account, in a campaign, and by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.records import LookUp
from airflow_provider_salesblink.client.v1.column_names import email_of
from airflow_provider_salesblink.client.v1.lead_records import prospect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.lead_search import LeadSearch
    from airflow_provider_salesblink.client.v1.leads import Leads
    from airflow_provider_salesblink.client.v1.opt_outs import OptOuts
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists


class ProspectSearch:
    """The calls of :class:`Prospects` that find one person."""

    def __init__(self, leads: Leads, search: LeadSearch, sequence_lists: SequenceLists, opt_outs: OptOuts) -> None:
        self._leads = leads
        self._search = search
        self._sequence_lists = sequence_lists
        self._opt_outs = opt_outs

    def search(self, email: str) -> list[Prospect]:
        """Return the prospects with this address: one for each lead, and for each campaign that uses the lead's list.

        Asks ``GET /leads/activity?email=`` whether SalesBlink knows the address, and then searches each list. A lead on
        a list that no campaign uses has no ``campaign_id``.
        """
        email = validation.address("email", email)
        known = self._search.by_address(email)
        if known is None:
            return []
        return self._prospects(email, self._search.everywhere(email) or [known])

    def _prospects(self, email: str, leads: list[Json]) -> list[Prospect]:
        """Return the prospects of one person's leads."""
        unsubscribed, campaigns = self._opt_outs.of(email), self._sequence_lists.sequences_by_list()
        return [
            prospect(lead, campaign_id, unsubscribed=unsubscribed)
            for lead in leads
            for campaign_id in campaigns.get(str(lead.get("list_id")), [None])
        ]

    def look_up(
        self,
        campaign_id: str,
        email: str,
        learn: Callable[[Iterable[Prospect]], Iterable[Prospect]] = iter,  # noqa: ARG002
        list_id: str | None = None,
    ) -> LookUp:
        """Find a person in a campaign and in the account, before they are added.

        Searches the campaign's lists, and reads the history of the person's lead and the blocklist.

        :param learn: for the classic API only.
        :param list_id: the list to add the person to, which a campaign without lists does not show.
        """
        email = validation.address("email", email)
        here, elsewhere = self._find(campaign_id, email, list_id)
        in_campaign = [prospect(lead, campaign_id) for lead in here]
        known = in_campaign or [prospect(lead, None) for lead in elsewhere]
        unsubscribed = self._opt_outs.of(email) if known else self._opt_outs.blocked(email)
        for each in known:
            each["unsubscribed"] = unsubscribed
        return LookUp(everywhere=known, in_campaign=in_campaign, opted_out=unsubscribed)

    def in_campaign(self, campaign_id: str, email: str, list_id: str | None = None) -> list[Prospect]:
        """Return the prospects with an address in a campaign: on its lists, or in its history.

        ``unsubscribed`` is None: the answers do not show it.

        :param list_id: the list to search if the campaign has none.
        """
        here, _ = self._find(campaign_id, validation.address("email", email), list_id)
        return [prospect(lead, campaign_id) for lead in here]

    def _find(self, campaign_id: str, email: str, list_id: str | None) -> tuple[list[Json], list[Json]]:
        """Return the leads with an address in a campaign, and if there are none, one that is elsewhere."""
        campaign_id = validation.identifier("campaign_id", campaign_id)
        if on_lists := self._search.on_lists_of(campaign_id, email, list_id):
            return on_lists, []
        if (lead := self._search.by_address(email)) is None:
            return [], []
        return ([lead], []) if self._search.was_mailed(campaign_id, email_of(lead) or email) else ([], [lead])

    def opted_out_elsewhere(self, campaign_id: str, email: str) -> bool | None:  # noqa: ARG002
        """Return whether a person opted out of all mails of the account; None if SalesBlink does not show it."""
        return True if self._opt_outs.in_history(email) else self._opt_outs.blocked(email)

    def get(self, prospect_id: str) -> Prospect:
        """Return one prospect (``GET /leads/{id}/activity``, and the list of the lead for the columns).

        :raises NotFoundError: there is no prospect with this id.
        """
        lead = self._known(prospect_id)
        email = email_of(lead)
        found = [each for each in self.search(email) if each["id"] == lead["id"]] if email else []
        return found[0] if found else prospect(lead, None)

    def _known(self, prospect_id: str) -> Json:
        prospect_id = validation.identifier("prospect_id", prospect_id)
        return {**self._leads.activity(lead_id=prospect_id).lead, "id": prospect_id}
