"""What callers get: plain dicts with the same keys whichever API answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.identity import person

if TYPE_CHECKING:
    from collections.abc import Iterable


class Campaign(TypedDict):
    """A campaign. ``paused`` is None where the API does not say; ``raw`` is the API's own object, untouched."""

    id: str
    name: str | None
    paused: bool | None
    raw: dict[str, Any]
    dry_run: NotRequired[bool]


class Prospect(TypedDict):
    """A person in a campaign.

    ``fields`` are the columns the person was added with; ``unsubscribed`` is None where the API does not say;
    ``id`` and ``campaign_id`` are None where the answer holds none (the answers to writes are undocumented);
    ``raw`` is the API's own object, untouched. ``dry_run`` is there, and true, on what was not sent.
    """

    id: str | None
    email: str | None
    campaign_id: str | None
    unsubscribed: bool | None
    fields: dict[str, Any]
    raw: dict[str, Any]
    dry_run: NotRequired[bool]


class TeamMember(TypedDict):
    """A member of the key's team. ``raw`` is the API's own object without its picture (large, base64)."""

    name: str | None
    email: str | None
    raw: dict[str, Any]


def of_person(prospects: Iterable[Prospect], address: str) -> list[Prospect]:
    """Those of ``prospects`` who are the person with ``address``.

    :raises UnreadableResponseError: not one of them shows an address: whoever is looked for would never be found.
    """
    wanted, found = person(address), []
    has_addresses, is_empty = False, True
    for each in prospects:
        is_empty = False
        if each["email"] is not None:
            has_addresses = True
            if person(each["email"]) == wanted:
                found.append(each)
    if not (has_addresses or is_empty):
        raise UnreadableResponseError("The list of people shows no addresses, so nobody can be looked for in it.")
    return found
