"""Find the leads of a person. A lead belongs to one list: a person on two lists is two leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import NotFoundError
from airflow_provider_salesblink.client.identity import normalized, spellings
from airflow_provider_salesblink.client.v1.column_names import email_of
from airflow_provider_salesblink.client.v1.decoding import text_id
from airflow_provider_salesblink.client.v1.lists import all_leads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.events import Events
    from airflow_provider_salesblink.client.v1.leads import Leads
    from airflow_provider_salesblink.client.v1.lists import Lists
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists


class LeadSearch:
    """Finds leads by address, on one list or on all of them."""

    def __init__(self, lists: Lists, leads: Leads, sequence_lists: SequenceLists, events: Events) -> None:
        self._lists = lists
        self._leads = leads
        self._sequence_lists = sequence_lists
        self._events = events

    def on_list(self, list_id: str, email: str) -> Iterator[Json]:
        """Yield the leads with an address on a list, archived ones too, each once.

        The search of ``GET /lists/{id}/leads`` looks into names too, so the client compares the address itself. Whether
        the search ignores case is not documented, so the client asks for each spelling that may be stored.
        """
        wanted, seen = normalized(email), set[object]()
        for spelling in spellings(email):
            for lead in all_leads(self._lists, list_id, spelling):
                lead_id = lead.get("id") or object()
                if lead_id not in seen and normalized(email_of(lead) or "") == wanted:
                    seen.add(lead_id)
                    yield lead

    def on_lists_of(self, sequence_id: str, email: str, default_list: str | None = None) -> list[Json]:
        """Return the leads with an address on the lists that a sequence uses, or on ``default_list`` if it has none."""
        lists = self._sequence_lists.of(sequence_id, default_list)
        return [lead for list_id in lists for lead in self.on_list(list_id, email)]

    def was_mailed(self, sequence_id: str, email: str) -> bool:
        """Return whether a sequence planned or sent mails to a person who is on none of its lists now."""
        try:
            if next(self._leads.activity(email=email, sequence_id=sequence_id), None) is not None:
                return True
        except NotFoundError:
            return False
        # If the address is on several lists, this history may be that of another lead.
        return any(_is_to(email, each) for each in self._events.sent(sequence_id, email=email))

    def everywhere(self, email: str) -> list[Json]:
        """Return the leads with an address on all lists, each with its ``list_id``. Costs two reads for each list."""
        found = []
        for list_id in self.every_list():
            found += [{**lead, "list_id": list_id} for lead in self.on_list(list_id, email)]
        return found

    def every_list(self) -> list[str]:
        """Return the ids of all lists that the key can see, archived ones too."""
        # Whether the listing has archived lists if it is not asked for them is not documented.
        listed = (*self._lists.list(), *self._lists.list(archived=True))
        return list(dict.fromkeys(filter(None, map(text_id, listed))))

    def by_address(self, email: str) -> Json | None:
        """Return one lead with an address (``GET /leads/activity?email=``); None if SalesBlink knows nobody with it."""
        for spelling in spellings(email):
            try:
                lead = self._leads.activity(email=spelling).lead
            except NotFoundError:
                continue
            if lead.get("id"):
                return lead
        return None


def _is_to(email: str, event: Json) -> bool:
    # SalesBlink ignores filters that it does not know.
    return normalized(email_of(event) or "") == normalized(email)
