"""Compare the user's own list of suppressed people with SalesBlink's blocklist, and send what the blocklist lacks."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import ApiRefusedError, InvalidInputError, InvalidRequestError
from airflow_provider_salesblink.loading.suppression_entries import Entry, InvalidEntryError, entry_text, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient

log = logging.getLogger(__name__)

ENTRIES_PER_CALL = 100
"""Entries in one call. SalesBlink documents no limit; this is the most that a page of its blocklist has."""

MOST_REFUSED = 20
"""Entries that SalesBlink may refuse before the sending ends: with so many, it is not the entries that are wrong."""

_SHOWN = 5


class OwnList:
    """The entries of the user's own list, each once.

    :param texts: the texts that have to be entries, each with its number in the list.
    :param unit: what the number counts: lines or rows.
    """

    def __init__(self, texts: Iterable[tuple[int, str]] = (), unit: str = "Line") -> None:
        self.entries: dict[bytes, Entry] = {}
        self.count = 0
        self.repeats = 0
        self.rejected = 0
        self._first_rejects: dict[str, list[int]] = {}
        self._unit = unit
        self._numbers: dict[bytes, int] = {}
        for number, text in texts:
            self.count += 1
            self._take(number, text)

    def _take(self, number: int, text: str) -> None:
        try:
            entry = _checked(read_entry(text))
        except InvalidEntryError as what:
            self._reject(number, f"is {what}")
            return
        self.repeats += entry.key in self.entries
        self.entries.setdefault(entry.key, entry)
        self._numbers.setdefault(entry.key, number)

    def reject(self, entry: Entry, reason: str) -> None:
        """Count an entry that SalesBlink refused."""
        self._reject(self._numbers[entry.key], reason)

    def _reject(self, number: int, reason: str) -> None:
        self.rejected += 1
        if self.rejected <= _SHOWN:
            self._first_rejects.setdefault(reason, []).append(number)

    @property
    def first_rejects(self) -> str:
        """The reasons of the first rejects as sentences, each reason once."""
        unit = self._unit
        return " ".join(
            f"{unit} {first} {reason}."
            + (f" The same in {unit.lower()} {', '.join(map(str, others))}." if others else "")
            for reason, (first, *others) in self._first_rejects.items()
        )

    @property
    def is_something_else(self) -> bool:
        """Whether most texts are not entries, so that this is hardly a suppression list."""
        return self.rejected * 2 > self.count


@dataclass
class BlockedEntries:
    """The entries of SalesBlink's blocklist, each once.

    :param entries: those that mean the same in the user's list, by their keys.
    :param keys: the keys of all entries, and of the hashes of addresses.
    :param unreadable: how many are neither an address nor a domain that means the same in the user's list.
    :param unreadable_ids: the ids of the first of these.
    """

    entries: dict[bytes, Entry] = field(default_factory=dict)
    keys: set[bytes] = field(default_factory=set)
    unreadable: int = 0
    unreadable_ids: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of entries, also of those that cannot be read."""
        return len(self.entries) + self.unreadable

    def take(self, found_id: str | None, text: str | None) -> None:
        """Take in one entry, as :meth:`Blocklist.list` yields it."""
        entry = _blocked(entry_text(text or ""))
        if entry is not None:
            self.keys.update(entry.keys)
            if _means_the_same_in_a_list(entry):
                self.entries.setdefault(entry.key, entry)
                return
        self.unreadable += 1
        if found_id and len(self.unreadable_ids) < _SHOWN:
            self.unreadable_ids.append(found_id)


def _blocked(text: str) -> Entry | None:
    """Return an entry of the blocklist; None if it is neither an address nor a domain."""
    try:
        entry = _checked(read_entry(text, with_prefixes=False))
    except InvalidEntryError:
        return None
    return entry if entry.kind != "hash" else None


def _means_the_same_in_a_list(entry: Entry) -> bool:
    # In the user's list, www.example.org stands for all of example.org.
    try:
        return read_entry(entry.text).key == entry.key
    except InvalidEntryError:
        return False


def read_blocklist(listing: Iterable[Mapping[str, Any]]) -> BlockedEntries:
    """Return the entries that ``client.blocklist.list()`` yields. Logs a warning if some cannot be read."""
    found = BlockedEntries()
    for each in listing:
        found.take(each["id"], each["entry"])
    if found.unreadable:
        log.warning(
            "%d entries of SalesBlink's blocklist show no address, and no domain that means the same in a suppression "
            "list; they are left out%s. Look at the blocklist in SalesBlink.",
            found.unreadable,
            f" (ids of the first: {', '.join(found.unreadable_ids)})" if found.unreadable_ids else "",
        )
    return found


@dataclass(frozen=True)
class Differences:
    """What each of the two lists lacks.

    :param to_send: addresses and domains that the blocklist lacks.
    :param to_append: entries that the user's list lacks.
    :param there: how many entries of the user's list the blocklist has, also by their hash.
    :param hashes: how many hashes of the user's list match nothing there. A hash cannot be sent.
    """

    to_send: list[Entry]
    to_append: list[Entry]
    there: int
    hashes: int

    @classmethod
    def between(cls, own: OwnList, blocked: BlockedEntries) -> Differences:
        """Compare the two lists. An address and its domain are two entries: one does not stand for the other."""
        lacking = [entry for key, entry in own.entries.items() if key not in blocked.keys]
        return cls(
            to_send=[entry for entry in lacking if entry.kind != "hash"],
            to_append=[entry for entry in blocked.entries.values() if own.entries.keys().isdisjoint(entry.keys)],
            there=len(own.entries) - len(lacking),
            hashes=sum(entry.kind == "hash" for entry in lacking),
        )


def send(client: SalesBlinkClient, entries: Sequence[Entry], own: OwnList) -> int:
    """Block entries of the user's list, in calls of :data:`ENTRIES_PER_CALL`; return how many SalesBlink refused.

    A call that is refused is halved until only the refused entries are left. They become rejects of the list.

    :raises SalesBlinkError: the calls fail for another reason, or more than :data:`MOST_REFUSED` entries are refused.
    """
    calls = math.ceil(len(entries) / ENTRIES_PER_CALL)
    if client.writes_per_minute and calls > client.writes_per_minute:
        minutes = math.ceil(calls / client.writes_per_minute)
        log.info("%s entries to send in %s calls: about %d min.", f"{len(entries):,}", f"{calls:,}", minutes)
    refused = 0
    for start in range(0, len(entries), ENTRIES_PER_CALL):
        for entry, error in _refused(client, entries[start : start + ENTRIES_PER_CALL]):
            refused += 1
            own.reject(entry, f"was refused by SalesBlink ({error.status})")
            if refused > MOST_REFUSED:
                raise error
    return refused


def _refused(
    client: SalesBlinkClient, batch: Sequence[Entry]
) -> Iterator[tuple[Entry, ApiRefusedError | InvalidRequestError]]:
    """Send a batch, and yield the entries that SalesBlink refuses, each with its error."""
    try:
        client.blocklist.add([entry.text for entry in batch])
    except (ApiRefusedError, InvalidRequestError) as error:
        if len(batch) == 1:
            yield batch[0], error
            return
        middle = len(batch) // 2
        yield from _refused(client, batch[:middle])
        yield from _refused(client, batch[middle:])


def _checked(entry: Entry) -> Entry:
    """Return an entry that SalesBlink's blocklist may have.

    :raises InvalidEntryError: it is a domain that gets no mail.
    """
    if entry.kind == "domain":
        try:
            validation.address_or_domain("entry", entry.text)
        except InvalidInputError:
            raise InvalidEntryError("a domain that gets no mail: remove it") from None
    return entry
