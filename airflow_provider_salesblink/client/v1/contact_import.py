"""Add people to a list. SalesBlink only accepts them, and imports them later without reporting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.errors import AmbiguousWriteError
from airflow_provider_salesblink.client.requestor import Answer
from airflow_provider_salesblink.client.v1.column_names import to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.lead_search import LeadSearch

_DRY_RUN: Json = {"dry_run": True}


class ContactImport:
    """Sends people to lists (``POST /contacts``), and reads back whether a single person arrived."""

    def __init__(self, requestor: Requestor, search: LeadSearch) -> None:
        self._requestor = requestor
        self._search = search

    def add(self, list_id: str, columns: Mapping[str, Any]) -> Json:
        """Send one person once, and return their lead when the list shows it.

        :raises AmbiguousWriteError: the list does not show it in time, or cannot be read after a lost answer.
        """
        email = columns[EMAIL]
        answer = self._requestor.write_once(
            "contacts", body=_body(list_id, [columns]), find_existing=lambda: self._appeared(list_id, email)
        )
        if not isinstance(answer, Answer):
            return answer
        if answer.dry_run:
            return _DRY_RUN
        found = self._appeared(list_id, email)
        if found is None:
            raise self._not_there(list_id)
        return found

    def send(self, list_id: str, people: Sequence[Mapping[str, Any]]) -> None:
        """Send people in one call without reading back.

        :raises AmbiguousWriteError: always, except in a dry run.
        """
        answer = self._requestor.send_once("contacts", body=_body(list_id, people))
        if not answer.dry_run:
            raise self._not_there(list_id)

    def _appeared(self, list_id: str, email: str) -> Json | None:
        def find() -> Json | None:
            return next(self._search.on_list(list_id, email), None)

        return self._requestor.wait_until(find, self._requestor.import_time)

    def _not_there(self, list_id: str) -> AmbiguousWriteError:
        return AmbiguousWriteError(
            f"SalesBlink accepted the person, and list {list_id} does not show them yet. It may import them later, or "
            "it refused them (an invalid address, somebody on another list). Check the list before you add them "
            "again, or the person may be mailed twice.",
            status=200, method="POST", path="/contacts", settling_time=self._requestor.import_time,
            is_accepted=True,
        )  # fmt: skip


def _body(list_id: str, people: Sequence[Mapping[str, Any]]) -> Json:
    contacts = [to_wire("data", columns) for columns in people]
    # SalesBlink documents no default for remove_duplicates.
    return {"list_id": list_id, "contacts": contacts, "remove_duplicates": True}
