"""Lists of leads (``/lists``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.requestor import Answer
from airflow_provider_salesblink.client.v1 import decoding, paging, times

if TYPE_CHECKING:
    import builtins
    from collections.abc import Collection, Iterator

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json
    from airflow_provider_salesblink.client.v1.sequence_lists import SequenceLists

_PAGE = paging.RecordOffset(100)


class Lists:
    """Calls about lists. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    A list is a dict with SalesBlink's names: ``id``, ``name``, ``contacts_count``, ``archived``, ``fields`` and
    others.
    """

    def __init__(self, requestor: Requestor, sequence_lists: SequenceLists) -> None:
        self._requestor = requestor
        self._sequence_lists = sequence_lists

    def list(self, search: str | None = None, *, archived: bool = False) -> Iterator[Json]:
        """Yield the lists that the key can see (``GET /lists``).

        :param search: only the lists that SalesBlink finds for this text.
        :param archived: the archived lists instead of the others.
        """
        query = {"search": validation.term("search", search)} if search is not None else {}
        # SalesBlink does not document what false does.
        query |= {"archived": "true"} if archived else {}
        return paging.each_of(self._requestor, "lists", paginator=_PAGE, query=query, what="lists")

    def get(self, list_id: str) -> Json:
        """Return one list (``GET /lists/{id}``).

        :raises NotFoundError: there is no list with this id.
        """
        return self._requestor.read("lists", _id(list_id)).decoded(decoding.record)

    def create(self, name: str, *, ignore_ids: Collection[str | None] = (), **settings: Any) -> Json:
        """Create a list (``POST /lists``) exactly once, even if the answer is lost.

        After a lost answer, looks for a list with this name. SalesBlink allows several lists with one name, so pass the
        ids of those that were there before.

        :param settings: settings with SalesBlink's own names, such as ``folder`` or ``verification``.
        :param ignore_ids: ids of lists that do not count as the new one.
        :raises AmbiguousWriteError: the answer was lost and the lists cannot be read.
        """
        name = validation.term("name", name).strip()
        made = self._requestor.write_once(
            "lists",
            body=times.encoded_settings({"name": name, **settings}),
            find_existing=lambda: self._find(name, ignore_ids),
        )
        return decoding.written(made, name=name) if isinstance(made, Answer) else made

    def _find(self, name: str, ignore_ids: Collection[str | None]) -> Json | None:
        # What the search compares is not documented, and a list that it misses would be created twice.
        found = (each for each in self.list() if each.get("name") == name)
        return next((each for each in found if decoding.text_id(each) not in ignore_ids), None)

    def update(self, list_id: str, **settings: Any) -> Json:
        """Change settings of a list, and return what SalesBlink shows of it (``PATCH /lists/{id}``).

        Some settings cannot be undone. Those that remove duplicates take people out of the list.

        :param settings: settings with SalesBlink's own names, such as ``name`` or ``duplicate_removal``.
        :raises PermissionDeniedError: the list is another user's, and the key does not belong to an administrator.
        """
        list_id, body = _id(list_id), times.encoded_settings(settings)
        return decoding.written(self._requestor.write("lists", list_id, body=body, method="PATCH"), id=list_id)

    def archive(self, list_id: str, *, archived: bool = True) -> Json:
        """Archive a list, or restore it (``PUT /lists/{id}/archive``). SalesBlink pauses a list that it archives.

        :param archived: False restores the list.
        """
        list_id, body = _id(list_id), {"archived": archived}
        answer = self._requestor.write("lists", list_id, "archive", body=body, method="PUT")
        return decoding.written(answer, id=list_id, archived=archived)

    def leads(
        self, list_id: str, search: str | None = None, *, archived: bool = False, newest_first: bool = False
    ) -> Iterator[Json]:
        """Yield the leads of a list, the oldest first (``GET /lists/{id}/leads``).

        :param search: only the leads that SalesBlink finds for this text, an address or a name.
        :param archived: the archived leads. Without it, SalesBlink does not document whether they are included.
        :param newest_first: the newest first. A lead that is added meanwhile moves the others.
        :raises NotFoundError: there is no list with this id.
        """
        list_id = _id(list_id)
        # In this order a lead that is added meanwhile comes last, and no other lead moves.
        query = {"sort": "desc" if newest_first else "asc"}
        query |= {"search": validation.term("search", search)} if search is not None else {}
        query |= {"archived": "true"} if archived else {}
        return paging.each_of(
            self._requestor, "lists", list_id, "leads",
            paginator=_PAGE, query=query, decode=_leads, what="the leads of a list",
        )  # fmt: skip

    def running_sequences(self, list_id: str, besides: Collection[str] = ()) -> builtins.list[dict[str, str]]:
        """Return ``id`` and ``name`` of the running sequences that use a list (``GET /sequences``).

        Adding people to the list starts mails of these sequences.

        :param besides: ids of sequences to leave out.
        """
        return self._sequence_lists.running(_id(list_id), besides)


def all_leads(lists: Lists, list_id: str, search: str | None = None) -> Iterator[Json]:
    """Yield the leads of a list as :meth:`Lists.leads` does, and then the archived ones. Some leads may come twice."""
    yield from lists.leads(list_id, search)
    yield from lists.leads(list_id, search, archived=True)


def _leads(body: object) -> list[Json]:
    return [decoding.lead(found) for found in decoding.objects(body)]


def _id(list_id: object) -> str:
    return validation.identifier("list_id", list_id)
