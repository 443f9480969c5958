"""Leads: the people on lists (``/contacts`` and ``/leads``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.v1 import column_names, decoding, paging, times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json

MOST_CONTACTS = 500
"""The most people that one call adds."""


class Leads:
    """Calls about leads. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    A lead is on one list: a person on two lists is two leads.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def add(self, list_id: str, contacts: Sequence[Mapping[str, Any]]) -> Json:
        """Send people to a list, and return how many SalesBlink ``accepted`` (``POST /contacts``).

        Accepted does not mean added: SalesBlink removes duplicates and invalid contacts later and does not report it.
        If a running sequence uses the list, mails to these people start.

        :param contacts: 1 to 500 people, each a mapping of columns to values; names as users write them, or in
            snake_case.
        :raises InvalidInputError: a contact is invalid. Nothing was sent.
        :raises AmbiguousWriteError: the answer was lost. Read the list before you send them again.
        """
        list_id, new = validation.identifier("list_id", list_id), _checked(contacts)
        # False is the only other value; SalesBlink documents no default.
        body = {"list_id": list_id, "contacts": new, "remove_duplicates": True}
        answer = self._requestor.send_once("contacts", body=body)
        return {"accepted": 0, "dry_run": True} if answer.dry_run else {"accepted": len(new)}

    def remove(self, list_id: str, email: str) -> Json:
        """Take an address off a list (``POST /contacts/remove``).

        SalesBlink does not document whether it cancels planned mails. Somebody who is added again is a new lead.

        :raises NotFoundError: the address is not on the list.
        """
        list_id, email = validation.identifier("list_id", list_id), validation.address("email", email)
        body = {"list_id": list_id, "email": email}
        answer = self._requestor.write("contacts", "remove", body=body, gone_is_done=True)
        return decoding.written(answer, list_id=list_id)

    def update(self, lead_id: str, fields: Mapping[str, Any]) -> Json:
        """Set fields of a lead in one call, and return those that SalesBlink shows as changed (``PATCH /leads/{id}``).

        :param fields: column -> value, sent as text; names as users write them, or in snake_case.
        """
        lead_id, body = _id(lead_id), column_names.to_wire("fields", validation.changes(fields))
        return decoding.written(self._requestor.write("leads", lead_id, body=body, method="PATCH"), id=lead_id)

    def move(self, lead_id: str, list_id: str) -> Json:
        """Move a lead to another list (``PUT /leads/{id}/move``).

        SalesBlink does not document which sequences the lead enters or leaves. Expect the same as if it was added.
        """
        lead_id, list_id = _id(lead_id), validation.identifier("list_id", list_id)
        answer = self._requestor.write("leads", lead_id, "move", body={"list_id": list_id}, method="PUT")
        return decoding.written(answer, id=lead_id, list_id=list_id)

    def unsubscribe(self, lead_id: str) -> Json:
        """Stop all mails to a lead's address (``POST /leads/{id}/unsubscribe``). A second call changes nothing.

        SalesBlink puts the address on the blocklist of the key's user and deletes unfinished tasks.

        :raises NotFoundError: there is no lead with this id.
        """
        lead_id = _id(lead_id)
        return decoding.written(self._requestor.write("leads", lead_id, "unsubscribe"), lead_id=lead_id)

    def activity(
        self,
        email: str | None = None,
        lead_id: str | None = None,
        *,
        sequence_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Activity:
        """Return what happened to a lead (``GET /leads/activity?email=`` or ``GET /leads/{id}/activity``).

        Pass exactly one of ``email`` and ``lead_id``. If the address is on several lists, SalesBlink shows one of the
        leads and does not document which.

        :raises NotFoundError: there is no such lead. Raised when the first event or the lead is read.
        """
        parts, query = _which(email, lead_id)
        if sequence_id is not None:
            query["sequence_id"] = validation.identifier("sequence_id", sequence_id)
        return Activity(self._requestor, parts, query | times.window(since, until))


class Activity(Iterator["Json"]):
    """The history of a lead: an iterator over the events."""

    def __init__(self, requestor: Requestor, parts: tuple[str, ...], query: dict[str, str]) -> None:
        self._lead: Json | None = None
        page = paging.RecordOffset(500)
        self._events = paging.each_of(
            requestor, *parts, paginator=page, query=query, decode=self._decoded, what="the history of a lead"
        )

    def __next__(self) -> Json:
        return next(self._events)

    @property
    def lead(self) -> Json:
        """The lead itself, as the first page shows it; empty if it does not. Only some of its columns are there."""
        if self._lead is None:
            self._events = chain(list(islice(self._events, 1)), self._events)
        return self._lead or {}

    def _decoded(self, body: object) -> list[Json]:
        match body:
            case {"lead": dict() as found}:
                self._lead = decoding.lead(found)
        return decoding.items(body)


def _checked(contacts: object) -> list[Json]:
    if isinstance(contacts, str | bytes | dict) or not hasattr(contacts, "__iter__"):
        raise InvalidInputError(f"contacts is a {type(contacts).__name__}: pass a list of people.")
    new = [_contact(f"contacts[{number}]", each) for number, each in enumerate(contacts)]
    if not 1 <= len(new) <= MOST_CONTACTS:
        raise InvalidInputError(f"contacts has {len(new)} people: pass 1 to {MOST_CONTACTS} in each call.")
    return new


def _contact(argument: str, given: object) -> Json:
    try:
        return column_names.to_wire("The person", validation.new_prospect(given))
    except InvalidInputError as error:
        raise InvalidInputError(f"{argument}: {error}") from None


def _which(email: str | None, lead_id: str | None) -> tuple[tuple[str, ...], dict[str, str]]:
    if (email is None) == (lead_id is None):
        got = "neither" if email is None else "both"
        raise InvalidInputError(f"Pass exactly one of email and lead_id; got {got}.")
    if lead_id is not None:
        return ("leads", _id(lead_id), "activity"), {}
    return ("leads", "activity"), {"email": validation.address("email", email)}


def _id(lead_id: object) -> str:
    return validation.identifier("lead_id", lead_id)
