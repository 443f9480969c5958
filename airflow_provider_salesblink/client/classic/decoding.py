"""Decode the answers of the classic API, whose shape is undocumented, into records.

Lenient about form: the payload may be bare, under ``data`` or under its own name, a single object may be in a list of
one, and an id has one of three names. Strict about content: a missing value is None or an error, never invented. An
object counts as a record only if it has an id or a person's address.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_salesblink.client import json_stream
from airflow_provider_salesblink.client.classic import column_conflicts
from airflow_provider_salesblink.client.columns import is_email, plain
from airflow_provider_salesblink.client.errors import ApiRefusedError, NotFoundError, UnreadableResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.client.records import Campaign, Prospect, TeamMember

CAMPAIGN_NAMES = ("campaigns", "campaign")
PROSPECT_NAMES = ("prospects", "prospect")
TEAM_NAMES = ("members", "team", "users", "user")

_CAMPAIGN_ID = ("campaignID", "id", "_id")
_ENVELOPE = frozenset({"success", "error", "message", "msg", "data", "total", "count"})

_PAUSED_WORDS = {"paused": True, "pause": True, "running": False, "active": False, "unpaused": False}
_OPTED_OUT_WORDS = frozenset({"unsubscribed", "optedout"})
_SUBSCRIBED_WORDS = frozenset({"active", "subscribed"})
_UNSUBSCRIBED_NAMES = frozenset(map(plain, column_conflicts.UNSUBSCRIBED))
_YES = frozenset({"true", "yes", "y", "1", "t", "on", *_OPTED_OUT_WORDS})

# The paths at which :func:`_payload` finds prospects.
_PROSPECT_PATHS = frozenset(
    {(), ("data",), *((name,) for name in PROSPECT_NAMES), *(("data", name) for name in PROSPECT_NAMES)}
)

_PLAIN_KEY = re.compile(r"[A-Za-z_]{1,20}")

Json = dict[str, Any]


def objects(
    body: object,
    names: tuple[str, ...],
    is_record: Callable[[Json], bool],
    is_record_alone: Callable[[Json], bool] | None = None,
) -> list[Json]:
    """Return the requested objects from an answer, wherever it has them.

    :param names: the keys under which they may be.
    :param is_record: returns whether an object is one of the requested kind.
    :param is_record_alone: the same for an object outside a list, which is more likely a notice of the server.
    :raises UnreadableResponseError: the answer has no such objects and no empty list.
    """
    match _payload(body, names):
        case list() as found if all(isinstance(each, dict) and is_record(each) for each in found):
            return found
        case dict() as found if (is_record_alone or is_record)(found):
            return [found]
    raise UnreadableResponseError(
        f"The answer has no {names[0]}; {_outline(body)}. "
        "Check the root URL: something other than the SalesBlink API may have answered."
    )


def _payload(body: object, names: tuple[str, ...]) -> object:
    while isinstance(body, dict):
        for name in names:
            if isinstance(body.get(name), dict | list):
                return body[name]
        # A record's own ``data`` is an object: its columns.
        is_record = _is_record(body) and not isinstance(body.get("data"), list)
        if "data" not in body or is_record:
            return body if is_record or not body.keys() <= _ENVELOPE else None
        # A null means "nothing found", but only in an answer that reports success.
        if body["data"] is None and body.get("success"):
            return []
        body = body["data"]
    return body


def _is_record(body: Json) -> bool:
    return (
        "success" not in body and column_conflicts.first_text(body, (*_CAMPAIGN_ID, *column_conflicts.IDS)) is not None
    )


def _is_campaign(found: Json) -> bool:
    return column_conflicts.first_text(found, _CAMPAIGN_ID) is not None


def _is_prospect(found: Json) -> bool:
    return column_conflicts.first_text(found, column_conflicts.IDS) is not None or _has_address(found)


def _has_address(found: Json) -> bool:
    return bool((_address(found) or "").strip())


def _is_member(found: Json) -> bool:
    return bool((_name(found) or _email(found) or "").strip())


def one(found: list[Json], what: str, wanted: str, names: tuple[str, ...]) -> Json:
    """Return the object with the id ``wanted`` from the answer to a read of it.

    :raises NotFoundError: the answer is an empty list.
    :raises UnreadableResponseError: the answer has other objects.
    """
    if not found:
        raise NotFoundError(f"SalesBlink has no such {what} (its answer is an empty list). Check the id.")
    # First by the id as decoded elsewhere; then by each name alone, because a user's column may have one of the names.
    for each_names in (names, *((name,) for name in names)):
        for each in found:
            if column_conflicts.first_text(each, each_names) == wanted:
                return each
    if len(found) == 1 and column_conflicts.first_text(found[0], names) is None:
        return found[0]
    raise UnreadableResponseError(f"The client asked for one {what}, and SalesBlink answered with another.")


def campaign(found: Json, known_id: str | None = None) -> Campaign:
    """Return a campaign's record.

    :param known_id: its id, if the request had it.
    :raises UnreadableResponseError: it has no id.
    """
    found_id = known_id or column_conflicts.first_text(found, _CAMPAIGN_ID)
    if found_id is None:
        raise UnreadableResponseError(f"A campaign in the answer has no id; {_outline(found)}.")
    name = found.get("name", found.get("campaignName"))
    return {"id": found_id, "name": name if isinstance(name, str) else None, "paused": _paused(found), "raw": found}


def campaigns(body: object) -> list[Campaign]:
    """Return the campaigns in an answer, in its order."""
    return [campaign(found) for found in objects(body, CAMPAIGN_NAMES, _is_campaign)]


def single_campaign(body: object, campaign_id: str) -> Campaign:
    """Return the requested campaign."""
    found = objects(body, CAMPAIGN_NAMES, _is_campaign)
    return campaign(one(found, "campaign", campaign_id, _CAMPAIGN_ID), campaign_id)


def prospect(found: Json) -> Prospect:
    """Return a prospect's record."""
    return {
        "id": column_conflicts.first_text(found, column_conflicts.IDS),
        "email": _address(found),
        "campaign_id": column_conflicts.first_text(found, column_conflicts.CAMPAIGN_IDS),
        "unsubscribed": _unsubscribed(found),
        "fields": column_conflicts.columns(found),
        "raw": found,
    }


def prospects(body: object) -> list[Prospect]:
    """Return the prospects in an answer, in its order."""
    found = objects(body, PROSPECT_NAMES, _is_prospect, _has_address)
    return [prospect(each) for each in found]


def each_prospect(body: object) -> Iterator[Prospect]:
    """Yield the prospects in an answer, in its order. An open file is not read into memory."""
    if isinstance(body, dict | list):
        yield from prospects(body)
        return
    with cast("IO[bytes]", body) as file:
        try:
            for found in json_stream.elements(file, _PROSPECT_PATHS, _check_success):
                if not isinstance(found, dict) or not _is_prospect(found):
                    break
                yield prospect(found)
            else:
                return
        except LookupError:
            raise UnreadableResponseError(f"The answer has no {PROSPECT_NAMES[0]}.") from None
        except ValueError:
            pass
    raise UnreadableResponseError("The answer is not a complete JSON list of prospects. Try again later.")


def _check_success(path: json_stream.Path, value: object) -> None:
    if path == ("success",) and value is False:
        raise ApiRefusedError("SalesBlink answered that the call failed.")


def single_prospect(body: object, prospect_id: str) -> Prospect:
    """Return the requested prospect."""
    found = objects(body, PROSPECT_NAMES, _is_prospect)
    record = prospect(one(found, "prospect", prospect_id, column_conflicts.IDS))
    record["id"] = prospect_id
    return record


def team_member(found: Json) -> TeamMember:
    """Return a team member's record, without the picture."""
    raw = {key: value for key, value in found.items() if key != "user_picture"}
    return {"name": _name(found), "email": _email(found), "raw": raw}


def _name(found: Json) -> str | None:
    name = found.get("user_name", found.get("name"))
    return name if isinstance(name, str) else None


def team(body: object) -> list[TeamMember]:
    """Return the team members in an answer, in its order."""
    return [team_member(found) for found in objects(body, TEAM_NAMES, _is_member, _has_address)]


def acknowledged(body: object, names: tuple[str, ...]) -> Json:
    """Return the object in the answer to a write; an empty one if there is none."""
    match _payload(body, names):
        case dict() as found:
            return found
        case [dict() as found]:
            return found
    return {}


def _address(found: Json) -> str | None:
    """Return a prospect's address, from their columns or next to them."""
    nested = _email(found["data"]) if column_conflicts.is_nested(found) else None
    return nested or _email(found)


def _email(columns: Json) -> str | None:
    for name, value in columns.items():
        if is_email(name) and isinstance(value, str):
            return value
    return None


def _paused(found: Json) -> bool | None:
    for name in column_conflicts.PAUSED:
        if isinstance(found.get(name), bool):
            return bool(found[name])
    return _PAUSED_WORDS.get(_word(found, "status"))


def _unsubscribed(found: Json) -> bool | None:
    """Return whether the person opted out; None if the answer does not show this for certain.

    In a flat object a user's column may have the same name as the state. Its value counts only if it says that the
    person opted out.
    """
    if states := column_conflicts.states(found):
        return any(states)
    word = _word(found, "status")
    if word in _OPTED_OUT_WORDS or any(_says_yes(value) for name, value in found.items() if _is_named_state(name)):
        return True
    return False if word in _SUBSCRIBED_WORDS and column_conflicts.is_nested(found) else None


def _is_named_state(name: str) -> bool:
    return plain(name) in _UNSUBSCRIBED_NAMES


def _says_yes(value: object) -> bool:
    return isinstance(value, str | int) and plain(str(value)) in _YES


def _word(found: Json, name: str) -> str:
    value = found.get(name)
    return plain(value) if isinstance(value, str) else ""


def _outline(body: object) -> str:
    if isinstance(body, dict):
        # Only keys that look like the API's: a key may be anything, even a secret.
        names = [name if _PLAIN_KEY.fullmatch(name) else "..." for name in sorted(body)[:20]]
        return f"its keys: {', '.join(names) or 'none'}"
    return f"it is a {type(body).__name__}"
