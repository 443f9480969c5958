"""Imports contacts into lists after the answer of ``POST /contacts``, and removes duplicates later still.

There is no thread: each look at the data calls ``catch_up`` first, which does the work whose time has come.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import normalize_email

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_salesblink.sandbox.clock import Clock
    from airflow_provider_salesblink.sandbox.records import Person
    from airflow_provider_salesblink.sandbox.store import Store
    from airflow_provider_salesblink.sandbox.v1.rules import V1Rules


class ContactImports:
    """The imports that were accepted, and are still to come."""

    def __init__(self, store: Store, clock: Clock, random_seed: int) -> None:
        self._store = store
        self._clock = clock
        self._random_seed = random_seed
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self.clear()

    def clear(self) -> None:
        """Forget all imports and restart the random sequence."""
        with self._lock:
            self._random = random.Random(self._random_seed)
            self._due: list[tuple[float, int, Callable[[float], None]]] = []

    def accept(self, list_id: str, contacts: Iterable[Mapping[str, Any]], *, remove_duplicates: bool) -> None:
        """Import contacts later.

        :param contacts: their columns, under the names of the classic API.
        """
        with self._lock:
            kept = [contact for contact in contacts if not self._happens(self._rules.import_loses)]
            due = self._clock.now() + self._rules.import_delay
            self._at(due, lambda at: self._import(list_id, kept, remove_duplicates, at))

    def catch_up(self) -> None:
        """Do the work whose time has come."""
        self._work_until(self._clock.now())

    def finish(self) -> None:
        """Do all the work now."""
        self._work_until(float("inf"))

    @property
    def _rules(self) -> V1Rules:
        return self._store.rules

    def _at(self, due: float, work: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (due, next(self._numbers), work))

    def _work_until(self, now: float) -> None:
        if not self._due:  # most requests find nothing to do, and should not wait
            return
        with self._lock:
            while self._due and self._due[0][0] <= now:
                due, _, work = heapq.heappop(self._due)
                work(due)

    def _import(self, list_id: str, contacts: list[Mapping[str, Any]], remove_duplicates: bool, at: float) -> None:
        with self._store.transaction():
            added = [self._add(list_id, contact) for contact in contacts]
            delayed = remove_duplicates or self._removes_other_lists(list_id)
            if not delayed or self._rules.mails_before_dedupe:
                self._start(added)
        if delayed:
            self._at(at + self._rules.dedupe_delay, lambda _: self._dedupe(list_id, added, remove_duplicates))

    def _add(self, list_id: str, contact: Mapping[str, Any]) -> str:
        archived = self._happens(self._rules.import_archives)
        return self._store.leads.add(list_id, contact, id=str(uuid.uuid4()), archived=archived)

    def _happens(self, share: float) -> bool:
        # Without a share, no random number is used up: other tests keep their sequence.
        return share > 0 and self._random.random() < share

    def _dedupe(self, list_id: str, added: list[str], remove_duplicates: bool) -> None:
        with self._store.transaction():
            if remove_duplicates:
                remove_duplicates_within(self._store, list_id)
            if self._removes_other_lists(list_id):
                remove_known_elsewhere(self._store, added)
            self._start(added)

    def _start(self, lead_ids: Iterable[str]) -> None:
        for lead_id in lead_ids:
            self._store.ledger.enter(lead_id, "added")

    def _removes_other_lists(self, list_id: str) -> bool:
        found = self._store.lists.get(list_id)
        wanted = found is not None and bool(found.settings.get("duplicate_removal_other_list"))
        return wanted or self._rules.duplicate_removal_other_list


def remove_duplicates_within(store: Store, list_id: str) -> None:
    """Keep one lead of each address on a list."""
    for leads in store.leads.duplicates(list_id):
        seen: set[str] = set()
        for lead in leads if store.rules.dedupe_keeps == "oldest" else reversed(leads):
            address = _compared(store, lead)
            if address in seen:
                store.leads.delete(lead.id)
            seen.add(address)


def remove_known_elsewhere(store: Store, lead_ids: Iterable[str]) -> None:
    """Remove those leads whose address is on another list too."""
    for lead in filter(None, map(store.leads.get, lead_ids)):
        if any(other.list_id != lead.list_id for other in store.leads.with_address(lead.email)):
            store.leads.delete(lead.id)


def _compared(store: Store, lead: Person) -> str:
    return lead.email.strip() if store.rules.dedupe_case == "exact" else normalize_email(lead.email)
