"""Find a person in every campaign, and say what the classic API cannot do to forget them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.classic.campaigns import Campaigns
from airflow_provider_salesblink.client.errors import NotFoundError, SalesBlinkError, UnsupportedByApiError
from airflow_provider_salesblink.client.records import Everywhere

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.client.requestor import Requestor


class ProspectErasure:
    """The calls of :class:`Prospects` that forget one person."""

    kept_after_erasure = (
        "The prospect with all its columns: the classic API can unsubscribe people, and delete nobody.",
        "The mails to and from the person, in its inbox and in the mailboxes that sent and received them.",
        "What happened to these mails, and the totals.",
        "What is in campaigns that the key cannot see.",
    )
    """What SalesBlink still holds of a person after all calls, in sentences."""

    if TYPE_CHECKING:
        _requestor: Requestor

        def search(self, email: str) -> list[Prospect]: ...  # noqa: D102

        def in_campaign(self, campaign_id: str, email: str) -> list[Prospect]: ...  # noqa: D102

    def search_everywhere(self, email: str) -> Everywhere:
        """Find the prospects with an address: by search, and in the list of each campaign that the key can see.

        Nothing documents that the search finds everybody. Goes on if a campaign cannot be read for good.
        """
        email = validation.address("email", email)
        try:
            found = self.search(email)
        except NotFoundError:
            found = []
        known, unread = {each["id"] for each in found if each["id"]}, dict[str, SalesBlinkError]()
        for campaign in Campaigns(self._requestor).list():
            try:
                here = self.in_campaign(campaign["id"], email)
            except NotFoundError:
                # It was deleted meanwhile.
                continue
            except SalesBlinkError as error:
                if not error.permanent:
                    raise
                unread[campaign["id"]] = error
                continue
            found += [each for each in here if each["id"] not in known]
        return Everywhere(found, unread)

    def block(self, email: str) -> NoReturn:  # noqa: ARG002
        """Raise: the classic API has no blocklist.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError("SalesBlink's classic API has no blocklist, so it cannot block an address.")

    def remove(self, prospect: Prospect) -> NoReturn:  # noqa: ARG002
        """Raise: the classic API cannot remove anybody.

        :raises UnsupportedByApiError: always.
        """
        raise UnsupportedByApiError("SalesBlink's classic API cannot remove people from campaigns.")
