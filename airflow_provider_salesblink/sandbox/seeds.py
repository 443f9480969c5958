"""The data that a sandbox starts with: the built-in demo, or a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import find_email, normalize_email
from airflow_provider_salesblink.sandbox.lead_columns import classic_name
from airflow_provider_salesblink.sandbox.options import SandboxUsageError, require_known

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.store import Store

# A 1x1 PNG. SalesBlink includes pictures in the list of members, and a client should drop them.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TEAM = [
    {"user_name": "Olu Owner", "email": "olu@example.com", "company_name": "Example Ltd", "user_picture": PICTURE},
    {"user_name": "Mia Member", "email": "mia@example.com", "company_name": "Example Ltd", "user_picture": PICTURE},
]
DEMO = {
    "campaigns": [
        {
            "id": "spring-2027",
            "name": "Spring 2027",
            "people": [
                {"First Name": "Ana", "Last Name": "Silva", "Email": "ana@example.com", "Company": "Northwind"},
                {"First Name": "Ben", "Last Name": "Okafor", "Email": "ben@example.com", "Company": "Contoso"},
                {"First Name": "Chloé", "Last Name": "Martin", "Email": "chloe@example.org", "Company": "Fabrikam"},
                {"First Name": "Dai", "Last Name": "Tanaka", "Email": "dai@example.org", "Company": "Globex"},
                {"First Name": "Eve", "Last Name": "Novak", "Email": "eve@example.com", "Company": "Initech"},
            ],
            "unsubscribed": ["eve@example.com"],
        },
        {
            "id": "webinar-follow-up",
            "name": "Webinar follow-up",
            "people": [
                {"First Name": "Ana", "Last Name": "Silva", "Email": "Ana@example.com", "Company": "Northwind"},
                {"First Name": "Finn", "Last Name": "Larsen", "Email": "finn@example.com", "Company": "Umbrella"},
            ],
        },
        {"id": "win-back", "name": "Win back old customers", "paused": True, "people": []},
    ],
    "members": TEAM,
}


def read_seed(seed: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the seed data.

    :param seed: ``demo``, the path of a JSON file, or the content of such a file.
    :raises SandboxUsageError: the file cannot be read, or is not a JSON object.
    """
    if isinstance(seed, Mapping):
        return seed
    if seed == "demo":
        return DEMO
    try:
        content = json.loads(Path(seed).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"Cannot read the seed '{seed}': {reason}"
        raise SandboxUsageError(message) from error
    if not isinstance(content, dict):
        message = f"Cannot read the seed '{seed}': it is not a JSON object"
        raise SandboxUsageError(message)
    return content


def load_seed(store: Store, seed: Mapping[str, Any]) -> None:
    """Add the seed data to an empty store. A store with campaigns or lists stays unchanged."""
    for name in seed:
        require_known(name, ("lists", "campaigns", "members"), "key of the seed")
    with store.transaction():
        if store.campaigns() or store.lists.all():
            return
        for found in _objects(seed, "lists", "seed"):
            _add_list(store, found)
        for campaign in _objects(seed, "campaigns", "seed"):
            _add_campaign(store, campaign)
        for member in _objects(seed, "members", "seed"):
            store.add_member(member)


def _add_list(store: Store, found: Mapping[str, Any]) -> None:
    for key in found:
        require_known(key, ("id", "name", "leads"), "key of a list in the seed")
    name, wanted_id = found.get("name"), found.get("id")
    if not isinstance(name, str) or not isinstance(wanted_id, str | None):
        message = "A list of the seed needs a name (a text). Its id must be a text"
        raise SandboxUsageError(message)
    added = store.lists.add(name, id=wanted_id)
    for lead in _objects(found, "leads", f"list '{name}'"):
        store.add_lead(added.id, {classic_name(column): value for column, value in lead.items()})


def _add_campaign(store: Store, campaign: Mapping[str, Any]) -> None:
    for key in campaign:
        require_known(key, ("id", "name", "paused", "lists", "people", "unsubscribed"), "key of a campaign in the seed")
    name, wanted_id, paused = campaign.get("name"), campaign.get("id"), campaign.get("paused", False)
    if not isinstance(name, str) or not isinstance(wanted_id, str | None) or not isinstance(paused, bool):
        message = (
            "A campaign of the seed needs a name (a text). Its id must be a text, and paused must be true or false"
        )
        raise SandboxUsageError(message)
    added = store.add_campaign(name, paused=paused, id=wanted_id, lists=_known_lists(store, campaign))
    unsubscribed = _unsubscribed_addresses(campaign)
    for person in _objects(campaign, "people", f"campaign '{name}'"):
        store.add_person(added.id, person, unsubscribed=normalize_email(find_email(person)) in unsubscribed)


def _known_lists(store: Store, campaign: Mapping[str, Any]) -> list[str] | None:
    lists = campaign.get("lists")
    known = [each.id for each in store.lists.all()]
    if lists is not None and not (isinstance(lists, list) and all(list_id in known for list_id in lists)):
        message = f"'lists' of the campaign '{campaign['name']}' must be ids of lists in the seed: {', '.join(known)}"
        raise SandboxUsageError(message)
    return lists


def _unsubscribed_addresses(campaign: Mapping[str, Any]) -> set[str]:
    found = campaign.get("unsubscribed", [])
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        message = f"'unsubscribed' of the campaign '{campaign['name']}' must be a list of addresses"
        raise SandboxUsageError(message)
    return {normalize_email(address) for address in found}


def _objects(parent: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = parent.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        message = f"'{key}' of the {where} must be a list of objects"
        raise SandboxUsageError(message)
    return found
