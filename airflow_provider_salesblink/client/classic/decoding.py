"""The answers of the seed API, whose shape nobody documented, as records.

Tolerant in form, strict in substance: a payload may be bare, under ``data`` or under its own name, an object may stand
alone or in a list of one, an id goes by three names; but what is not there is None or an error, never made up.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_salesblink.client import documents
from airflow_provider_salesblink.client.columns import is_email, plain
from airflow_provider_salesblink.client.errors import ApiRefusedError, NotFoundError, UnreadableResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.records import Campaign, Prospect, TeamMember

CAMPAIGN_NAMES = ("campaigns", "campaign")
PROSPECT_NAMES = ("prospects", "prospect")
TEAM_NAMES = ("members", "team", "users", "user")

_CAMPAIGN_ID = ("campaignID", "id", "_id")
_PROSPECT_ID = ("prospectID", "id", "_id")
_CAMPAIGN_OF_PROSPECT = ("campaignID", "campaign_id")
_ENVELOPE = frozenset({"success", "error", "message", "msg", "data", "total", "count"})

_PAUSED_WORDS = {"paused": True, "pause": True, "running": False, "active": False, "unpaused": False}
_UNSUBSCRIBED_WORDS = {"unsubscribed": True, "optedout": True, "active": False, "subscribed": False}

# Where :func:`_payload` would find them.
_PLACES_OF_PROSPECTS = frozenset(
    {(), ("data",), *((name,) for name in PROSPECT_NAMES), *(("data", name) for name in PROSPECT_NAMES)}
)

_WORD_OF_API = re.compile(r"[A-Za-z_]{1,20}")

Json = dict[str, Any]


def objects(body: object, names: tuple[str, ...]) -> list[Json]:
    """The objects of an answer, wherever it keeps them.

    :param names: what their key may be called.
    :raises UnreadableResponseError: the answer holds no such objects. An empty list has to be said.
    """
    match _payload(body, names):
        case list() as found if all(isinstance(each, dict) for each in found):
            return found
        case dict() as found if found:
            return [found]
    raise UnreadableResponseError(
        f"The answer holds no {names[0]}; {_outline(body)}. "
        "Check the root URL: something other than the SalesBlink API may have answered."
    )


def _payload(body: object, names: tuple[str, ...]) -> object:
    while isinstance(body, dict):
        for name in names:
            if isinstance(body.get(name), dict | list):
                return body[name]
        if "data" not in body or _is_record(body):
            return body if _is_record(body) or not body.keys() <= _ENVELOPE else None
        # "Nothing found", but only from an API that says that it succeeded.
        if body["data"] is None and body.get("success"):
            return []
        body = body["data"]
    return body


def _is_record(body: Json) -> bool:
    return "success" not in body and _first(body, ("campaignID", "prospectID", "id", "_id")) is not None


def one(found: list[Json], what: str, wanted: str, names: tuple[str, ...]) -> Json:
    """The object whose id is ``wanted`` out of those that answered the question for it.

    :raises NotFoundError: an empty list answered.
    :raises UnreadableResponseError: others did.
    """
    if not found:
        raise NotFoundError(f"SalesBlink has no such {what} (its answer is an empty list). Check the id.")
    for each in found:
        if _first(each, names) == wanted:
            return each
    if len(found) == 1 and _first(found[0], names) is None:
        return found[0]
    raise UnreadableResponseError(f"SalesBlink was asked for one {what} and answered with another.")


def campaign(found: Json, known_id: str | None = None) -> Campaign:
    """A campaign's record.

    :param known_id: its id, where the question held it already.
    :raises UnreadableResponseError: it has no id, so that nothing could be done with it.
    """
    found_id = known_id or _first(found, _CAMPAIGN_ID)
    if found_id is None:
        raise UnreadableResponseError(f"A campaign in the answer has no id; {_outline(found)}.")
    name = found.get("name", found.get("campaignName"))
    return {"id": found_id, "name": name if isinstance(name, str) else None, "paused": _paused(found), "raw": found}


def campaigns(body: object) -> list[Campaign]:
    """The campaigns of an answer, in its order."""
    return [campaign(found) for found in objects(body, CAMPAIGN_NAMES)]


def single_campaign(body: object, campaign_id: str) -> Campaign:
    """The one campaign that was asked for."""
    return campaign(_one_of(body, CAMPAIGN_NAMES, "campaign", campaign_id, _CAMPAIGN_ID), campaign_id)


def prospect(found: Json) -> Prospect:
    """A prospect's record."""
    nested = found.get("data")
    about = {name for name, value in found.items() if _is_about_prospect(name, value)}
    columns = nested if isinstance(nested, dict) else {name: found[name] for name in found if name not in about}
    return {
        "id": _first(found, _PROSPECT_ID),
        "email": _email(columns) or _email(found),
        "campaign_id": _first(found, _CAMPAIGN_OF_PROSPECT),
        "unsubscribed": _unsubscribed(found),
        "fields": dict(columns),
        "raw": found,
    }


def prospects(body: object) -> list[Prospect]:
    """The prospects of an answer, in its order."""
    return [prospect(found) for found in objects(body, PROSPECT_NAMES)]


def each_prospect(body: object) -> Iterator[Prospect]:
    """The prospects of an answer, in its order; of one that is an open file without reading it into memory."""
    if isinstance(body, dict | list):
        yield from prospects(body)
        return
    with cast("IO[bytes]", body) as file:
        try:
            for found in documents.elements(file, _PLACES_OF_PROSPECTS, _check_beside):
                if not isinstance(found, dict):
                    break
                yield prospect(found)
            else:
                return
        except LookupError:
            raise UnreadableResponseError(f"The answer holds no {PROSPECT_NAMES[0]}.") from None
        except ValueError:
            pass
    raise UnreadableResponseError("The answer is no complete list of prospects in JSON. Try again later.")


def _check_beside(path: documents.Path, value: object) -> None:
    if path == ("success",) and value is False:
        raise ApiRefusedError("SalesBlink answered that the call failed.")


def single_prospect(body: object, prospect_id: str) -> Prospect:
    """The one prospect that was asked for."""
    record = prospect(_one_of(body, PROSPECT_NAMES, "prospect", prospect_id, _PROSPECT_ID))
    record["id"] = prospect_id
    return record


def team_member(found: Json) -> TeamMember:
    """A team member's record, without the picture."""
    name = found.get("user_name", found.get("name"))
    raw = {key: value for key, value in found.items() if key != "user_picture"}
    return {"name": name if isinstance(name, str) else None, "email": _email(found), "raw": raw}


def team(body: object) -> list[TeamMember]:
    """The team members of an answer, in its order."""
    return [team_member(found) for found in objects(body, TEAM_NAMES)]


def acknowledged(body: object, names: tuple[str, ...]) -> Json:
    """The object that the answer to a write tells of; an empty one where it tells of none."""
    match _payload(body, names):
        case dict() as found:
            return found
        case [dict() as found]:
            return found
    return {}


def _one_of(body: object, names: tuple[str, ...], what: str, wanted: str, ids: tuple[str, ...]) -> Json:
    return one(objects(body, names), what, wanted, ids)


def _first(found: Json, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = found.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def _email(columns: Json) -> str | None:
    for name, value in columns.items():
        if is_email(name) and isinstance(value, str):
            return value
    return None


def _paused(found: Json) -> bool | None:
    for name in ("paused", "pause"):
        if isinstance(found.get(name), bool):
            return bool(found[name])
    return _PAUSED_WORDS.get(_word(found, "status"))


def _unsubscribed(found: Json) -> bool | None:
    for name, value in found.items():
        if plain(name) in ("unsubscribed", "isunsubscribed") and isinstance(value, bool):
            return value
    return _UNSUBSCRIBED_WORDS.get(_word(found, "status"))


def _is_about_prospect(name: str, value: object) -> bool:
    """Whether a key of a flat prospect is the API's own word about the person rather than one of their columns."""
    if name in (*_PROSPECT_ID, *_CAMPAIGN_OF_PROSPECT):
        return True
    if plain(name) in ("unsubscribed", "isunsubscribed"):
        return isinstance(value, bool)
    return name == "status" and isinstance(value, str) and plain(value) in _UNSUBSCRIBED_WORDS


def _word(found: Json, name: str) -> str:
    value = found.get(name)
    return plain(value) if isinstance(value, str) else ""


def _outline(body: object) -> str:
    if isinstance(body, dict):
        # Only what looks like a word of an API: a key may be anything, a secret too.
        names = [name if _WORD_OF_API.fullmatch(name) else "..." for name in sorted(body)[:20]]
        return f"its keys: {', '.join(names) or 'none'}"
    return f"it is a {type(body).__name__}"
