"""Prospects of the API v1, which calls them leads: the people on the lists that campaigns use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, UnsupportedByApiError
from airflow_provider_salesblink.client.v1.column_names import STATUS, email_of, to_wire
from airflow_provider_salesblink.client.v1.contact_import import ContactImport
from airflow_provider_salesblink.client.v1.lead_records import added, marked, prospect, prospect_with_status
from airflow_provider_salesblink.client.v1.leads import MOST_CONTACTS
from airflow_provider_salesblink.client.v1.opt_outs import OptOuts, of_status, word
from airflow_provider_salesblink.client.v1.prospect_checks import ProspectChecks
from airflow_provider_salesblink.client.v1.prospect_erasure import ProspectErasure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.lead_search import LeadSearch
    from airflow_provider_salesblink.client.v1.leads import Leads
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists
    from airflow_provider_salesblink.client.v1.sequence_people import SequencePeople


class Prospects(ProspectErasure):
    """Calls about prospects. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    A person on two lists is two leads: two prospects with two ids. ``checks`` is the counterpart of the classic API's.
    """

    batch_size = MOST_CONTACTS
    """The most people that one call of :meth:`send` adds."""
    sets_all_fields_at_once = True
    """Whether one call sets all fields of a person."""

    def __init__(
        self,
        requestor: Requestor,
        leads: Leads,
        search: LeadSearch,
        people: SequencePeople,
        sequence_lists: SequenceLists,
        opt_outs: OptOuts,
    ) -> None:
        super().__init__(leads, search, sequence_lists, opt_outs)
        self._people = people
        self._imports = ContactImport(requestor, search)
        self.import_time = requestor.import_time
        self.adds_refused = ""
        self.checks = ProspectChecks()

    def each_opt_out(self) -> Iterator[str]:
        """Yield the addresses and domains that the account blocks, and the addresses that unsubscribed.

        Reads the whole blocklist, and the log (``GET /reports``): somebody who was taken off the blocklist did opt out.

        :raises UnreadableResponseError: an entry shows neither an address nor a domain.
        """
        return self._opt_outs.each()

    def reservation_scope(self, campaign_id: str) -> str:  # noqa: ARG002
        """Return in what a person who is being added is reserved: here the account, as campaigns may share lists."""
        return "account"

    def list(self, campaign_id: str) -> list[Prospect]:
        """Return everybody in a campaign, as :meth:`each` yields them."""
        return [*self.each(campaign_id)]

    def each(self, campaign_id: str, list_id: str | None = None, *, with_columns: bool = True) -> Iterator[Prospect]:
        """Yield everybody in a campaign: the people of the sequence and those of its lists, each person once.

        ``fields`` has the person's state in the sequence as ``status``, in lower case with underscores
        (``not_contacted``).

        :param list_id: the list to read if the campaign has none.
        :param with_columns: False if the caller does not need ``fields``: a campaign that ran then takes a few
            requests, where it otherwise takes one for 100 people.
        :raises NotFoundError: there is no such campaign.
        """
        campaign_id = validation.identifier("campaign_id", campaign_id)
        read = self._people.each if with_columns else self._people.each_address
        for lead, entry in read(campaign_id, list_id):
            status = word(entry.get(STATUS)) or None if entry else None
            yield prospect_with_status(lead, campaign_id, status, unsubscribed=of_status(status))

    def on_list(self, list_id: str) -> Iterator[Prospect]:
        """Yield everybody on a list, archived or not, each person once.

        :raises NotFoundError: there is no such list.
        """
        for lead in self._people.on_list(validation.identifier("list_id", list_id)):
            yield prospect(lead, None)

    def in_other_campaigns(
        self, campaign_id: str, *, list_id: str | None = None, allow_other_campaigns: bool = False
    ) -> Iterator[Prospect]:
        """Yield everybody in the other campaigns that use the list to which :meth:`add` adds people.

        :raises InvalidInputError: as :meth:`add`.
        """
        target = self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)
        return self.in_campaigns_of(target, besides=(campaign_id,))

    def in_campaigns_of(self, list_id: str, besides: Collection[str] = ()) -> Iterator[Prospect]:
        """Yield everybody in the campaigns that use a list, running or paused, maybe without their columns.

        :param besides: ids of campaigns to leave out.
        """
        for campaign_id in self._sequence_lists.used_by(validation.identifier("list_id", list_id), besides):
            yield from self.each(campaign_id, with_columns=False)

    def check_list_alone(self, list_id: str, *, allow_running: bool = False) -> None:
        """Check that no running campaign uses a list, unless that is allowed.

        :raises InvalidInputError: one does.
        """
        self._sequence_lists.check_alone(validation.identifier("list_id", list_id), allow_running=allow_running)

    def send_to_list(
        self, list_id: str, people: Sequence[Mapping[str, Any]], *, allow_running: bool = False
    ) -> Sequence[str | None]:
        """Send up to 500 people to a list in one call, but do not read it: the caller does.

        :param people: the columns of each person.
        :param allow_running: whether a running campaign may use the list. Adding people then starts its mails.
        :return: None for each person.
        :raises InvalidInputError: as :meth:`check_list_alone`.
        :raises AmbiguousWriteError: always, except in a dry run: SalesBlink only accepted the people, or the answer was
            lost.
        """
        self.check_list_alone(list_id, allow_running=allow_running)
        given = validation.people("people", people, self.batch_size)
        self._imports.send(list_id, [self._checked(list_id, data)[1] for data in given])
        return [None] * len(people)

    def check_list(self, campaign_id: str, *, list_id: str | None = None, allow_other_campaigns: bool = False) -> str:
        """Check whether people may be added to a list of a campaign, as :meth:`add` does before it sends anything.

        :return: the list's id.
        :raises InvalidInputError: the list is unclear, or another running campaign uses it.
        """
        return self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)

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
        most :attr:`retry.Policy.import_time` seconds (300; how long an import takes is not documented). After a lost
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
        people: Sequence[Mapping[str, Any]],
        *,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
    ) -> Sequence[str | None]:
        """Send up to 500 people in one call as :meth:`add` sends one, but do not read the list: the caller does.

        :param people: the columns of each person.
        :return: None for each person.
        :raises AmbiguousWriteError: always, except in a dry run: SalesBlink only accepted the people, or the answer was
            lost.
        """
        given = validation.people("people", people, self.batch_size)
        checked = [self._checked(campaign_id, data)[1] for data in given]
        target = self._sequence_lists.target(campaign_id, list_id, allow_other_campaigns=allow_other_campaigns)
        self._imports.send(target, checked)
        return [None] * len(checked)

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
