"""Find the record that has a name: SalesBlink accepts the same name twice, and its search also finds parts of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def ids_called(name: str, similar: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the ids of the records in ``similar``, the result of a search, whose name is exactly ``name``.

    An id is None if SalesBlink does not return it.
    """
    return [record.get("id") for record in similar if record.get("name") == name]


def only_id_called(name: str, similar: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Return the id of the one record in ``similar``, the result of a search, whose name is exactly ``name``.

    :param kind: what the records are, for the error: "campaign" or "list".
    :raises NotFoundError: no record has the name.
    :raises InvalidInputError: several records have the name.
    """
    from airflow_provider_salesblink.client import InvalidInputError, NotFoundError

    ids = ids_called(name, similar)
    if not ids:
        others = ", ".join(repr(record.get("name")) for record in similar[:5])
        raise NotFoundError(
            f"No {kind} is called {name!r}{f'; similar: {others}' if others else ''}. Pass its full name, or its id."
        )
    if len(ids) > 1:
        raise InvalidInputError(
            f"{len(ids)} {kind}s are called {name!r}: {', '.join(map(str, ids))}. Pass the {kind}_id of one of them."
        )
    return str(ids[0])
