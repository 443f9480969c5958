"""The people that were forgotten: a list next to the files, so that no later run writes them again."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import find_addresses
from airflow_provider_salesblink.results.feed_record import key_fingerprint

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.identity import AddressHash
    from airflow_provider_salesblink.results.folder import Folder

NAME = "_forgotten.json"
_VERSION = 1
_PERSONAL = ("email", "lead_id", "link", "body")


class ForgottenMeanwhileError(RuntimeError):
    """Somebody was forgotten while people were being read. Nothing of what was read is written; running again helps."""


class ForgottenPeople:
    """The keyed hashes of people that were forgotten.

    :param people: hash -> the stand-in for it in rows that stay. It is kept only while files are being rewritten, so
        that a run that was interrupted goes on with the same one; afterward nothing leads from the person to the rows.
    """

    def __init__(self, addresses: AddressHash, people: dict[str, str | None]) -> None:
        self._addresses = addresses
        self.people = people

    def has(self, email: str | None) -> bool:
        """Return whether the person with an address was forgotten."""
        return bool(self.people and email) and self._addresses.digest(email or "").hex() in self.people

    def check_unchanged(self, folder: Folder) -> None:
        """Raise if :func:`forgotten_for` a folder changed: what was read meanwhile may have a forgotten person.

        :raises ForgottenMeanwhileError: so it is.
        """
        if forgotten_for(folder, self._addresses).people.keys() != self.people.keys():
            raise ForgottenMeanwhileError(
                "Somebody was forgotten while this task read people, and may be among them. So it writes none of what "
                "it has read: run it again."
            )

    def save(self, folder: Folder) -> None:
        """Write the list to a folder. The caller holds the folder's lock."""
        stored = {"version": _VERSION, "key": key_fingerprint(self._addresses), "people": self.people}

        def write(file: IO[bytes]) -> None:
            file.write(json.dumps(stored, indent=1).encode() + b"\n")

        folder.replace(NAME, write)


def forgotten_in(folder: Folder, addresses: AddressHash) -> ForgottenPeople:
    """Return the people that were forgotten in a folder.

    :raises InvalidInputError: the list cannot be read, or is of another key, so that nobody can be recognized.
    """
    try:
        with folder.opened(NAME) as file:
            stored = json.load(file)
        is_same_key = stored["version"] == _VERSION and stored["key"] == key_fingerprint(addresses)
        people = {str(person): stand_in for person, stand_in in stored["people"].items()}
    except FileNotFoundError:
        return ForgottenPeople(addresses, {})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInputError(
            f"{NAME} in {str(folder)!r} cannot be read, so it is not known who was forgotten. Restore it from a backup."
        ) from error
    if people and not is_same_key:
        raise InvalidInputError(
            f"{NAME} in {str(folder)!r} was written with another hash_key (without one, another API key), so the "
            "people who were forgotten cannot be recognized. Set the connection's hash_key back to that value. If it "
            "is lost, forget these people again with a new list: move the file away first."
        )
    return ForgottenPeople(addresses, people)


def forgotten_for(folder: Folder, addresses: AddressHash) -> ForgottenPeople:
    """Return the people that must not be written to a folder: they were forgotten in it, or in one that contains it.

    So they do not come back with a folder that is new, such as that of a day.

    :raises InvalidInputError: as for :func:`forgotten_in`.
    """
    people = dict(forgotten_in(folder, addresses).people)
    for above in folder.above():
        # A task may be allowed to use its own folder only.
        with suppress(PermissionError):
            people |= forgotten_in(above, addresses).people
    return ForgottenPeople(addresses, people)


def forgotten_event(row: dict[str, Any], addresses: AddressHash, stand_in: str | None) -> dict[str, Any]:
    """Return the row of an event without the person: it still counts, and keeps its id so that it is known again.

    :param stand_in: what replaces the person's hash; None for events that come after the person was forgotten.
    """
    event_id = row["id"]
    if find_addresses(event_id):
        event_id = addresses.digest(f"reference {event_id}").hex()
    person = stand_in if row["person"] else None
    return {**row, **dict.fromkeys(_PERSONAL), "id": event_id, "person": person, "extra": {}}
