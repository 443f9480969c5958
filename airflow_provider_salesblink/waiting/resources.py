"""What is looked at: one request, whose answer is for everybody who waits there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.identity import fingerprint, former_fingerprint
from airflow_provider_salesblink.waiting.changes import Snapshot
from airflow_provider_salesblink.waiting.conditions import Met

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.waiting.conditions import CampaignIs, ProspectIs, Verdict


# What is wished for is compared by identity: two who ask for the same are two.
@dataclass(frozen=True, eq=False)
class Somebody:
    """One person of a campaign is as wished.

    :param is_: how they shall be.
    :param prospect_id: who, by id.
    :param who: who, as :func:`addresses.fingerprint` of their address; where no id says it.
    """

    is_: ProspectIs
    prospect_id: str | None = None
    who: bytes | None = None


@dataclass(frozen=True, eq=False)
class Everybody:
    """A snapshot of all, each time."""


class Resource(Protocol):
    """Something that one request shows."""

    def look(self, client: SalesBlinkClient, conditions: Iterable[Any]) -> Iterator[tuple[Any, Verdict | Snapshot]]:
        """Ask once, and give each condition that is settled with what settled it.

        :raises SalesBlinkError: nothing could be seen.
        """


@dataclass(frozen=True)
class AllCampaigns:
    """The list of campaigns (``GET /campaigns``). Its conditions are :class:`CampaignIs`."""

    def look(self, client: SalesBlinkClient, conditions: Iterable[CampaignIs]) -> Iterator[tuple[CampaignIs, Verdict]]:
        """Ask once, and give each condition that is settled."""
        by_id, by_name = defaultdict(list), defaultdict(list)
        for campaign in client.campaigns.list():
            by_id[campaign["id"]].append(campaign)
            by_name[campaign["name"]].append(campaign)
        for condition in conditions:
            meant = by_name[condition.campaign_name] if condition.campaign_id is None else by_id[condition.campaign_id]
            if (verdict := condition.judge(meant)) is not None:
                yield condition, verdict

    def __str__(self) -> str:
        return "the list of campaigns"


@dataclass(frozen=True)
class PeopleOf:
    """Everybody in a campaign (``GET /prospects/<id>``). Its conditions are :class:`Somebody` and :class:`Everybody`.

    However many people there are: they go by one after the other, and none is kept but in snapshots.
    """

    campaign_id: str

    def look(
        self, client: SalesBlinkClient, conditions: Iterable[Somebody | Everybody]
    ) -> Iterator[tuple[Somebody | Everybody, Verdict | Snapshot]]:
        """Ask once, and give each condition that is settled."""
        sought = _Sought(conditions)
        snapshot = Snapshot()
        for prospect in client.prospects.each(self.campaign_id):
            if sought.snapshots:
                snapshot.add(prospect)
            sought.meet(prospect)
        yield from sought.settled.items()
        for condition in sought.snapshots:
            yield condition, snapshot

    def __str__(self) -> str:
        return f"the people of campaign {self.campaign_id}"


class _Sought:
    """Those who are waited for, to be found by what a person shows of themselves."""

    def __init__(self, conditions: Iterable[Somebody | Everybody]) -> None:
        self.settled: dict[Somebody | Everybody, Verdict] = {}
        self.snapshots: list[Everybody] = []
        self._by_id: defaultdict[str, list[Somebody]] = defaultdict(list)
        self._by_address: defaultdict[bytes, list[Somebody]] = defaultdict(list)
        for condition in conditions:
            if isinstance(condition, Everybody):
                self.snapshots.append(condition)
            elif condition.prospect_id is not None:
                self._by_id[condition.prospect_id].append(condition)
            elif condition.who is not None:
                self._by_address[condition.who].append(condition)

    def meet(self, prospect: Prospect) -> None:
        """See what a person means for those who wait for them."""
        waiting = self._by_id.get(prospect["id"], []) if prospect["id"] is not None else []
        if self._by_address and prospect["email"] is not None:
            waiting = waiting + self._with_address(prospect["email"])
        for condition in waiting:
            # Somebody may be in a campaign more than once; one of them is enough.
            if not isinstance(self.settled.get(condition), Met):
                verdict = condition.is_.judge(prospect)
                if verdict is not None:
                    self.settled[condition] = verdict

    def _with_address(self, address: str) -> list[Somebody]:
        waiting = self._by_address.get(fingerprint(address), [])
        if not address.isascii():
            # Tasks that were deferred before an upgrade wait for what a fingerprint was then.
            waiting = waiting + self._by_address.get(former_fingerprint(address), [])
        return waiting
