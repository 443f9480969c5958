"""Prospects of the API v1, which calls them leads: the people on the lists that campaigns use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, UnsupportedByApiError
from airflow_provider_salesblink.client.records import LookUp
from airflow_provider_salesblink.client.v1.column_names import STATUS, email_of, to_wire
from airflow_provider_salesblink.client.v1.contact_import import ContactImport
from airflow_provider_salesblink.client.v1.lead_records import added, marked, prospect, prospect_with_status
from airflow_provider_salesblink.client.v1.opt_outs import OptOuts, of_status, word
from airflow_provider_salesblink.client.v1.prospect_checks import ProspectChecks

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.lead_search import LeadSearch
    from airflow_provider_salesblink.client.v1.leads import Leads
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists


class Prospects:
    """Calls about prospects. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    A person on two lists is two leads: two prospects with two ids. ``checks`` is the counterpart of the classic API's.
    """

    def __init__(
        self,
        requestor: Requestor,
        leads: Leads,
        search: LeadSearch,
        sequence_lists: SequenceLists,
        opt_outs: OptOuts,
    ) -> None:
        self._leads = leads
        self._search = search
        self._sequence_lists = sequence_lists
        self._opt_outs = opt_outs
        self._imports = ContactImport(requestor, search)
        self.import_time = requestor.import_time
        self.adds_refused = ""
        self.checks = ProspectChecks()

    def search(self, email: str) -> list[Prospect]:
        """Return the prospects with this address: one for each lead, and for each campaign that uses the lead's list.

        Asks ``GET /leads/activity?email=`` whether SalesBlink knows the address, and then searches each list. A lead on
        a list that no campaign uses has no ``campaign_id``.
        """
        email = validation.address("email", email)
        known = self._search.by_address(email)
        if known is None:
            return []
        unsubscribed = self._opt_outs.of(email)
        leads = self._search.everywhere(email) or [known]
        campaigns = self._sequence_lists.sequences_by_list()
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

    def _find(
        self, campaign_id: str, email: str, list_id: str | None
    ) -> tuple[builtins.list[Json], builtins.list[Json]]:
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

    def list(self, campaign_id: str) -> list[Prospect]:
        """Return everybody in a campaign, as :meth:`each` yields them."""
        return [*self.each(campaign_id)]

    def each(self, campaign_id: str, list_id: str | None = None) -> Iterator[Prospect]:
        """Yield everybody in a campaign: the people of the sequence and those of its lists, each person once.

        ``fields`` has the person's state in the sequence as ``status``, in lower case with underscores
        (``not_contacted``).

        :param list_id: the list to read if the campaign has none.
        :raises NotFoundError: there is no such campaign.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        for lead, entry in self._search.each_in_sequence(campaign_id, list_id):
            status = word(entry.get(STATUS)) or None if entry else None
            yield prospect_with_status(lead, campaign_id, status, unsubscribed=of_status(status))

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

    def check_list(self, campaign_id: str, *, list_id: str | None = None, allow_other_campaigns: bool = False) -> None:
        """Check whether people may be added to a list of a campaign, as :meth:`add` does before it sends anything.

        :raises InvalidInputError: the list is unclear, or another running campaign uses it.
        """
        self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)

    def add(
        self,
        campaign_id: str,
        data: Mapping[str, Any],
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
        ignore_ids: Collection[str | None] = (),
    ) -> Prospect:
        """Add one person to a list of a campaign (``POST /contacts``) once, and wait until they are there.

        SalesBlink only accepts the person, and imports them later: the client reads the list until it shows them, at
        most :attr:`retry.Policy.import_time` seconds (60; how long an import takes is not documented). After a lost
        answer it reads the list in the same way, and sends the person again only if they are not there.

        If the campaign runs, its mails to the person start.

        :param data: the person's columns, as on the classic API: ``Email``, ``First Name``, ``Company``, and others.
        :param list_id: the list to add to; None for the only list of the campaign.
        :param allow_other_campaigns: whether to add the person although another running campaign uses the list.
        :param ignore_ids: ids of leads that may be there although the person was not added. Not possible here: a list
            holds a person once.
        :raises InvalidInputError: ``data`` is invalid, the list is unclear, or another running campaign uses it.
        :raises AmbiguousWriteError: the list does not show the person in time, or cannot be read.
        :raises UnsupportedByApiError: ``ignore_ids`` is not empty.
        """
        campaign_id, columns = self._checked(campaign_id, data)
        if ignore_ids:
            raise UnsupportedByApiError(
                "SalesBlink's API v1 removes a person who is on the list already, so nobody can be enrolled a second "
                "time. Use on_existing='skip' or 'update'. Nothing was sent."
            )
        target = self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)
        return added(self._imports.add(target, columns), campaign_id, columns)

    def send(
        self,
        campaign_id: str,
        data: Mapping[str, Any],
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
    ) -> Prospect:
        """Send one person as :meth:`add` does, but do not read the list: the caller reads back many at once.

        :raises AmbiguousWriteError: always, except in a dry run: SalesBlink only accepted the person, or the answer was
            lost.
        """
        campaign_id, columns = self._checked(campaign_id, data)
        target = self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)
        return added(self._imports.send(target, columns), campaign_id, columns)

    def _checked(self, campaign_id: str, data: Mapping[str, Any]) -> tuple[str, Json]:
        """Check the arguments of an add, before anything is sent."""
        campaign_id = validation.identifier("campaign_id", campaign_id)
        if self.adds_refused:
            raise InvalidInputError(self.adds_refused)
        columns = validation.new_prospect(data)
        validation.encoded("data", to_wire("data", columns))
        return campaign_id, columns

    def update(self, prospect_id: str, fields: Mapping[str, Any]) -> Prospect:
        """Set fields of a prospect in one call (``PATCH /leads/{id}``). The same values again change nothing.

        :param fields: column -> value; the client sends values as text.
        """
        prospect_id = validation.identifier("prospect_id", prospect_id)
        answer = self._leads.update(prospect_id, fields)
        return marked(prospect({**answer, "id": prospect_id}, None), answer)

    def is_done_with(self, prospect: Prospect) -> bool:
        """Return whether :meth:`unsubscribe` would change nothing: the person opted out, and the blocklist has them."""
        return prospect["unsubscribed"] is True and self._opt_outs.has_entry(prospect["email"] or "")

    def unsubscribe(self, prospect_id: str) -> Prospect:
        """Stop all outreach to a person (``POST /leads/{id}/unsubscribe``). SalesBlink offers no way to undo this.

        Does it for every lead with the address, because a person on two lists is two leads, and then reads the
        blocklist. ``raw["lead_ids"]`` has the ids of these leads. A second call changes nothing.

        :raises UnreadableResponseError: SalesBlink accepted the calls, but its blocklist does not have the address.
        """
        lead = self._known(prospect_id)
        email = email_of(lead)
        others = self._search.everywhere(email) if email else []
        ids = list(dict.fromkeys([str(lead["id"]), *(str(each["id"]) for each in others if each.get("id"))]))
        is_dry_run = self._opt_outs.unsubscribe(ids)
        record: Prospect = {**prospect(lead, None, unsubscribed=True), "raw": {**lead, "lead_ids": ids}}
        if is_dry_run:
            return marked(record, {"dry_run": True})
        if email:
            record["unsubscribed"] = self._opt_outs.confirm(email)
        return record
