"""Where people go: the campaign of one of SalesBlink's APIs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.client.records import Prospect
    from airflow_provider_salesblink.loading.reserved_columns import ReservedColumns


class Destination(Protocol):
    """A place where people go: the campaign of one of SalesBlink's APIs."""

    place: ClassVar[str]
    """What it is, in one word."""

    @property
    def batch_size(self) -> int:
        """Return the most people that one call of :meth:`add` sends. If more than one, :meth:`each_opt_out` works."""

    @property
    def settling_time(self) -> float:
        """Return the seconds after the answer in which people who were only accepted may still be added.

        0 where an answer means that the person was added.
        """

    def people(self, *, with_columns: bool) -> Iterable[Prospect]:
        """Return everybody who is there.

        :param with_columns: whether the caller needs their columns; without them it may take fewer requests, and miss
            somebody.
        """

    def people_elsewhere(self) -> Iterable[Prospect]:
        """Return people who are not there, and would get the same mails a second time if they were added."""

    def each_opt_out(self) -> Iterable[str]:
        """Return the addresses and domains that opted out in the account. Only where one call adds many people."""

    def opted_out_elsewhere(self, address: str) -> bool | None:
        """Return whether a person opted out in any campaign of the account; None if SalesBlink does not show it."""

    def check_adds(self) -> str | None:
        """Check that people may be added at all.

        :return: the id of the list that they are added to; None where there are no lists.
        :raises InvalidInputError: when they may not.
        """

    def add(self, people: Sequence[dict[str, str]]) -> Sequence[str | None]:
        """Send people once, in one call.

        :param people: the columns of each.
        :return: the id of each; None where the answer does not show it.
        :raises AmbiguousWriteError: when it is not known whether they were added. An API that only accepts people and
            adds them later always raises this.
        """

    def update(self, prospect_id: str, fields: dict[str, str], who: bytes) -> None:
        """Set fields of the person ``who``.

        :raises InvalidInputError: when the id may be another person's.
        """

    def unsubscribe(self, prospect_id: str, who: bytes) -> None:
        """Stop all outreach to the person ``who``.

        :raises InvalidInputError: when the id may be another person's.
        """


class _ListArguments(TypedDict):
    list_id: str | None
    allow_other_campaigns: bool


@dataclass(frozen=True)
class ListChoice:
    """The list of a campaign that people are added to. The classic API has no lists.

    :param list_id: its id; None for the only list of the campaign.
    :param allow_other_campaigns: whether another running campaign may use the list. It would mail the people too.
    """

    list_id: str | None = None
    allow_other_campaigns: bool = False

    def as_arguments(self) -> _ListArguments:
        """Return the choice as arguments of the client's calls."""
        return {"list_id": self.list_id, "allow_other_campaigns": self.allow_other_campaigns}


ANY_LIST = ListChoice()


@dataclass(frozen=True)
class ListAlone:
    """Says that people are loaded into a list, and not into a campaign. API v1 only.

    :param allow_running: whether a running campaign may use the list. Adding people then starts its mails.
    """

    allow_running: bool = False


@dataclass(frozen=True)
class _ClientDestination:
    """What a campaign and a list have in common.

    :param target_id: the id of the campaign or the list.
    """

    client: SalesBlinkClient
    target_id: str
    conflicts: ReservedColumns

    @property
    def batch_size(self) -> int:
        """Return the most people that one call adds."""
        return self.client.prospects.batch_size

    @property
    def settling_time(self) -> float:
        """Return the seconds after the answer in which people who were only accepted may still be added."""
        return self.client.prospects.import_time

    def each_opt_out(self) -> Iterable[str]:
        """Return the addresses and domains that opted out in the account."""
        return self.client.prospects.each_opt_out()

    def opted_out_elsewhere(self, address: str) -> bool | None:
        """Return whether a person opted out in any campaign of the account; None if SalesBlink does not show it."""
        return self.client.prospects.opted_out_elsewhere(self.target_id, address)

    def update(self, prospect_id: str, fields: dict[str, str], who: bytes) -> None:
        """Set fields of the person ``who``."""
        self._confirm(prospect_id, who)
        self.client.prospects.update(prospect_id, fields)

    def unsubscribe(self, prospect_id: str, who: bytes) -> None:
        """Stop all outreach to the person ``who``."""
        self._confirm(prospect_id, who)
        self.client.prospects.unsubscribe(prospect_id)

    def _confirm(self, prospect_id: str, who: bytes) -> None:
        if self.conflicts.has_unclear_ids:
            self.client.prospects.checks.confirm(prospect_id, who)


@dataclass(frozen=True)
class ClientCampaign(_ClientDestination):
    """A campaign that a client reaches, as a :class:`Destination`."""

    list_choice: ListChoice = ANY_LIST
    place: ClassVar[str] = "campaign"

    def people(self, *, with_columns: bool) -> Iterable[Prospect]:
        """Return everybody in the campaign."""
        return self.client.prospects.each(self.target_id, self.list_choice.list_id, with_columns=with_columns)

    def people_elsewhere(self) -> Iterable[Prospect]:
        """Return everybody in the other campaigns that use the list that people are added to."""
        return self.client.prospects.in_other_campaigns(self.target_id, **self.list_choice.as_arguments())

    def check_adds(self) -> str | None:
        """Check that the campaign has a list that people may be added to, and return its id.

        From then on people are added to no other list, even if the campaign gets another one meanwhile.
        """
        list_id = self.client.prospects.check_list(self.target_id, **self.list_choice.as_arguments())
        object.__setattr__(self, "list_choice", replace(self.list_choice, list_id=list_id))
        return list_id

    def add(self, people: Sequence[dict[str, str]]) -> Sequence[str | None]:
        """Send people once, in one call, and return their ids.

        :raises AmbiguousWriteError: when it is not known whether that worked.
        """
        return self.client.prospects.send(self.target_id, people, **self.list_choice.as_arguments())


@dataclass(frozen=True)
class ClientList(_ClientDestination):
    """A list that a client reaches, as a :class:`Destination`. API v1 only."""

    choice: ListAlone = ListAlone()
    place: ClassVar[str] = "list"

    def people(self, *, with_columns: bool) -> Iterable[Prospect]:  # noqa: ARG002
        """Return everybody on the list."""
        return self.client.prospects.on_list(self.target_id)

    def people_elsewhere(self) -> Iterable[Prospect]:
        """Return everybody in the campaigns that use the list: on their other lists, or mailed and then taken off."""
        return self.client.prospects.in_campaigns_of(self.target_id)

    def check_adds(self) -> str | None:
        """Check that adding people to the list starts no mails, unless that is allowed."""
        self.client.prospects.check_list_alone(self.target_id, allow_running=self.choice.allow_running)
        return self.target_id

    def add(self, people: Sequence[dict[str, str]]) -> Sequence[str | None]:
        """Send people once, in one call.

        :raises AmbiguousWriteError: always, except in a dry run: SalesBlink only accepts people.
        """
        return self.client.prospects.send_to_list(self.target_id, people, allow_running=self.choice.allow_running)


def destination_of(
    client: SalesBlinkClient, target_id: str, conflicts: ReservedColumns, choice: ListChoice | ListAlone
) -> Destination:
    """Return where people go: the campaign with an id, or the list with it.

    :param choice: the list of the campaign, or that it is the list alone.
    """
    if isinstance(choice, ListAlone):
        return ClientList(client, target_id, conflicts, choice)
    return ClientCampaign(client, target_id, conflicts, choice)
