"""What version 0.1.0 stored in Airflow's database still works: deferred sensors, operators and loads, and watchers.

The class paths, arguments, events and asset states below were written by 0.1.0. Change none of them.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.client import ConnectionFailedError, RateLimitedError
from airflow_provider_salesblink.operators.campaigns import ListCampaignsOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from airflow_provider_salesblink.triggers import events
from tests.apis import BOTH
from tests.triggers.running import result_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

CAMPAIGN_TRIGGER = "airflow_provider_salesblink.triggers.campaigns.CampaignTrigger"
PROSPECT_TRIGGER = "airflow_provider_salesblink.triggers.prospects.ProspectTrigger"
EVENT_TRIGGER = "airflow_provider_salesblink.triggers.events.ProspectEventTrigger"

METHOD_NAME = "resume"
"""``method_name`` of every deferral in 0.1.0, of sensors and of operators."""

POLLING = {"salesblink_conn_id": "salesblink_default", "poll_interval": 60.0, "max_consecutive_failures": 10}

WHO = {"ana@example.com": "8a4370753cba7430f9ad42d7b07126bd", "jö@bücher.example": "84a33c05ba927c75c26112440201c223"}
"""Fingerprints of 0.1.0."""

ANA = {"Email": "ana@example.com", "First Name": "Ana", "Stage": "Won"}
STATE_OF_ANA = "nAkCssvY.0"
"""What 0.1.0 remembered about Ana, with these columns, in an asset's state."""


def restored(class_path: str, kwargs: dict[str, Any]) -> Any:
    """Return the trigger as the triggerer restores it from a database row."""
    return pkgutil.resolve_name(class_path)(**kwargs)


def resumed(sensor: Any, event: dict[str, Any]) -> Any:
    """Resume a deferred sensor with an event, as the scheduler does."""
    return sensor.resume_execution(METHOD_NAME, {"event": event}, {})


@pytest.mark.parametrize("by", ["campaign_id", "campaign_name"])
@pytest.mark.parametrize("state", ["paused", "running"])
def test_a_deferred_campaign_sensor_continues(
    by: str, state: str, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    if state == "paused":
        sandbox.happen("pause", to=campaign.id)
    which = {"campaign_id": None, "campaign_name": None, by: campaign.id if by == "campaign_id" else campaign.name}

    event = result_of(restored(CAMPAIGN_TRIGGER, {"state": state, **which, **POLLING}))

    sensor = CampaignSensor(task_id="t", state=state, deferrable=True, **which)  # type: ignore[arg-type]
    assert resumed(sensor, event) == {"outcome": state, "campaign_id": campaign.id}


@pytest.mark.parametrize("by", ["prospect_id", "ana@example.com", "jö@bücher.example"])
def test_a_deferred_prospect_sensor_continues(by: str, sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    address = "Ana@Example.com" if by == "prospect_id" else by
    person = sandbox.add_person(campaign.id, {"Email": address, "Stage": "Won", "Score": "7"})
    which = {"prospect_id": None, "who": WHO[by]} if by in WHO else {"prospect_id": person, "who": None}
    where = {"Stage": {"in": ["Won", "Lost"]}, "Score": {"gte": 5, "exists": True}}
    kwargs = {"campaign_id": campaign.id, **which, "where": where, "unsubscribed": False, **POLLING}

    event = result_of(restored(PROSPECT_TRIGGER, kwargs))

    sensor = ProspectSensor(task_id="t", campaign_id=campaign.id, prospect_id=person, deferrable=True)
    found = {"outcome": "found", "prospect_id": person, "campaign_id": campaign.id, "unsubscribed": False}
    assert resumed(sensor, event) == found


def test_a_deferred_prospect_sensor_without_conditions_continues(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    person = sandbox.add_person(campaign.id, ANA)
    kwargs = {"campaign_id": campaign.id, "prospect_id": person, "who": None, "where": None, "unsubscribed": None}

    event = result_of(restored(PROSPECT_TRIGGER, {**kwargs, **POLLING}))

    sensor = ProspectSensor(task_id="t", campaign_id=campaign.id, prospect_id=person, deferrable=True)
    assert resumed(sensor, event)["prospect_id"] == person


@pytest.mark.parametrize("class_path", [CAMPAIGN_TRIGGER, PROSPECT_TRIGGER])
def test_triggers_keep_the_arguments_that_0_1_0_stored(class_path: str) -> None:
    own: dict[str, Any] = {"state": "paused", "campaign_id": "c", "campaign_name": None}
    if class_path == PROSPECT_TRIGGER:
        own = {"campaign_id": "c", "prospect_id": "p", "who": None, "where": {"A": "x"}, "unsubscribed": None}
    kwargs = {**own, **POLLING}

    # A triggerer of 0.1.0 may run next to a newer one during the upgrade.
    assert restored(class_path, kwargs).serialize() == (class_path, kwargs)


@pytest.mark.parametrize(
    ("event", "ends_with"),
    [
        ({"status": "met", "found": {"outcome": "paused", "campaign_id": "c"}}, None),
        ({"status": "hopeless", "reason": "There is no such campaign."}, AirflowFailException),
        ({"status": "gave_up", "reason": "10 looks in a row failed."}, ConnectionFailedError),
    ],
    ids=["met", "hopeless", "gave_up"],
)
def test_an_event_that_a_triggerer_of_0_1_0_sent_is_understood(
    event: dict[str, Any], ends_with: type[Exception] | None
) -> None:
    sensor = CampaignSensor(task_id="t", campaign_id="c", deferrable=True)

    if ends_with is None:
        assert resumed(sensor, event) == event["found"]
    else:
        with pytest.raises(ends_with, match=event["reason"]):
            resumed(sensor, event)


@pytest.mark.apis("classic")  # 0.1.0 knew no other API, and a load's state is that of its people there.
def test_a_deferred_operator_runs_again_and_keeps_count_of_its_waits(
    polls: Polls, campaign: CampaignUnderTest, connection: Callable[..., None]
) -> None:
    # Airflow's own TimeDeltaTrigger has no payload for this; the operator ignores it.
    kwargs = {"waited": 3000.0, "event": None}
    listed = ListCampaignsOperator(task_id="t").resume_execution(METHOD_NAME, kwargs, {})
    assert [each["id"] for each in listed["campaigns"]] == [campaign.id]

    connection(extra={"max_attempts": 1})
    polls.fault("campaigns", "429", retry_after=1800, times=None)
    with pytest.raises(RateLimitedError):
        ListCampaignsOperator(task_id="t").resume_execution(METHOD_NAME, kwargs, {})


@pytest.mark.apis("classic")
def test_a_deferred_load_continues_and_counts_what_was_done_before(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    rows = [{"Email": f"p{number}@example.com"} for number in range(20)]
    for row in rows[:7]:
        sandbox.add_person(campaign.id, row)
    done = {"added": 7, "updated": 0, "unsubscribed": 0, "taken_by_others": 0, "held_back": 0, "seen_again": 0}
    ambiguous = {"lost": 1, "carried_out": 1, "not_carried_out": 0}
    kwargs = {"waited": 60.0, "done_before": {**done, "ambiguous": ambiguous}, "event": None}

    # On Airflow 3.3, 0.1.0 also kept its progress in the task's state, which nothing reads any more.
    context = {"task_state_store": object()}
    loaded = AddProspectsOperator(task_id="t", campaign_id=campaign.id, rows=rows).resume_execution(
        METHOD_NAME,
        kwargs,
        context,  # type: ignore[arg-type]
    )

    assert (loaded["rows"], loaded["added"], loaded["there"]) == (20, 20, 0)
    assert loaded["ambiguous"] == ambiguous
    assert sorted(person.email for person in sandbox.people()) == sorted(row["Email"] for row in rows)


class AssetState:
    """An asset's state as Airflow 3.3 keeps it: JSON by key."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.kept = {key: json.dumps(value) for key, value in values.items()}

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, campaign: CampaignUnderTest) -> Any:
    """Return a watcher that 0.1.0 stored, with what it remembered: Ana was in the campaign, with the same columns."""
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 0.0)
    ana = sandbox.add_person(campaign.id, ANA)
    trigger = restored(
        EVENT_TRIGGER,
        {
            "campaign_id": campaign.id,
            "events": ["unsubscribed", "changed", "appeared"],
            "salesblink_conn_id": "salesblink_default",
            "poll_interval": 0.05,
        },
    )
    prefix = f"salesblink:salesblink_default:{campaign.id}:appeared,changed,unsubscribed:"
    part = zlib.crc32(ana.encode()) % 128
    trigger.asset_state_store = AssetState({f"{prefix}begun": True, f"{prefix}{part}": {ana: STATE_OF_ANA}})
    return trigger


async def first_changes(stream: AsyncIterator[Any]) -> list[dict[str, str]]:
    async with asyncio.timeout(20), aclosing(stream) as payloads:  # type: ignore[type-var]
        changes: list[dict[str, str]] = (await anext(payloads)).payload["changes"]
        return changes


def streamed(trigger: Any) -> AsyncIterator[Any]:
    """Return the trigger's events as Airflow 3.3 gets them."""
    stream: AsyncIterator[Any] = trigger.filter_shared_stream(type(trigger).open_shared_stream(trigger.serialize()[1]))
    return stream


@pytest.mark.apis("classic")  # What 0.1.0 remembered, it saw on the classic API.
def test_a_watcher_reports_what_happened_while_no_triggerer_ran(
    watcher: Any, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})

    changes = asyncio.run(first_changes(streamed(watcher)))

    # Ana is as 0.1.0 remembered her: not reported.
    assert [(change["event"], change["prospect_id"]) for change in changes] == [("appeared", ben)]


@pytest.mark.apis("classic")
def test_a_watcher_reports_the_opt_out_of_a_remembered_person(
    watcher: Any, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    (ana,) = (person.id for person in sandbox.people(campaign.id))
    sandbox.happen("unsubscribe", to=ana)

    changes = asyncio.run(first_changes(streamed(watcher)))

    assert [(change["event"], change["prospect_id"]) for change in changes] == [("unsubscribed", ana)]
