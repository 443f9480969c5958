"""The blocklist: addresses and domains that get no mails (``/unsubscribe``).

It belongs to the user of the key. Entries of colleagues are not visible, so what is not found may still be blocked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.columns import plain
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.identity import normalized
from airflow_provider_salesblink.client.v1 import decoding, paging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json

Kind = Literal["email", "domain"]

_KINDS = ("email", "domain")
# The shape of an entry is undocumented.
_TEXTS = ("email", "domain", "entry", "value", "address")
# The same for the answer to a check; these are the names that other clients look for.
_STATES = frozenset({"blocked", "isblocked", "exists", "unsubscribed", "isunsubscribed", "blocklisted"})


class Blocklist:
    """Calls about the blocklist. Each raises a subclass of :class:`SalesBlinkError` if it fails.

    There is no call to empty it: that cannot be undone.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self, kind: Kind | None = None, search: str | None = None) -> Iterator[Json]:
        """Yield the entries (``GET /unsubscribe``): dicts with ``id``, ``entry``, ``kind`` and ``raw``.

        ``entry`` is the address or domain. It, ``id`` and ``kind`` are None if SalesBlink's answer does not show them.

        :param kind: only addresses (``email``) or only domains (``domain``).
        :param search: only the entries that SalesBlink finds for this text.
        """
        if kind is not None and kind not in _KINDS:
            raise InvalidInputError(f"kind is unknown: pass one of {', '.join(_KINDS)}.")
        query: dict[str, str] = {"type": kind} if kind is not None else {}
        query |= {"search": validation.term("search", search)} if search is not None else {}
        return paging.each_of(
            self._requestor, "unsubscribe",
            paginator=paging.BlocklistOffset(), query=query, decode=_entries, key=_key, what="the blocklist",
        )  # fmt: skip

    def add(self, entries: Sequence[str]) -> Json:
        """Block addresses and bare domains (``POST /unsubscribe``). Blocking one a second time changes nothing.

        :param entries: addresses and domains, mixed.
        :raises InvalidInputError: one of them is neither. Nothing was sent.
        """
        if isinstance(entries, str):
            raise InvalidInputError("entries is a text: pass a list of addresses and domains.")
        checked = [validation.address_or_domain(f"entries[{number}]", each) for number, each in enumerate(entries)]
        if not checked:
            raise InvalidInputError("entries is empty: pass at least one address or domain.")
        return decoding.written(self._requestor.write("unsubscribe", body={"emails": checked}))

    def remove(self, entry: str) -> Json:
        """Take one address or domain off the blocklist (``POST /unsubscribe/remove``). Mail becomes possible again.

        Somebody who opted out can then get mails, too.
        """
        body = {"emails": [validation.address_or_domain("entry", entry)]}
        return decoding.written(self._requestor.write("unsubscribe", "remove", body=body, gone_is_done=True))

    def check(self, email: str) -> bool | None:
        """Return whether an address is blocked; None if the answer does not say (``GET /unsubscribe/check``).

        The answer is undocumented. The client reads a boolean with a usual name, and a list of entries that has some as
        "blocked". An empty list says nothing, because entries of colleagues are not visible. SalesBlink does not
        document whether a blocked domain counts.
        """
        query = {"email": validation.address("email", email)}
        return self._requestor.read("unsubscribe", "check", query=query, content="scalar").decoded(_is_blocked)


def _entries(body: object) -> list[Json]:
    return [_entry(found) for found in decoding.array(body)]


def _entry(found: object) -> Json:
    if not isinstance(found, dict):
        text = found if isinstance(found, str) else None
        return {"id": None, "entry": text, "kind": _kind(text, None), "raw": found}
    text = next((value for name in _TEXTS if isinstance(value := found.get(name), str) and value.strip()), None)
    return {"id": decoding.text_id(found), "entry": text, "kind": _kind(text, found.get("type")), "raw": found}


def _kind(text: str | None, given: object) -> str | None:
    if given in _KINDS or text is None:
        return given if isinstance(given, str) and given in _KINDS else None
    return "email" if "@" in text else "domain"


def _key(found: Json) -> str | None:
    return found["id"] or (normalized(found["entry"]) if found["entry"] else None)


def _is_blocked(body: object) -> bool | None:
    match body:
        case bool():
            return body
        case list():
            return _any_blocked(body)
        case dict():
            states = [value for name, value in body.items() if plain(name) in _STATES and isinstance(value, bool)]
            return any(states) if states else _is_blocked(body.get("data"))
    return None


def _any_blocked(found: list[object]) -> bool | None:
    """Return whether a list shows that the address is blocked: by an entry that does not say the opposite."""
    states = [_is_blocked(each) for each in found]
    return not all(state is False for state in states) if states else None
