"""Which keys of a prospect's answer are the API's, and which are columns of the person.

In a nested answer the columns stand under ``data``, and every other key is the API's. In a flat one they stand next to
the ids and the state, and a column may have the name of one of these. Then the answer leaves open whose value it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]

IDS = ("prospectID", "_id", "id")
CAMPAIGN_IDS = ("campaignID", "campaign_id")
PAUSED = ("paused", "pause")
UNSUBSCRIBED = ("unsubscribed", "isUnsubscribed", "is_unsubscribed")

RESERVED = frozenset({"prospectID", "_id", "campaignID"})
"""Only the API uses these names. A column with one of them would be taken for the API's word."""
SHARED = frozenset({"id", "campaign_id", "status", *UNSUBSCRIBED})
"""Exports of other tools use these names too. Such a column is fine where the answers show whose value is whose."""

_NONE: frozenset[str] = frozenset()


def is_nested(found: Json) -> bool:
    """Return whether a prospect's columns stand under ``data``, apart from the API's keys."""
    return isinstance(found.get("data"), dict)


def first_text(found: Json, names: Iterable[str]) -> str | None:
    """Return the first id under one of ``names``, as text."""
    return next((text for name in names if (text := _id_text(found.get(name)))), None)


def columns(found: Json) -> Json:
    """Return a prospect's columns."""
    if is_nested(found):
        return dict(found["data"])
    api = {*_taken(found, IDS), *_taken(found, CAMPAIGN_IDS)}
    return {name: value for name, value in found.items() if name not in api and not is_state(name, value)}


def _taken(found: Json, names: tuple[str, ...]) -> list[str]:
    """Return the keys of a flat answer that hold the API's id: names that only it uses, and others with the same id."""
    api_id = first_text(found, names)
    return [name for name in names if name in RESERVED or _id_text(found.get(name)) == api_id]


def is_state(name: str, value: object) -> bool:
    """Return whether a key is the API's word on whether the person opted out: a boolean."""
    return isinstance(value, bool) and name in UNSUBSCRIBED


def states(found: Json) -> list[bool]:
    """Return what the API says on whether the person opted out."""
    return [found[name] for name in UNSUBSCRIBED if isinstance(found.get(name), bool)]


def id_is_unclear(found: Json) -> bool:
    """Return whether the id may be a value of one of the person's own columns.

    So it is in a flat answer with nothing but ``id``, or with several ids; unless it has both documented names.
    """
    if is_nested(found) or ("prospectID" in found and "campaignID" in found):
        return False
    ids = {text for name in IDS if (text := _id_text(found.get(name)))}
    return len(ids) > 1 or not ("prospectID" in found or "_id" in found)


def campaign_is_unclear(found: Json) -> bool:
    """Return whether the campaign's id may be a value of one of the person's own columns."""
    return not is_nested(found) and not ("campaignID" in found and "prospectID" in found)


def unclear_columns(found: Json) -> frozenset[str]:
    """Return those keys of a prospect's answer that may be the API's as well as the person's own columns."""
    here = SHARED.intersection(found)
    if not here or is_nested(found):
        return _NONE
    return frozenset([name for name in here if _is_unclear(found, name)])


def _is_unclear(found: Json, name: str) -> bool:
    if name in UNSUBSCRIBED:
        return isinstance(found[name], bool)
    if name == "status":
        return not states(found)
    return name in _taken(found, IDS if name == "id" else CAMPAIGN_IDS)


def unclear_in_campaign(seen: frozenset[str] | None, campaign: Json) -> frozenset[str]:
    """Return which columns stay unclear when the campaign's own record is looked at too: it has no columns.

    :param seen: the unclear keys of the campaign's people; None where it holds nobody.
    """
    has_status, has_boolean = "status" in campaign, any(isinstance(campaign.get(name), bool) for name in PAUSED)
    if seen is not None:
        # An API that shows no state of the campaign shows none of its people.
        return seen if has_status or has_boolean else seen - {"status"}
    unclear = set(UNSUBSCRIBED) if has_boolean else {"status"} if has_status else set()
    if "campaignID" not in campaign:
        unclear |= {"campaign_id"} if "_id" in campaign else {"campaign_id", "id"}
    return frozenset(unclear)


def refuse_reserved(argument: str, given: Mapping[str, Any]) -> None:
    """Refuse columns whose names only the API uses.

    :raises InvalidInputError: there is one.
    """
    for name in given:
        if name.strip() in RESERVED:
            raise InvalidInputError(
                f"{argument} has a column {name.strip()!r}: only SalesBlink uses this name, for its own ids. "
                "Give the column another name; nothing was sent."
            )


def _id_text(value: object) -> str | None:
    is_id = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return str(value) if is_id else None
