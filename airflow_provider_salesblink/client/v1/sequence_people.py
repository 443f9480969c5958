"""Everybody in a sequence: the people it has planned mails for, and the people on its lists."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.client.v1 import decoding
from airflow_provider_salesblink.client.v1.column_names import STATUS, email_of
from airflow_provider_salesblink.client.v1.csv_export import MOST_ROWS
from airflow_provider_salesblink.client.v1.lists import all_leads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.lists import Lists
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists
    from airflow_provider_salesblink.client.v1.sequences import Sequences

log = logging.getLogger(__name__)

KNOWN_IN_A_ROW = 100
"""After this many of a list's newest leads that the sequence shows too, all older ones count as known."""

_NO_EXPORT = (InvalidRequestError, NotFoundError, PermissionDeniedError, ServerError, UnreadableResponseError)
"""Errors of the export alone. The pages may still be readable."""

Entries = dict[object, "Json"]
"""The sequence's own entry of each person."""


class SequencePeople:
    """Reads who is in a sequence.

    A sequence that never ran shows nobody itself, so its lists say who is in it. Keeps the sequence's entries in
    memory, and a hash of each address.
    """

    def __init__(self, sequences: Sequences, lists: Lists, sequence_lists: SequenceLists) -> None:
        self._sequences = sequences
        self._lists = lists
        self._sequence_lists = sequence_lists

    def each(self, sequence_id: str, default_list: str | None = None) -> Iterator[tuple[Json, Json | None]]:
        """Yield everybody in a sequence once: a lead with its columns, and the sequence's own entry of the person.

        Takes a request for 500 people of the sequence, and one for 100 of each list.

        :param default_list: the list to read if the sequence has none.
        :raises NotFoundError: there is no such sequence.
        """
        entries = _by_person(self._sequences.leads(sequence_id))
        yield from self._on_lists(self._sequence_lists.of(sequence_id, default_list), entries)

    def each_address(self, sequence_id: str, default_list: str | None = None) -> Iterator[tuple[Json, Json | None]]:
        """Yield everybody as :meth:`each` does, in fewer requests if possible, but maybe without their columns.

        The export takes one request for 50,000 people, but only shows people of a sequence that ran. So the client
        counts: if the lists have as many leads as the export has, and the newest leads of each list are all in the
        export, nobody is missing. Otherwise it reads the lists.
        """
        lists = self._sequence_lists.of(sequence_id, default_list)
        exported = self._exported(sequence_id)
        found = None if exported is None else self._if_complete(lists, exported)
        if found is not None:
            yield from found
            return
        yield from self._on_lists(lists, exported or _by_person(self._sequences.leads(sequence_id)))

    def on_list(self, list_id: str) -> Iterator[Json]:
        """Yield the leads of a list, one for each person."""
        for lead, _ in self._on_lists([list_id], {}):
            yield lead

    def _exported(self, sequence_id: str) -> Entries | None:
        """Return the entries of the export; None if it does not show all that is needed, or may be cut off."""
        try:
            rows = [decoding.lead_of_sequence(row) for row in self._sequences.export(sequence_id)]
        except _NO_EXPORT as error:
            log.info("The export of sequence %s cannot be used, so the client reads its pages: %s", sequence_id, error)
            return None
        is_readable = all(email_of(row) and row.get(STATUS) for row in rows)
        return _by_person(rows) if is_readable and len(rows) < MOST_ROWS else None

    def _if_complete(self, lists: list[str], exported: Entries) -> list[tuple[Json, Json | None]] | None:
        """Return everybody, if the export and the newest leads of the lists are all there are; else None."""
        people = {who: (_as_lead(entry), entry) for who, entry in exported.items()}
        more: dict[object, tuple[Json, Json | None]] = {}
        archived = 0
        for list_id in lists:
            for lead in self._lists.leads(list_id, archived=True):
                archived += more.setdefault(_who(lead), (lead, exported.get(_who(lead))))[0] is lead
            for lead in self._newest(list_id, exported):
                more.setdefault(_who(lead), (lead, None))
        counted = self._counted(lists)
        on_lists = sum(entry.get("id") is not None for entry in exported.values())
        fresh = len(more.keys() - exported.keys())
        # Whether SalesBlink counts archived leads is not documented.
        if counted is None or counted not in (on_lists + fresh, on_lists + fresh - archived):
            return None
        return [*(people | more).values()]

    def _newest(self, list_id: str, known: Entries) -> Iterator[Json]:
        in_a_row = 0
        for lead in self._lists.leads(list_id, newest_first=True):
            in_a_row = in_a_row + 1 if _who(lead) in known else 0
            if not in_a_row:
                yield lead
            if in_a_row >= KNOWN_IN_A_ROW:
                return

    def _counted(self, lists: Iterable[str]) -> int | None:
        """Return how many leads the lists have according to SalesBlink; None if it does not say so for each."""
        counts = [self._lists.get(list_id).get("contacts_count") for list_id in lists]
        return None if any(type(count) is not int for count in counts) else sum(filter(None, counts))

    def _on_lists(self, lists: Iterable[str], entries: Entries) -> Iterator[tuple[Json, Json | None]]:
        seen: set[object] = set()
        for list_id in lists:
            for lead in all_leads(self._lists, list_id):
                who = _who(lead)
                entry = entries.get(who)
                if who in seen or not _is_same_lead(lead, entry):
                    continue
                seen.add(who)
                yield {**lead, "list_id": list_id}, entry
        for who, entry in entries.items():
            if who not in seen:
                yield _as_lead(entry), entry


def _by_person(entries: Iterable[Json]) -> Entries:
    return {_who(entry): entry for entry in entries}


def _who(lead: Json) -> object:
    email = email_of(lead)
    return fingerprint(email) if email else lead.get("id") or object()


def _is_same_lead(lead: Json, entry: Json | None) -> bool:
    """Return False if the sequence mails another lead of the same person, which is on another of its lists."""
    known = (entry or {}).get("id")
    return not known or not lead.get("id") or str(known) == str(lead["id"])


def _as_lead(entry: Json) -> Json:
    known = {name: entry.get(name) for name in ("email", "first_name", "last_name", "company_name")}
    return {"id": entry.get("id"), **{name: value for name, value in known.items() if value is not None}}
