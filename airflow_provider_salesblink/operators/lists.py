"""Operators for lead lists: create and archive them. They need SalesBlink's API v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import named_values
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, exactly_one, outcome
from airflow_provider_salesblink.operators.names import ids_called, only_id_called

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


class CreateListOperator(SalesBlinkOperator):
    """Create a lead list, unless there is one with this name.

    The task looks the name up first, because SalesBlink accepts the same name twice. So it is safe to run again. It
    fails if several lists have the name. Two tasks that create the same list at the same moment may both create it.

    XCom: ``outcome`` "created" or "exists", and ``list_id`` (None in a dry run that would create the list).

    :param name: the list's full name (templated). Upper and lower case are different names.
    :param settings: the settings of a new list in the API's own names, such as ``{"starred": True}``, as a dict or JSON
        text (templated). A list that exists keeps its settings.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("name", "settings", "salesblink_conn_id")
    template_fields_renderers = {"settings": "json"}  # noqa: RUF012

    def __init__(self, *, name: str, settings: Mapping[str, Any] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.settings = settings

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Look the name up, and create the list if no list has it."""
        from airflow_provider_salesblink.client import InvalidInputError, validation

        name, settings = validation.term("name", self.name), _settings(self.settings)
        ids = ids_called(name, client.lists.list(search=name))
        if len(ids) > 1:
            named = ", ".join(map(str, ids))
            raise InvalidInputError(
                f"{len(ids)} lists are called {name!r}: {named}. Rename or archive all but one of them."
            )
        if ids:
            return outcome("exists", list_id=ids[0])
        created = client.lists.create(name, **settings)
        return outcome("created", dry_run=client.dry_run, list_id=created.get("id"))


class ArchiveListOperator(SalesBlinkOperator):
    """Archive a lead list. Archiving an active list pauses it.

    Pass exactly one of ``list_id`` and ``list_name``. Archiving an archived list by its id changes nothing. By its name
    the task may fail then, because SalesBlink may leave archived lists out of the search.

    XCom: ``outcome`` "archived" and ``list_id``.

    :param list_id: the list's id (templated).
    :param list_name: the list's full name, which must be unique (templated). Costs one more read.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("list_id", "list_name", "salesblink_conn_id")

    def __init__(self, *, list_id: str | None = None, list_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.list_id = list_id
        self.list_name = list_name

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Archive the list."""
        exactly_one(list_id=self.list_id, list_name=self.list_name)
        list_id = cast("str", self.list_id) if self.list_name is None else id_of_list(client, self.list_name)
        client.lists.archive(list_id)
        self.log.info("If the list was active, archiving it has paused it.")
        return outcome("archived", dry_run=client.dry_run, list_id=list_id)


def id_of_list(client: SalesBlinkClient, name: str) -> str:
    """Return the id of the one list whose name is ``name``.

    :raises NotFoundError: no list has the name.
    :raises InvalidInputError: several lists have the name.
    """
    from airflow_provider_salesblink.client import validation

    return only_id_called(name, [*client.lists.list(search=validation.term("list_name", name))], "list")


def _settings(given: object) -> dict[str, Any]:
    settings = named_values("settings", given) or {}
    if "name" in settings:
        raise AirflowFailException("settings has a 'name': pass it as the operator's name only.")
    return settings
