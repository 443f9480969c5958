"""One poll reads each list once, whatever the tasks wait for."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import NotFoundError, SalesBlinkClient, UnsupportedByApiError, http_transport
from airflow_provider_salesblink.client.identity import fingerprint, former_fingerprint
from airflow_provider_salesblink.waiting.changes import Snapshot
from airflow_provider_salesblink.waiting.conditions import CampaignIs, Hopeless, Met, ProspectIs
from airflow_provider_salesblink.waiting.resources import (
    AllCampaigns,
    CampaignPeople,
    CampaignsInState,
    EveryPerson,
    PersonCondition,
)
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.client import Prospect
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

HUNDREDS = 300


def by_address(address: str, *condition: Any) -> PersonCondition:
    return PersonCondition(ProspectIs(*condition), who=fingerprint(address))


def by_id(prospect_id: str, *condition: Any) -> PersonCondition:
    return PersonCondition(ProspectIs(*condition), prospect_id)


class TellingClient:
    """A client whose campaign holds what no sandbox holds."""

    def __init__(self, people: Iterable[Prospect]) -> None:
        self.prospects = self
        self._people = people

    def each(self, campaign_id: str) -> Iterable[Prospect]:  # noqa: ARG002
        return self._people


def person(id_: str | None, email: str | None, *, unsubscribed: bool | None = False, **fields: Any) -> Prospect:
    given = {"campaign_id": "c1", "unsubscribed": unsubscribed, "fields": fields, "raw": {}}
    return {"id": id_, "email": email, **given}  # type: ignore[typeddict-item]


def seen(people: Iterable[Prospect], *conditions: Any) -> dict[Any, Any]:
    return dict(CampaignPeople("c1").look(TellingClient(people), conditions))  # type: ignore[arg-type]


def test_hundreds_of_campaigns_are_one_poll(api: Api, polls: Polls, sandbox: Sandbox, client: SalesBlinkClient) -> None:
    ids = [sandbox.add_campaign(f"No. {number}", paused=number % 2 == 0) for number in range(HUNDREDS)]
    conditions = [CampaignIs("paused", id_) for id_ in ids]
    conditions += [CampaignIs("paused", campaign_name=f"No. {number}") for number in range(HUNDREDS)]

    decided = dict(AllCampaigns().look(client, conditions))

    pages = 4 if api.is_v1 else 1
    assert [request.path for request in sandbox.requests] == [polls.of_campaigns] * pages
    assert list(decided) == [condition for number, condition in enumerate(conditions) if number % 2 == 0]
    assert [decided[condition].found["campaign_id"] for condition in conditions[:HUNDREDS:2]] == ids[::2]
    assert [decided[condition].found["campaign_id"] for condition in conditions[HUNDREDS::2]] == ids[::2]


def test_what_no_campaign_is_called_is_hopeless(client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    conditions = [
        CampaignIs("paused", "c0"),
        CampaignIs("paused", campaign_name="spring"),
        CampaignIs("running", campaign.id),
    ]

    decided = dict(AllCampaigns().look(client, conditions))

    assert [type(decided[condition]) for condition in conditions] == [Hopeless, Hopeless, Met]


@pytest.mark.apis("v1")
def test_a_poll_of_people_reads_the_pages_of_the_sequence_and_of_its_lists(
    sandbox: Sandbox, client: SalesBlinkClient
) -> None:
    long, short, other = (sandbox.add_list(name) for name in ("Long", "Short", "Other"))
    campaign_id = sandbox.add_campaign("Spring", lists=[long, short])
    for number in range(150):
        sandbox.add_lead(long, {"email": f"p{number}@example.com"})
    archived = sandbox.add_lead(short, {"email": "archived@example.com"}, archived=True)
    sandbox.add_lead(other, {"email": "other@example.com"})
    everybody = EveryPerson()

    decided = dict(CampaignPeople(campaign_id).look(client, [everybody, by_id(archived)]))

    assert len(decided[everybody].states) == 151
    assert len(decided) == 2
    read = Counter(request.path.removeprefix("/api/public/v1.0.0") for request in sandbox.requests)
    assert read == {
        f"/sequences/{campaign_id}/leads": 1,
        f"/sequences/{campaign_id}": 1,
        f"/lists/{long}/leads": 2 + 1,
        f"/lists/{short}/leads": 1 + 1,
    }


@pytest.mark.apis("v1")
def test_a_state_of_v1_costs_two_lists(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    done, going = (sandbox.add_campaign(name) for name in ("Done", "Going"))
    sandbox.set_condition(done, "completed")
    conditions = [
        CampaignIs("completed", done),
        CampaignIs("completed", campaign_name="Done"),
        CampaignIs("completed", going),
    ]

    decided = dict(CampaignsInState("completed").look(client, conditions))

    assert list(decided) == conditions[:2]
    assert [decided[each].found["campaign_id"] for each in conditions[:2]] == [done] * 2
    assert [request.query for request in sandbox.requests] == [
        "status=completed&limit=100&skip=0", "limit=100&skip=0"
    ]  # fmt: skip


@pytest.mark.apis("v1")
@pytest.mark.parametrize("by", ["campaign_id", "campaign_name"])
def test_a_campaign_that_is_archived_while_the_lists_are_read_is_found(
    by: str, polls: Polls, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    condition = CampaignIs("archived", **{by: campaign.id if by == "campaign_id" else campaign.name})
    # The second request waits until the campaign is archived.
    polls.fault("campaigns", "slow", seconds=0)
    polls.fault("campaigns", "slow", seconds=1)

    def archive() -> None:
        while len(polls.looks) < 2:
            threading.Event().wait(0.002)
        client.sequences.archive(campaign.id)

    thread = threading.Thread(target=archive)
    thread.start()
    decided = dict(CampaignsInState("archived").look(client, [condition]))
    thread.join()

    assert isinstance(decided[condition], Met)


@pytest.mark.apis("classic")
def test_a_state_of_v1_is_an_error_before_anything_is_sent(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    with pytest.raises(UnsupportedByApiError, match="'archived' exists on SalesBlink's API v1 only"):
        list(CampaignsInState("archived").look(client, [CampaignIs("archived", "c0")]))

    assert not sandbox.requests


@pytest.mark.parametrize("address", ["ana@bücher.example", "josé@example.com", "ana@example.com"])
def test_who_was_waited_for_before_an_upgrade_is_still_found(address: str) -> None:
    condition = PersonCondition(ProspectIs(), who=former_fingerprint(address.upper()))
    now = by_address(address.upper())

    assert set(seen([person("p1", address)], condition, now)) == {condition, now}


def test_hundreds_of_people_are_one_poll(
    api: Api, polls: Polls, sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    ids = [sandbox.add_person(campaign.id, {"Email": f"P{number}@Example.com"}) for number in range(HUNDREDS)]
    for id_ in ids[::3]:
        sandbox.happen("unsubscribe", to=id_)
    conditions = [by_id(id_, {}, True) for id_ in ids]
    conditions += [by_address(f" p{number}@EXAMPLE.COM\t", {}, True) for number in range(HUNDREDS)]
    everybody = EveryPerson()

    decided = dict(CampaignPeople(campaign.id).look(client, [*conditions, everybody]))

    assert [request.path for request in polls.looks] == [polls.of_people(campaign.id)]
    pages = 1 + 1 + 4 + 1 if api.is_v1 else 1  # the sequence's leads, the sequence, its list's leads, archived ones
    assert len(sandbox.requests) == pages
    assert isinstance(decided[everybody], Snapshot)
    assert list(decided[everybody].states) == ids
    met = {condition: decided[condition].found["prospect_id"] for condition in conditions if condition in decided}
    assert met == dict(list(zip(conditions, ids * 2, strict=True))[::3])


def test_who_is_not_there_is_waited_for(client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    assert dict(CampaignPeople(campaign.id).look(client, [by_id("p0"), by_address("ana@example.com")])) == {}


def test_a_campaign_that_is_not_there_is_an_error(polls: Polls, client: SalesBlinkClient) -> None:
    with pytest.raises(NotFoundError):
        list(CampaignPeople("c0").look(client, [by_id("p0")]))

    assert len(polls.looks) == 1


def test_two_who_wish_the_same_are_two() -> None:
    conditions = [by_id("p1"), by_id("p1"), by_address("ana@example.com"), by_address("ana@example.com")]

    assert seen([person("p1", "ana@example.com")], *conditions).keys() == set(conditions)


@pytest.mark.parametrize("order", [1, -1])
def test_somebody_twice_in_a_campaign_is_met_once(order: int) -> None:
    condition = by_address("ana@example.com", {"Stage": "Won"}, False)
    people = [
        person("p1", "ana@example.com", Stage="Won", unsubscribed=None), person("p2", "Ana@example.com ", Stage="Won"),
        person("p3", "ana@example.com", Stage="Lost"),
    ]  # fmt: skip

    decided = seen(people[::order], condition)

    assert isinstance(decided[condition], Met)
    assert decided[condition].found["prospect_id"] == "p2"


def test_who_has_no_id_or_no_address_is_nobody_else() -> None:
    people = [person(None, None), person(None, "ana@example.com"), person("p1", None), person("p2", "")]
    nameless, blank, ana, first = by_id(""), by_address(""), by_address("ana@example.com"), by_id("p1")
    everybody = EveryPerson()

    decided = seen(people, nameless, ana, first, everybody, blank)

    assert nameless not in decided
    assert decided[ana].found["prospect_id"] is None
    assert decided[first].found["prospect_id"] == "p1"
    assert decided[everybody].states.keys() == {"p1", "p2"}


def test_a_wish_for_nobody_in_particular_is_never_met() -> None:
    assert seen([person("p1", "ana@example.com")], PersonCondition(ProspectIs())) == {}


def peak_memory(people: int, *conditions: Any) -> int:
    crowd = (person(f"{number:024x}", f"p{number}@example.com", Notes="x" * 100) for number in range(people))
    gc.collect()
    tracemalloc.start()
    try:
        seen(crowd, *conditions)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_people_go_by_and_are_not_kept() -> None:
    few, many = (peak_memory(people, by_id("p1"), by_address("x@example.com")) for people in (100, 15_000))

    assert many < few + 1_000_000
    assert peak_memory(15_000, EveryPerson()) > few + 1_500_000, "a snapshot is kept, so the measure can see it"


@pytest.mark.apis("classic")  # The answers of v1 are short pages.
def test_a_long_list_is_read_from_a_file(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_transport, "LONGEST_IN_MEMORY", 10)
    ids = [sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"}) for number in range(50)]
    conditions = [by_id(id_) for id_ in ids]

    assert dict(CampaignPeople(campaign.id).look(client, conditions)).keys() == set(conditions)


@pytest.mark.parametrize("resource", [AllCampaigns, lambda: CampaignPeople("c1"), lambda: CampaignsInState("archived")])
def test_the_same_resource_is_equal_however_often_it_is_made(resource: Any) -> None:
    assert resource() == resource()
    assert len({resource(), resource(), CampaignPeople("c2"), CampaignsInState("completed")}) == 3
