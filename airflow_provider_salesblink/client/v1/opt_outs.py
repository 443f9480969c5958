"""Find out whether a person opted out: from the blocklist, and from what happened to their leads."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import NotFoundError, UnreadableResponseError
from airflow_provider_salesblink.client.identity import ascii_domain, normalized, spellings
from airflow_provider_salesblink.client.v1.sequences import LEAD_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.blocklist import Blocklist, Kind
    from airflow_provider_salesblink.client.v1.events import Events
    from airflow_provider_salesblink.client.v1.leads import Leads

log = logging.getLogger(__name__)

UNSUBSCRIBED = "unsubscribed"


class OptOuts:
    """Reads opt-outs. The blocklist belongs to the user of the key: the client does not see entries of colleagues."""

    def __init__(self, requestor: Requestor, blocklist: Blocklist, leads: Leads, events: Events) -> None:
        self._requestor = requestor
        self._blocklist = blocklist
        self._leads = leads
        self._events = events

    def blocked(self, email: str) -> bool | None:
        """Return whether the blocklist has an address or its domain; None if SalesBlink's answers do not show it.

        The shape of ``GET /unsubscribe/check`` is not documented, and neither is whether it considers domains. So the
        client also searches the list for the domain, and for the address if the check is unclear. It asks for each
        spelling of the address, because SalesBlink may compare text.
        """
        addresses = spellings(email)
        checked = [self._blocklist.check(each) for each in addresses]
        if any(checked):
            return True
        domains = dict.fromkeys(each.rpartition("@")[2].lower() for each in addresses)
        unclear = [each for each, is_blocked in zip(addresses, checked, strict=True) if is_blocked is None]
        try:
            return any(self._lists(each, "domain") for each in domains) or any(
                self._lists(each, "email") for each in unclear
            )
        except UnreadableResponseError:
            return None if unclear else False

    def _lists(self, entry: str, kind: Kind) -> bool:
        wanted = _compared(entry)
        found = [each["entry"] for each in self._blocklist.list(kind=kind, search=entry)]
        if any(shown and _compared(shown.lstrip("@")) == wanted for shown in found):
            return True
        if None in found:
            raise _unreadable_entries()
        return False

    def each(self) -> Iterator[str]:
        """Yield the addresses and domains of the blocklist, and the addresses that the log shows as unsubscribed.

        :raises UnreadableResponseError: an entry of the blocklist shows neither an address nor a domain.
        """
        for entry in self._blocklist.list():
            if not entry["entry"]:
                raise _unreadable_entries()
            yield _compared(entry["entry"].lstrip("@"))
        for event in self._events.reports("Unsubscribed"):
            if word(event.get("message")) == UNSUBSCRIBED and isinstance(email := event.get("email"), str):
                yield _compared(email)

    def in_history(self, email: str) -> bool:
        """Return whether the history of a person has an unsubscribe (``GET /leads/activity?email=`` and ``/reports``).

        The first shows one lead only, if the address is on several lists. The second shows the events of all.
        """
        return any(self._has_unsubscribe(each) for each in spellings(email))

    def _has_unsubscribe(self, email: str) -> bool:
        try:
            if any(word(event.get("message")) == UNSUBSCRIBED for event in self._leads.activity(email=email)):
                return True
        except NotFoundError:
            return False
        reports = self._events.reports("Unsubscribed", email=email)
        return any(_is_unsubscribe_of(email, event) for event in reports)

    def of(self, email: str, status: str | None = None) -> bool | None:
        """Return whether a person in SalesBlink opted out; None if it does not show it.

        :param status: their state in a sequence.
        """
        if status == UNSUBSCRIBED or self.in_history(email):
            return True
        blocked = self.blocked(email)
        return of_status(status) if blocked is None else blocked

    def has_entry(self, email: str) -> bool:
        """Return whether the blocklist shows the address itself: a blocked domain is not the person's opt-out."""
        try:
            return any(self._lists(each, "email") for each in spellings(email))
        except UnreadableResponseError:
            return False

    def unsubscribe(self, lead_ids: Sequence[str]) -> bool:
        """Unsubscribe leads of one person, and return whether this is a dry run.

        :raises NotFoundError: the first one does not exist.
        """
        answer = self._leads.unsubscribe(lead_ids[0])
        for lead_id in lead_ids[1:]:
            # A lead that was deleted meanwhile gets no mail.
            with suppress(NotFoundError):
                self._leads.unsubscribe(lead_id)
        return bool(answer.get("dry_run"))

    def block(self, email: str) -> bool | None:
        """Put each spelling of an address on the blocklist, and confirm it. Return None in a dry run, too.

        :raises UnreadableResponseError: the blocklist does not have the address afterward.
        """
        # SalesBlink may compare text. Blocking an entry a second time changes nothing.
        entries = dict.fromkeys(each.lower() for each in spellings(email))
        is_dry_run = self._blocklist.add([*entries]).get("dry_run")
        return None if is_dry_run else self.confirm(email, "the address for the blocklist")

    def confirm(self, email: str, accepted: str = "the unsubscribe") -> bool | None:
        """Wait until the blocklist shows an address that was unsubscribed; return None if its answers do not show it.

        :param accepted: what SalesBlink accepted, for the error.
        :raises UnreadableResponseError: it does not have the address.
        """

        def decided() -> tuple[bool | None] | None:
            blocked = self.blocked(email)
            return None if blocked is False else (blocked,)

        found = self._requestor.wait_until(decided, self._requestor.settling_time)
        if found is None:
            raise UnreadableResponseError(
                f"SalesBlink accepted {accepted}, but its blocklist does not show the address. Check the person in "
                "SalesBlink."
            )
        if found[0] is None:
            log.warning("SalesBlink accepted an unsubscribe. Its answers do not show whether the blocklist has it.")
        return found[0]


def _unreadable_entries() -> UnreadableResponseError:
    return UnreadableResponseError("The blocklist has entries that show neither an address nor a domain.")


def _is_unsubscribe_of(email: str, event: Mapping[str, object]) -> bool:
    # SalesBlink ignores filters that it does not know.
    shown = event.get("email")
    is_other = isinstance(shown, str) and normalized(shown) != normalized(email)
    return word(event.get("message")) == UNSUBSCRIBED and not is_other


def _compared(entry: str) -> str:
    """Return an address or a domain in the form in which all its spellings are the same."""
    return normalized(entry) if "@" in entry else ascii_domain(entry.strip())


def word(value: object) -> str:
    """Return a state or a message as one word: ``Not Contacted`` -> ``not_contacted``."""
    return "_".join("".join(c if c.isalnum() else " " for c in str(value or "")).casefold().split())


def of_status(status: str | None) -> bool | None:
    """Return whether a state in a sequence is an opt-out; None if there is no state, or an unknown one."""
    return status == UNSUBSCRIBED if status in LEAD_STATES else None
