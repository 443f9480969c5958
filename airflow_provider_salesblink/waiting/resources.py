"""Resources to poll. One poll decides the conditions of all tasks that wait for the resource."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_salesblink.client.identity import fingerprint, former_fingerprint
from airflow_provider_salesblink.waiting.changes import Snapshot
from airflow_provider_salesblink.waiting.conditions import Met

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.client import Campaign, Prospect, SalesBlinkClient
    from airflow_provider_salesblink.waiting.campaign_health import Health
    from airflow_provider_salesblink.waiting.conditions import CampaignIs, ProspectIs, Verdict
    from airflow_provider_salesblink.waiting.feed_cursor import FoundEvents


# Compared by identity: two tasks with the same condition are two conditions.
@dataclass(frozen=True, eq=False)
class PersonCondition:
    """The condition that one person of a campaign matches.

    :param expected: what must match.
    :param prospect_id: the person's id.
    :param who: without an id, the :func:`identity.fingerprint` of the person's address.
    """

    expected: ProspectIs
    prospect_id: str | None = None
    who: bytes | None = None


@dataclass(frozen=True, eq=False)
class EveryPerson:
    """The request for a snapshot of the whole campaign from each poll."""


class Resource(Protocol):
    """What one poll of SalesBlink shows."""

    def look(
        self, client: SalesBlinkClient, conditions: Iterable[Any]
    ) -> Iterator[tuple[Any, Verdict | Snapshot | FoundEvents | Health]]:
        """Poll once, and yield each condition that this decides with the verdict, or with what a watcher asked for.

        :raises SalesBlinkError: the request failed.
        """


@dataclass(frozen=True)
class AllCampaigns:
    """The list of campaigns, which shows whether each is paused (classic: ``GET /campaigns``, v1: ``GET /sequences``).

    Its conditions are :class:`CampaignIs` with the states ``paused`` and ``running``.
    """

    def look(self, client: SalesBlinkClient, conditions: Iterable[CampaignIs]) -> Iterator[tuple[CampaignIs, Verdict]]:
        """Read the list, and yield each condition that it decides."""
        campaigns = _Campaigns(client.campaigns.list())
        for condition in conditions:
            if (verdict := condition.judge(campaigns.meant_by(condition))) is not None:
                yield condition, verdict

    def __str__(self) -> str:
        return "the list of campaigns"


@dataclass(frozen=True)
class CampaignsInState:
    """The campaigns in a state that the list of campaigns does not show (v1: ``GET /sequences?status=``).

    A poll also reads the list of all campaigns: a mistyped id or name must not wait until the timeout. Its conditions
    are :class:`CampaignIs` with this state.
    """

    state: CampaignState

    def look(self, client: SalesBlinkClient, conditions: Iterable[CampaignIs]) -> Iterator[tuple[CampaignIs, Verdict]]:
        """Read both lists, and yield each condition that they decide.

        :raises UnsupportedByApiError: the API does not have the state.
        """
        conditions = list(conditions)
        in_state, listed = client.campaigns.in_state(self.state), client.campaigns.list()
        campaigns = _Campaigns([*in_state, *listed])
        if not all(map(campaigns.meant_by, conditions)):
            # Archived between the two reads, a campaign is on neither list.
            in_state = client.campaigns.in_state(self.state)
            campaigns = _Campaigns([*in_state, *listed])
        ids = {each["id"] for each in in_state}
        for condition in conditions:
            if (verdict := condition.judge_by_ids(campaigns.meant_by(condition), ids)) is not None:
                yield condition, verdict

    def __str__(self) -> str:
        return f"the campaigns that are {self.state}"


class _Campaigns:
    """The campaigns of one poll, indexed by id and by name."""

    def __init__(self, campaigns: Iterable[Campaign]) -> None:
        self._by_id: defaultdict[str, list[Campaign]] = defaultdict(list)
        self._by_name: defaultdict[str | None, list[Campaign]] = defaultdict(list)
        for campaign in campaigns:
            self._by_id[campaign["id"]].append(campaign)
            self._by_name[campaign["name"]].append(campaign)

    def meant_by(self, condition: CampaignIs) -> list[Campaign]:
        """Return the campaigns with the id or name of a condition."""
        if condition.campaign_id is None:
            return self._by_name[condition.campaign_name]
        return self._by_id[condition.campaign_id]


@dataclass(frozen=True)
class CampaignPeople:
    """The people of a campaign (classic: ``GET /prospects/<id>``; v1: the leads of the sequence and of its lists).

    Its conditions are :class:`PersonCondition` and :class:`EveryPerson`. People are read one at a time; only snapshots
    keep anything in memory.
    """

    campaign_id: str

    def look(
        self, client: SalesBlinkClient, conditions: Iterable[PersonCondition | EveryPerson]
    ) -> Iterator[tuple[PersonCondition | EveryPerson, Verdict | Snapshot]]:
        """Read the people, and yield each condition that this decides."""
        sought = _Sought(conditions)
        snapshot = Snapshot()
        for prospect in client.prospects.each(self.campaign_id):
            if sought.snapshots:
                snapshot.add(prospect)
            sought.meet(prospect)
        yield from sought.decided.items()
        for condition in sought.snapshots:
            yield condition, snapshot

    def __str__(self) -> str:
        return f"the people of campaign {self.campaign_id}"


class _Sought:
    """The conditions of one poll, indexed by id and by fingerprint of the address."""

    def __init__(self, conditions: Iterable[PersonCondition | EveryPerson]) -> None:
        self.decided: dict[PersonCondition | EveryPerson, Verdict] = {}
        self.snapshots: list[EveryPerson] = []
        self._by_id: defaultdict[str, list[PersonCondition]] = defaultdict(list)
        self._by_address: defaultdict[bytes, list[PersonCondition]] = defaultdict(list)
        for condition in conditions:
            if isinstance(condition, EveryPerson):
                self.snapshots.append(condition)
            elif condition.prospect_id is not None:
                self._by_id[condition.prospect_id].append(condition)
            elif condition.who is not None:
                self._by_address[condition.who].append(condition)

    def meet(self, prospect: Prospect) -> None:
        """Judge the conditions that are about this person."""
        waiting = self._by_id.get(prospect["id"], []) if prospect["id"] is not None else []
        if self._by_address and prospect["email"] is not None:
            waiting = waiting + self._with_address(prospect["email"])
        for condition in waiting:
            # A person may be in a campaign more than once; one match is enough.
            if not isinstance(self.decided.get(condition), Met):
                verdict = condition.expected.judge(prospect)
                if verdict is not None:
                    self.decided[condition] = verdict

    def _with_address(self, address: str) -> list[PersonCondition]:
        waiting = self._by_address.get(fingerprint(address), [])
        if not address.isascii():
            # Tasks that were deferred by version 0.1.0 hold its fingerprints.
            waiting = waiting + self._by_address.get(former_fingerprint(address), [])
        return waiting
