"""Find a person on every list, block their address, and take them off the lists: to forget them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import NotFoundError, SalesBlinkError, UnreadableResponseError
from airflow_provider_salesblink.client.records import Everywhere
from airflow_provider_salesblink.client.v1.prospect_search import ProspectSearch

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.v1.decoding import Json

_MOST_REMOVALS = 3
"""Calls until an address is off a list, which may have it more than once until SalesBlink removes duplicates."""


class ProspectErasure(ProspectSearch):
    """The calls of :class:`Prospects` that forget one person."""

    kept_after_erasure = (
        "The address on the blocklist, on purpose: without it, the person could be added and mailed again.",
        "The mails to and from the person, in its inbox and in the mailboxes that sent and received them.",
        "The events of these mails (sent, opened, clicked, replied, bounced, unsubscribed), and the totals.",
        "A lead that is on no list any more, and what is on lists and in workspaces that the key cannot see.",
    )
    """What SalesBlink still holds of a person after :meth:`block` and :meth:`remove`, in sentences."""

    def search_everywhere(self, email: str) -> Everywhere:
        """Find the prospects with an address, as :meth:`search` does, on every list that the key can see.

        Unlike :meth:`search`, it reads the lists even if SalesBlink knows no lead with the address, and goes on if one
        of them cannot be read for good.
        """
        email = validation.address("email", email)
        known, unread = self._search.by_address(email), dict[str, SalesBlinkError]()
        leads: list[Json] = []
        for list_id in self._search.every_list():
            try:
                leads += [{**lead, "list_id": list_id} for lead in self._search.on_list(list_id, email)]
            except NotFoundError:
                # It was deleted meanwhile.
                continue
            except SalesBlinkError as error:
                if not error.permanent:
                    raise
                unread[list_id] = error
        leads = leads or ([known] if known else [])
        return Everywhere(self._prospects(email, leads) if leads else [], unread)

    def block(self, email: str) -> bool | None:
        """Put an address on the blocklist (``POST /unsubscribe``), and return whether it shows it; None if unclear.

        A second call changes nothing. The blocklist belongs to the key's user.

        :raises UnreadableResponseError: SalesBlink accepted the call, but its blocklist does not have the address.
        """
        return self._opt_outs.block(validation.address("email", email))

    def remove(self, prospect: Prospect) -> str | None:
        """Take a prospect off its list, and return the list's id; None if the prospect is on no list.

        Somebody who is off the list already changes nothing. Block the person first: SalesBlink does not document
        whether it cancels planned mails.

        :raises UnreadableResponseError: SalesBlink accepted the call, but the list still shows the address.
        """
        list_id, email = prospect["raw"].get("list_id"), prospect["email"]
        if not list_id or not email:
            return None
        for _ in range(_MOST_REMOVALS):
            try:
                removed = self._leads.remove(list_id, email)
            except NotFoundError:
                return str(list_id)
            if removed.get("dry_run") or not any(self._search.on_list(list_id, email)):
                return str(list_id)
        raise UnreadableResponseError(
            f"SalesBlink accepted that the person is taken off list {list_id!r}, but the list still shows the address. "
            "Run the task again; if that does not help, remove the person in SalesBlink."
        )
