"""Find the leads of a person. A lead belongs to one list: a person on two lists is two leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import NotFoundError
from airflow_provider_salesblink.client.identity import fingerprint, normalized, spellings
from airflow_provider_salesblink.client.v1.column_names import email_of
from airflow_provider_salesblink.client.v1.decoding import text_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.events import Events
    from airflow_provider_salesblink.client.v1.leads import Leads
    from airflow_provider_salesblink.client.v1.lists import Lists
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists
    from airflow_provider_salesblink.client.v1.sequences import Sequences


class LeadSearch:
    """Finds leads by address, on one list or on all of them, and everybody in a sequence."""

    def __init__(
        self, lists: Lists, leads: Leads, sequences: Sequences, sequence_lists: SequenceLists, events: Events
    ) -> None:
        self._lists = lists
        self._leads = leads
        self._sequences = sequences
        self._sequence_lists = sequence_lists
        self._events = events

    def on_list(self, list_id: str, email: str) -> Iterator[Json]:
        """Yield the leads with an address on a list, archived ones too, each once.

        The search of ``GET /lists/{id}/leads`` looks into names too, so the client compares the address itself. Whether
        the search ignores case is not documented, so the client asks for each spelling that may be stored.
        """
        wanted, seen = normalized(email), set[object]()
        for spelling in spellings(email):
            for lead in self._all_leads(list_id, search=spelling):
                lead_id = lead.get("id") or object()
                if lead_id not in seen and normalized(email_of(lead) or "") == wanted:
                    seen.add(lead_id)
                    yield lead

    def on_lists_of(self, sequence_id: str, email: str, default_list: str | None = None) -> list[Json]:
        """Return the leads with an address on the lists that a sequence uses, or on ``default_list`` if it has none."""
        lists = self._lists_of(sequence_id, default_list)
        return [lead for list_id in lists for lead in self.on_list(list_id, email)]

    def _lists_of(self, sequence_id: str, default_list: str | None) -> list[str]:
        return self._sequence_lists.of(sequence_id) or ([] if default_list is None else [default_list])

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
        for list_id in self._every_list():
            found += [{**lead, "list_id": list_id} for lead in self.on_list(list_id, email)]
        return found

    def _every_list(self) -> list[str]:
        # Whether the listing has archived lists if it is not asked for them is not documented.
        listed = (*self._lists.list(), *self._lists.list(archived=True))
        return list(dict.fromkeys(filter(None, map(text_id, listed))))

    def _all_leads(self, list_id: str, search: str | None = None) -> Iterator[Json]:
        # Whether the leads of a list include archived ones if they are not asked for is not documented.
        yield from self._lists.leads(list_id, search)
        yield from self._lists.leads(list_id, search, archived=True)

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

    def each_in_sequence(self, sequence_id: str, default_list: str | None = None) -> Iterator[tuple[Json, Json | None]]:
        """Yield everybody in a sequence once: a lead, and the sequence's own entry of them, which shows their state.

        People are in a sequence if it has planned tasks for them, or if they are on a list that it uses: a sequence
        that never ran shows nobody itself. Keeps the sequence's entries in memory, and a hash of each address.

        :param default_list: the list to read if the sequence has none.
        :raises NotFoundError: there is no such sequence.
        """
        entries = {self._who(entry): entry for entry in self._sequences.leads(sequence_id)}
        seen: set[object] = set()
        for list_id in self._lists_of(sequence_id, default_list):
            for lead in self._all_leads(list_id):
                who = self._who(lead)
                entry = entries.get(who)
                if who in seen or not _is_same_lead(lead, entry):
                    continue
                seen.add(who)
                yield {**lead, "list_id": list_id}, entry
        for who, entry in entries.items():
            if who not in seen:
                yield _as_lead(entry), entry

    @staticmethod
    def _who(lead: Json) -> object:
        email = email_of(lead)
        return fingerprint(email) if email else lead.get("id") or object()


def _is_to(email: str, event: Json) -> bool:
    # SalesBlink ignores filters that it does not know.
    return normalized(email_of(event) or "") == normalized(email)


def _is_same_lead(lead: Json, entry: Json | None) -> bool:
    """Return False if the sequence mails another lead of the same person, which is on another of its lists."""
    known = (entry or {}).get("id")
    return not known or not lead.get("id") or str(known) == str(lead["id"])


def _as_lead(entry: Json) -> Json:
    known = {name: entry.get(name) for name in ("email", "first_name", "last_name", "company_name")}
    return {"id": entry.get("id"), **{name: value for name, value in known.items() if value is not None}}
