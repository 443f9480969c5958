"""Separate the API's keys in a prospect's object from the person's own columns.

In a nested object the columns are under ``data``, and all other keys are the API's. In a flat object they are next to
the ids and the state, and a column may have the same name as one of these. Then it is unclear whose value it is.
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
"""Only the API uses these names. A column with one of them would be taken for the API's value."""
SHARED = frozenset({"id", "campaign_id", "status", *UNSUBSCRIBED})
"""Exports of other tools use these names too. Such a column is allowed if the answers show whose value it is."""

_NONE: frozenset[str] = frozenset()


def is_nested(found: Json) -> bool:
    """Return whether a prospect's columns are under ``data``, apart from the API's keys."""
    return isinstance(found.get("data"), dict)


def first_text(found: Json, names: Iterable[str]) -> str | None:
    """Return the first id under one of ``names``, as text."""
    return next((text for name in names if (text := _id_text(found.get(name)))), None)


def columns(found: Json) -> Json:
    """Return a prospect's columns."""
    if is_nested(found):
        return dict(found["data"])
    api = {*_api_keys(found, IDS), *_api_keys(found, CAMPAIGN_IDS)}
    return {name: value for name, value in found.items() if name not in api and not is_state(name, value)}


def _api_keys(found: Json, names: tuple[str, ...]) -> list[str]:
    """Return the keys of a flat object that have the API's id: reserved names, and others with the same value."""
    api_id = first_text(found, names)
    return [name for name in names if name in RESERVED or _id_text(found.get(name)) == api_id]


def is_state(name: str, value: object) -> bool:
    """Return whether a key is the API's opt-out state, which is a boolean."""
    return isinstance(value, bool) and name in UNSUBSCRIBED


def states(found: Json) -> list[bool]:
    """Return the API's opt-out states of a person."""
    return [found[name] for name in UNSUBSCRIBED if isinstance(found.get(name), bool)]


def id_is_unclear(found: Json) -> bool:
    """Return whether the id may come from one of the person's own columns.

    This is so in a flat object with only ``id``, or with several ids, unless it has both documented names.
    """
    if is_nested(found) or ("prospectID" in found and "campaignID" in found):
        return False
    ids = {text for name in IDS if (text := _id_text(found.get(name)))}
    return len(ids) > 1 or not ("prospectID" in found or "_id" in found)


def campaign_is_unclear(found: Json) -> bool:
    """Return whether the campaign's id may come from one of the person's own columns."""
    return not is_nested(found) and not ("campaignID" in found and "prospectID" in found)


def unclear_columns(found: Json) -> frozenset[str]:
    """Return the keys of a prospect's object that may be the API's or the person's own columns."""
    here = SHARED.intersection(found)
    if not here or is_nested(found):
        return _NONE
    return frozenset([name for name in here if _is_unclear(found, name)])


def _is_unclear(found: Json, name: str) -> bool:
    if name in UNSUBSCRIBED:
        return isinstance(found[name], bool)
    if name == "status":
        return not states(found)
    return name in _api_keys(found, IDS if name == "id" else CAMPAIGN_IDS)


def unclear_in_campaign(seen: frozenset[str] | None, campaign: Json) -> frozenset[str]:
    """Return which columns stay unclear after a look at the campaign's own object, which has no user columns.

    :param seen: the unclear keys of the campaign's people; None if the campaign is empty.
    """
    has_status, has_boolean = "status" in campaign, any(isinstance(campaign.get(name), bool) for name in PAUSED)
    if seen is not None:
        # An API that does not show the state of a campaign does not show the state of people either.
        return seen if has_status or has_boolean else seen - {"status"}
    unclear = set(UNSUBSCRIBED) if has_boolean else {"status"} if has_status else set()
    if "campaignID" not in campaign:
        unclear |= {"campaign_id"} if "_id" in campaign else {"campaign_id", "id"}
    return frozenset(unclear)


def refuse_reserved(argument: str, given: Mapping[str, Any]) -> None:
    """Refuse columns with a reserved name.

    :raises InvalidInputError: there is one.
    """
    for name in given:
        if name.strip() in RESERVED:
            raise InvalidInputError(
                f"{argument} has a column {name.strip()!r}: only SalesBlink uses this name, for its own ids. "
                "Rename the column; nothing was sent."
            )


def _id_text(value: object) -> str | None:
    is_id = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return str(value) if is_id else None
