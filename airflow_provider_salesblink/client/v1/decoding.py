"""Decode the answers of the API v1 into plain dicts.

Lenient about form: an array may be bare, under ``data`` or one level deeper, a single object may be in an array of one,
and the columns of a lead have had several spellings. Strict about content: a missing value is None or an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.client.v1 import times
from airflow_provider_salesblink.client.v1.column_names import API_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client.requestor import Answer

Json = dict[str, Any]

_ARRAYS = ("data", "contacts", "entries", "result")
_DEEPEST_ARRAY = 3

_TIMES = (
    "date_created", "last_modified", "scheduledAt", "time", "last_task_time", "last_activity", "last_check",
    "last_updated",
)  # fmt: skip
# Of a lead: only names that cannot be a column of the user.
_TIMES_OF_LEAD = ("last_modified", "created_date", "date_created", "completedAt")

# The columns that older versions of the API spelled differently. In lower case, these names are the user's.
_OLD_COLUMNS = {"Company": "company_name", "Title": "job_title"}

_PLAIN_KEY = re.compile(r"[A-Za-z_]{1,20}")


def array(body: object) -> list[Any]:
    """Return the array in an answer, with its elements as they are.

    :raises UnreadableResponseError: there is none.
    """
    found = _array(body, _DEEPEST_ARRAY)
    if found is None:
        raise UnreadableResponseError(
            f"The answer has no list of results; {_outline(body)}. "
            "Check the root URL: something other than the SalesBlink API may have answered."
        )
    return found


def _array(body: object, depth: int) -> list[Any] | None:
    if isinstance(body, list):
        return body
    if not isinstance(body, dict) or not depth:
        return None
    # A null means "nothing found", but only in an answer that reports success.
    if body.get("data", "") is None and body.get("success") is True:
        return []
    nested = (_array(body.get(name), depth - 1) for name in _ARRAYS)
    return next((found for found in nested if found is not None), None)


def items(body: object) -> list[Json]:
    """Return the objects of the array in an answer, with their times decoded.

    :raises UnreadableResponseError: there is no array, or it has something other than objects.
    """
    return [with_times(found) for found in objects(body)]


def objects(body: object) -> list[Json]:
    """Return the objects of the array in an answer as they are.

    :raises UnreadableResponseError: as :func:`items`.
    """
    found = array(body)
    if not all(isinstance(each, dict) for each in found):
        raise UnreadableResponseError("The list of results in the answer has something other than objects.")
    return found


def record(body: object) -> Json:
    """Return the object of an answer, with its times decoded.

    :raises NotFoundError: there is an empty array in its place.
    :raises UnreadableResponseError: there is none.
    """
    found = body.get("data") if isinstance(body, dict) and _is_envelope(body) else body
    match found:
        case (dict() as single) | [dict() as single]:
            return with_times(single)
        case []:
            raise NotFoundError("SalesBlink has no such object (its answer is an empty list). Check the id.")
    raise UnreadableResponseError(f"The answer has no single object; {_outline(body)}.")


def acknowledged(body: object) -> Json:
    """Return the object in the answer to a write, with its times decoded; an empty one if there is none."""
    match body:
        case {"data": (dict() as found) | [dict() as found]}:
            return with_times(found)
    return {}


def written(answer: Answer, **known: object) -> Json:
    """Return what is known after a write: what the answer shows, and ``known``, which comes from the request.

    ``dry_run`` is present, and true, only if nothing was sent.
    """
    shown = {**acknowledged(answer.body), **known}
    return {**shown, "dry_run": True} if answer.dry_run else shown


def text_id(found: Json, *names: str) -> str | None:
    """Return the first id under one of ``names``, by default ``id`` and ``_id``, as text; None if there is none."""
    values = (found.get(name) for name in names or ("id", "_id"))
    ids = (str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool))
    return next(filter(None, ids), None)


def with_times(found: Json, names: Iterable[str] = _TIMES) -> Json:
    """Return a copy of an object in which the values with these names are times."""
    return {**found, **{name: times.decoded(found[name]) for name in names if found.get(name) is not None}}


def lead(found: Json) -> Json:
    """Return a lead with its columns under snake_case names, next to SalesBlink's own values.

    Columns may be next to those values or under ``custom_fields``; a column never replaces one of those values. ``id``
    is None if the answer has none.
    """
    own = {name: value for name, value in found.items() if name in API_KEYS and name != "custom_fields"}
    flat = {name: value for name, value in found.items() if name not in API_KEYS}
    nested = found.get("custom_fields")
    columns = {**_columns(nested if isinstance(nested, dict) else {}), **_columns(flat)}
    for name in API_KEYS:
        columns.pop(name, None)
    return {**columns, **with_times(own, _TIMES_OF_LEAD), "id": text_id(found)}


def lead_of_sequence(found: Json) -> Json:
    """Return a lead with its state in a sequence: ``lead_id``, ``status`` and ``last_task_time`` are SalesBlink's."""
    return {**with_times(lead(found), ["last_task_time"]), "id": text_id(found, "lead_id", "id")}


def _columns(given: Json) -> Json:
    # A name that is in snake_case already wins over an older spelling of it.
    spelled = {_snake_case(name): value for name, value in given.items()}
    return {**spelled, **{name: value for name, value in given.items() if name == _snake_case(name)}}


def _snake_case(name: str) -> str:
    return _OLD_COLUMNS.get(name) or name.strip().replace(" ", "_").lower()


def _is_envelope(body: Json) -> bool:
    return "data" in body or "success" in body


def _outline(body: object) -> str:
    if isinstance(body, dict):
        # Only keys that look like the API's: a key may be anything, even a secret.
        names = [name if _PLAIN_KEY.fullmatch(name) else "..." for name in sorted(body)[:20]]
        return f"its keys: {', '.join(names) or 'none'}"
    return f"it is a {type(body).__name__}"
