"""The records that the client returns: plain dicts with the same keys for each API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.identity import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client.errors import SalesBlinkError


class Campaign(TypedDict):
    """A campaign. ``paused`` is None if the API does not say; ``raw`` is the API's own object, unchanged."""

    id: str
    name: str | None
    paused: bool | None
    raw: dict[str, Any]
    dry_run: NotRequired[bool]


class Prospect(TypedDict):
    """A person in a campaign.

    ``fields`` are the columns that the person was added with. ``unsubscribed`` is None if the API does not say.
    ``id`` and ``campaign_id`` are None if the answer has none (the answers to writes are undocumented). ``raw`` is the
    API's own object, unchanged. ``dry_run`` is present, and true, only if nothing was sent.
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


@dataclass(frozen=True)
class Everywhere:
    """Every prospect with an address that the key can see.

    :param unread: the campaigns or lists that could not be read, by id, with the error of each.
    """

    found: list[Prospect] = field(repr=False)
    unread: dict[str, SalesBlinkError] = field(default_factory=dict)


@dataclass(frozen=True)
class LookUp:
    """What SalesBlink knows about a person who is to be added.

    :param everywhere: the prospects with their address, as far as they matter for the add.
    :param in_campaign: those in the campaign.
    :param opted_out: whether the person opted out; None if SalesBlink does not show it.
    """

    everywhere: list[Prospect] = field(repr=False)
    in_campaign: list[Prospect] = field(repr=False)
    opted_out: bool | None


def of_person(prospects: Iterable[Prospect], address: str) -> list[Prospect]:
    """Return those of ``prospects`` whose address belongs to the same person as ``address``.

    :raises UnreadableResponseError: there are prospects, but none of them shows an address.
    """
    wanted, found = normalized(address), []
    has_addresses, is_empty = False, True
    for each in prospects:
        is_empty = False
        if each["email"] is not None:
            has_addresses = True
            if normalized(each["email"]) == wanted:
                found.append(each)
    if not (has_addresses or is_empty):
        raise UnreadableResponseError("The list of people shows no addresses, so the client cannot find anybody in it.")
    return found
