"""Which lists a sequence uses, and which sequences use a list. This decides who gets mail after an add."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, UnreadableResponseError
from airflow_provider_salesblink.client.v1.decoding import text_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.sequences import Sequences

log = logging.getLogger(__name__)

LONGEST_RELIED_ON = 60.0
"""Seconds for which the client relies on having read which sequences use a list, so that a load does not ask for each
person."""


class SequenceLists:
    """Reads the lists of sequences.

    A listing of sequences may leave out ``lists``. That does not mean that there are none, so the client then reads the
    sequence itself, where the contract says that they are.
    """

    def __init__(self, sequences: Sequences) -> None:
        self._sequences = sequences
        self._checked: dict[tuple[str, str | None, bool], tuple[str, float]] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def of(self, sequence_id: str, default_list: str | None = None) -> list[str]:
        """Return the ids of a sequence's lists, or only ``default_list`` if it has none.

        :raises NotFoundError: there is no such sequence.
        :raises UnreadableResponseError: SalesBlink does not show them.
        """
        found = _list_ids(self._sequences.get(sequence_id))
        if found is None:
            raise UnreadableResponseError(
                f"SalesBlink does not show which lists sequence {sequence_id} uses, so the client cannot say who is in "
                "it. Try again later."
            )
        return found or ([] if default_list is None else [default_list])

    def sequences_by_list(self) -> dict[str, list[str]]:
        """Return for each list that a sequence uses the ids of these sequences."""
        found: dict[str, list[str]] = {}
        for sequence in self._sequences.list():
            for list_id in self._lists_in(sequence):
                found.setdefault(list_id, []).append(_id_of(sequence))
        return found

    def running(self, list_id: str, besides: Collection[str] = ()) -> list[dict[str, str]]:
        """Return ``id`` and ``name`` of the running sequences that use a list, without those in ``besides``.

        A sequence that does not show whether it is paused counts as running. Logs a warning once for a list that paused
        sequences use.
        """
        running, paused = self._users(list_id, besides)
        self._warn(list_id, paused)
        return running

    def used_by(self, list_id: str, besides: Collection[str] = ()) -> list[str]:
        """Return the ids of the running and the paused sequences that use a list, without those in ``besides``."""
        running, paused = self._users(list_id, besides)
        return [each["id"] for each in (*running, *paused)]

    def _users(self, list_id: str, besides: Collection[str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        running: list[dict[str, str]] = []
        paused: list[dict[str, str]] = []
        for each in self._sequences.list():
            if each.get("archived") is not True and _id_of(each) not in besides and list_id in self._lists_in(each):
                found = {"id": _id_of(each), "name": str(each.get("name") or "")}
                (paused if each.get("paused") is True else running).append(found)
        return running, paused

    def _warn(self, list_id: str, paused: list[dict[str, str]]) -> None:
        if paused and list_id not in self._warned:
            self._warned.add(list_id)
            log.warning(
                "List %s is used by %s, which is paused: people on it get its mails when it runs again.",
                list_id,
                _named(paused),
            )

    def _lists_in(self, sequence: Json) -> list[str]:
        found = _list_ids(sequence)
        return self.of(_id_of(sequence)) if found is None else found

    def target(self, sequence_id: str, list_id: str | None, *, allow_other_campaigns: bool = False) -> str:
        """Return the id of the list to add people of a sequence to.

        :param list_id: the caller's choice; None for the only list of the sequence.
        :param allow_other_campaigns: whether another running sequence may use the list too.
        :raises InvalidInputError: the sequence has no list, or several and ``list_id`` is None; or adding to the list
            would start mails of another sequence.
        """
        asked = (sequence_id, list_id, allow_other_campaigns)
        with self._lock:
            target, checked_at = self._checked.get(asked, ("", -LONGEST_RELIED_ON))
            if time.monotonic() - checked_at < LONGEST_RELIED_ON:
                return target
            checked_at = time.monotonic()
            target = _choose(sequence_id, self.of(sequence_id), list_id)
            if not allow_other_campaigns:
                self._refuse_others(target, sequence_id)
            # The next caller may name the list.
            for each in (list_id, target):
                self._checked[sequence_id, each, allow_other_campaigns] = target, checked_at
            return target

    def check_alone(self, list_id: str, *, allow_running: bool = False) -> None:
        """Check that no running sequence uses a list, unless that is allowed. Relies on a check for a minute.

        :raises InvalidInputError: one does.
        """
        asked = ("", list_id, allow_running)
        with self._lock:
            _, checked_at = self._checked.get(asked, ("", -LONGEST_RELIED_ON))
            if time.monotonic() - checked_at < LONGEST_RELIED_ON:
                return
            checked_at = time.monotonic()
            running = self.running(list_id)
            if running and not allow_running:
                raise InvalidInputError(
                    f"List {list_id} is used by {_named(running)}, which runs: adding people to it starts its mails. "
                    "Nothing was sent. Pass allow_running=True if that is what you want."
                )
            self._checked[asked] = "", checked_at

    def _refuse_others(self, list_id: str, sequence_id: str) -> None:
        others = self.running(list_id, besides=(sequence_id,))
        if others:
            raise InvalidInputError(
                f"List {list_id} is also used by {_named(others)}, which runs: adding people to it would start mails "
                "there too. Nothing was sent. Use a list of the campaign's own, or pass allow_other_campaigns=True."
            )


def _id_of(sequence: Json) -> str:
    found = text_id(sequence)
    if found is None:
        raise UnreadableResponseError("A sequence in SalesBlink's answer has no id. Try again later.")
    return found


def _list_ids(sequence: Json) -> list[str] | None:
    """Return the ids of a sequence's lists; None if it does not show them, or not all of them."""
    found = sequence.get("lists")
    if not isinstance(found, list):
        return None
    ids = [text_id(each if isinstance(each, dict) else {"id": each}) for each in found]
    return None if None in ids else [each for each in ids if each]


def _choose(sequence_id: str, lists: list[str], list_id: str | None) -> str:
    if list_id is not None:
        list_id = validation.identifier("list_id", list_id)
        if lists and list_id not in lists:
            raise InvalidInputError(
                f"Campaign {sequence_id} does not use list {list_id}; its lists: {', '.join(lists)}. Nothing was sent."
            )
        return list_id
    if not lists:
        raise InvalidInputError(
            f"Campaign {sequence_id} has no list, so nobody can be added to it. Attach a list to the sequence in "
            "SalesBlink, or pass list_id. Nothing was sent."
        )
    if len(lists) > 1:
        raise InvalidInputError(
            f"Campaign {sequence_id} has {len(lists)} lists: {', '.join(lists)}. Pass the list_id of one of them. "
            "Nothing was sent."
        )
    return lists[0]


def _named(sequences: Iterable[dict[str, str]]) -> str:
    return " and ".join(f"sequence {each['name']!r} ({each['id']})" for each in sequences)
