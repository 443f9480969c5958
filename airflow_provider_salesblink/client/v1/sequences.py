"""Sequences of mails (``/sequences``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.columns import plain
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.requestor import Answer
from airflow_provider_salesblink.client.v1 import csv_export, decoding, paging, times

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json

STATUSES = ("ACTIVE", "PAUSED", "STOPPED", "ARCHIVED")
"""The words of :meth:`Sequences.set_status`."""
STATES = ("running", "paused", "completed", "needs-attention")
"""The words by which :meth:`Sequences.list` selects sequences."""
LEAD_STATES = ("not_contacted", "contacted", "opened", "clicked", "replied", "bounced", "unsubscribed")
"""The words by which :meth:`Sequences.leads` selects leads."""

_PLAN_NOTHING = {"name", "starred", "folder"}
_REQUIRED = ("name", "senders", "lists", "steps")


class Sequences:
    """Calls about sequences. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    A sequence is a dict with SalesBlink's names: ``id``, ``name``, ``paused``, ``archived``, ``lists`` and others.
    Only :meth:`get` shows ``lists`` for certain.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self, search: str | None = None, *, status: str | None = None, archived: bool = False) -> Iterator[Json]:
        """Yield the sequences that the key can see (``GET /sequences``).

        :param search: only the sequences that SalesBlink finds for this text.
        :param status: only those in this state: one of :data:`STATES`.
        :param archived: the archived sequences instead of the others.
        """
        query = {"search": validation.term("search", search)} if search is not None else {}
        query |= {"status": _word("status", status, STATES)} if status is not None else {}
        # SalesBlink leaves out archived sequences unless it is asked for them. What false does is not documented.
        query |= {"archived": "true"} if archived else {}
        page = paging.RecordOffset(100)
        return paging.each_of(self._requestor, "sequences", paginator=page, query=query, what="sequences")

    def get(self, sequence_id: str) -> Json:
        """Return one sequence with its settings, lists and steps (``GET /sequences/{id}``).

        :raises NotFoundError: there is no sequence with this id.
        """
        return self._requestor.read("sequences", _id(sequence_id)).decoded(decoding.record)

    def create(self, *, ignore_ids: Collection[str | None] = (), **settings: Any) -> Json:
        """Create a sequence (``POST /sequences``) exactly once, even if the answer is lost.

        It is paused unless the settings say otherwise.
        After a lost answer, looks for a sequence with this name. SalesBlink may allow several with one name, so pass
        the ids of those that were there before.

        :param settings: settings with SalesBlink's own names; ``name``, ``senders``, ``lists`` and ``steps`` at least.
        :param ignore_ids: ids of sequences that do not count as the new one.
        :raises AmbiguousWriteError: the answer was lost and the sequences cannot be read.
        """
        if missing := [name for name in _REQUIRED if name not in settings]:
            raise InvalidInputError(f"The settings have no {missing[0]}: a new sequence needs {', '.join(_REQUIRED)}.")
        name = validation.term("name", settings["name"]).strip()
        made = self._requestor.write_once(
            "sequences",
            body=times.encoded_settings({**settings, "name": name}),
            find_existing=lambda: self._find(name, ignore_ids),
        )
        return decoding.written(made, name=name) if isinstance(made, Answer) else made

    def _find(self, name: str, ignore_ids: Collection[str | None]) -> Json | None:
        # What the search compares is not documented, and a sequence that it misses would be created twice.
        found = (each for each in self.list() if each.get("name") == name)
        return next((each for each in found if decoding.text_id(each) not in ignore_ids), None)

    def update(self, sequence_id: str, **settings: Any) -> Json:
        """Change settings of a sequence, and return what SalesBlink shows of it (``PATCH /sequences/{id}``).

        Settings other than ``name``, ``starred`` and ``folder`` make SalesBlink plan the mails again. A list that is
        attached to a running sequence starts mails to everybody on it. Planning twice may mail people twice, so the
        client does not repeat such a call after a lost answer.

        :param settings: settings with SalesBlink's own names, such as ``launchTimingMode`` or ``scheduledAt``.
        :raises AmbiguousWriteError: the answer was lost. Read the sequence before you send the settings again.
        """
        sequence_id, body = _id(sequence_id), times.encoded_settings(settings)
        send = self._requestor.write if body.keys() <= _PLAN_NOTHING else self._requestor.send_once
        return decoding.written(send("sequences", sequence_id, body=body, method="PATCH"), id=sequence_id)

    def set_status(self, sequence_id: str, status: str) -> Json:
        """Start, pause, stop or archive a sequence (``POST /sequences/{id}/status``).

        ``ACTIVE`` starts mails to everybody on the sequence's lists. If its answer is lost, the client reads the
        sequence first and sends the request again only if it is still paused. The other words may be repeated.

        :param status: one of :data:`STATUSES`, in upper or lower case.
        :raises AmbiguousWriteError: the answer to ``ACTIVE`` was lost and the sequence cannot be read.
        """
        sequence_id, status = _id(sequence_id), _word("status", status, STATUSES)
        parts, body = ("sequences", sequence_id, "status"), {"status": status}
        if status != "ACTIVE":
            answer: Answer | Json = self._requestor.write(*parts, body=body)
        else:
            answer = self._requestor.write_once(*parts, body=body, find_existing=lambda: self._running(sequence_id))
        known = {"sequence_id": sequence_id, "status": status}
        return decoding.written(answer, **known) if isinstance(answer, Answer) else known

    def _running(self, sequence_id: str) -> Json | None:
        found = self.get(sequence_id)
        return found if found.get("paused") is False else None

    def archive(self, sequence_id: str, *, archived: bool = True) -> Json:
        """Archive a sequence, or restore it (``PUT /sequences/{id}/archive``).

        SalesBlink pauses a sequence that it archives, and deletes its planned mails.

        :param archived: False restores the sequence.
        """
        sequence_id, body = _id(sequence_id), {"archived": archived}
        answer = self._requestor.write("sequences", sequence_id, "archive", body=body, method="PUT")
        return decoding.written(answer, id=sequence_id, archived=archived)

    def clone(self, sequence_id: str) -> Json:
        """Copy a sequence, and return the ``id`` of the paused copy (``POST /sequences/{id}/clone``).

        Look at the copy's lists before you start it: SalesBlink does not document whether it keeps them. ``id`` is None
        if the answer does not show it.

        :raises AmbiguousWriteError: the answer was lost, so there may be a copy.
        """
        answer = self._requestor.send_once("sequences", _id(sequence_id), "clone")
        shown = decoding.written(answer)
        return {**shown, "id": decoding.text_id(shown, "clonedSequenceId")}

    def stats(self, sequence_id: str) -> Json:
        """Return the totals of a sequence since it was created (``GET /sequences/{id}/stats``)."""
        return self._requestor.read("sequences", _id(sequence_id), "stats").decoded(decoding.record)

    def leads(self, sequence_id: str, *, status: str | None = None) -> Iterator[Json]:
        """Yield the leads with planned or sent mails, with their state in the sequence (``GET /sequences/{id}/leads``).

        A sequence that never ran may have none here: the people on it are in its lists. ``id`` and ``lead_id`` may be
        None.

        :param status: only those that SalesBlink finds for one of :data:`LEAD_STATES`. It is not in the contract, so
            check ``status`` of each lead again.
        """
        sequence_id = _id(sequence_id)
        return paging.each_of(
            self._requestor, "sequences", sequence_id, "leads",
            paginator=paging.RecordOffset(500), what="the leads of a sequence", decode=_leads, key=_lead_key,
            query={"status": _word("status", status, LEAD_STATES)} if status is not None else {},
        )  # fmt: skip

    def messages(
        self, sequence_id: str, lead_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Json]:
        """Yield the mails to and from a lead in a sequence (``GET /sequences/{id}/leads/{leadId}/messages``)."""
        parts = ("sequences", _id(sequence_id), "leads", validation.identifier("lead_id", lead_id), "messages")
        return paging.each_of(
            self._requestor, *parts,
            paginator=paging.RecordOffset(500), query=times.window(since, until), what="the messages of a lead",
        )  # fmt: skip

    def remove_lead(self, sequence_id: str, lead_id: str) -> Json:
        """Take a lead out of this sequence only (``POST /sequences/{id}/leads/{leadId}/unsubscribe``).

        SalesBlink deletes the planned mails of this sequence. The person may still get mails of others.
        """
        sequence_id, lead_id = _id(sequence_id), validation.identifier("lead_id", lead_id)
        answer = self._requestor.write("sequences", sequence_id, "leads", lead_id, "unsubscribe")
        return decoding.written(answer, sequence_id=sequence_id, lead_id=lead_id)

    def export(self, sequence_id: str) -> Iterator[dict[str, str]]:
        """Yield the leads of a sequence as rows of text, column name -> value (``GET /sequences/{id}/export``).

        One request for up to 50,000 leads. SalesBlink does not document the columns. Logs a warning if there are 50,000
        rows, because SalesBlink leaves out the others.

        :raises UnreadableResponseError: a row does not fit the heading.
        """
        parts, query = ("sequences", _id(sequence_id), "export"), {"limit": str(csv_export.MOST_ROWS)}
        return csv_export.each_row(lambda: self._requestor.read(*parts, query=query, long=True, content="csv"))


def _leads(body: object) -> list[Json]:
    return [decoding.lead_of_sequence(found) for found in decoding.objects(body)]


def _lead_key(found: Json) -> str | None:
    return found["id"] or decoding.text_id(found, "email")


def _id(sequence_id: object) -> str:
    return validation.identifier("sequence_id", sequence_id)


def _word(argument: str, given: str, words: tuple[str, ...]) -> str:
    """Return the one of ``words`` that ``given`` means, without regard to case and hyphens."""
    wanted = plain(validation.term(argument, given))
    for word in words:
        if plain(word) == wanted:
            return word
    raise InvalidInputError(f"{argument} is unknown: pass one of {', '.join(words)}.")
