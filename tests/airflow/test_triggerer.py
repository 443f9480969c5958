"""A real triggerer that is killed and started again loses no wait and no event."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo.real_airflow import AIRFLOW_3, RealAirflow
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_server import Postgres

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]

WAITED_FOR, WATCHED = "autumn-2026", "spring-2027"
INTERVAL = 5
WAITS = f"""
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor

often = {{"deferrable": True, "poke_interval": 1}}
with DAG("waits", schedule=None, start_date=datetime(2026, 1, 1), default_args=often):
    CampaignSensor(task_id="paused", campaign_id="{WAITED_FOR}")
    ProspectSensor(
        task_id="replied", campaign_id="{WAITED_FOR}", email="ana@example.com", where={{"Replied": {{"exists": True}}}})
"""
EVERYTHING = f"""
from datetime import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetWatcher
from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger

everything = campaign_asset("everything", "{WATCHED}")
everything.watchers = [
    AssetWatcher(name="everything", trigger=ProspectEventTrigger(campaign_id="{WATCHED}", poll_interval={INTERVAL}))
]
with DAG("everything", schedule=[everything], start_date=datetime(2026, 1, 1)):
    EmptyOperator(task_id="nothing")
"""
MOVES = f"""
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor

with DAG("moves", schedule=None, start_date=datetime(2026, 1, 1)):
    CampaignSensor(
        task_id="paused", campaign_id="{WAITED_FOR}", salesblink_conn_id="movable", deferrable=True, poke_interval=1)
"""
WATCHES = f"""
from datetime import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetWatcher
from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger

moving = campaign_asset("moving", "{WAITED_FOR}")
moving.watchers = [
    AssetWatcher(
        name="moving",
        trigger=ProspectEventTrigger(
            campaign_id="{WAITED_FOR}", salesblink_conn_id="movable", events={{"unsubscribed"}},
            poll_interval={INTERVAL}),
    )
]
with DAG("watches_moving", schedule=[moving], start_date=datetime(2026, 1, 1)):
    EmptyOperator(task_id="nothing")
"""
FEEDS = f"""
from datetime import datetime
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetWatcher
from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger

def watched(name, *events):
    asset = campaign_asset(name, "{WATCHED}")
    asset.watchers = [
        AssetWatcher(
            name=name,
            trigger=ProspectEventTrigger(
                campaign_id="{WATCHED}", salesblink_conn_id="on_v1", events=events, poll_interval={INTERVAL}),
        )
    ]
    return asset

for name, events in {{"feeds": ("replied", "bounced", "appeared"), "replies": ("replied",)}}.items():
    with DAG(name, schedule=[watched(name, *events)], start_date=datetime(2026, 1, 1)):
        EmptyOperator(task_id="nothing")
"""
EXAMPLE = "unsubscribes_to_warehouse"
WARE_OF = {
    "unsubscribed": f"salesblink://acme/campaign/{WATCHED}",
    "any": f"salesblink://everything/campaign/{WATCHED}",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        for campaign_id, name in [(WAITED_FOR, "ana"), (WATCHED, "ben"), (WATCHED, "eve"), (WATCHED, "zoe")]:
            if campaign_id not in {campaign.id for campaign in sandbox.campaigns()}:
                sandbox.add_campaign(campaign_id, id=campaign_id)
            sandbox.add_person(campaign_id, {"Email": f"{name}@example.com"})
        yield sandbox


@pytest.fixture(scope="module")
def homes() -> Iterator[tuple[Sandbox, Sandbox]]:
    """Start two sandboxes: the connection points to the first one, and later to the second."""
    with Sandbox() as old, Sandbox() as new:
        for each in (old, new):
            each.add_campaign("Autumn", id=WAITED_FOR)
            each.add_person(WAITED_FOR, {"Email": "ana@example.com"})
        yield old, new


@pytest.fixture(scope="module")
def on_v1() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.add_campaign("Spring", id=WATCHED)
        yield sandbox


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warehouse") / "warehouse.sqlite"


@pytest.fixture(scope="module")
def airflow(
    sandbox: Sandbox, warehouse: Path, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealAirflow]:
    airflow = RealAirflow(
        tmp_path_factory.mktemp("airflow"),
        {"AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection_to(sandbox))},
        postgres.new_database(),
    )
    (airflow.dags / "waits.py").write_text(WAITS)
    (airflow.dags / "moves.py").write_text(MOVES)
    if AIRFLOW_3:
        (airflow.dags / "everything.py").write_text(EVERYTHING)
        (airflow.dags / f"{EXAMPLE}.py").write_text(_example(warehouse))
    with airflow:
        yield airflow


def connection_to(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key,
        "extra": {"reads_per_minute": 0, "writes_per_minute": 0},
    }  # fmt: skip


def _example(warehouse: Path) -> str:
    """Write the example DAG with another warehouse and shorter intervals."""
    text = (ROOT / "dags_examples" / f"{EXAMPLE}.py").read_text()
    for old, new in {
        'events=["unsubscribed"])': f'events=["unsubscribed"], poll_interval={INTERVAL})',
        'f"{HERE.parent}/.demo/warehouse.sqlite"': repr(str(warehouse)),
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_wait_notices_what_happened_while_no_triggerer_ran(airflow: RealAirflow, sandbox: Sandbox) -> None:
    (ana,) = (person.id for person in sandbox.people(WAITED_FOR))
    run = airflow.trigger("waits")
    both = {f"/api/prospects/{WAITED_FOR}", "/api/campaigns"}
    airflow.wait_until("both tasks wait", lambda: both <= {request.path for request in sandbox.requests})
    assert set(airflow.tasks("waits", run).values()) == {("deferred", 1)}

    airflow.kill("triggerer")
    assert_silence(sandbox)
    sandbox.happen("reply", to=ana)
    sandbox.happen("pause", to=WAITED_FOR)
    airflow.start("triggerer")

    airflow.wait_until("the run ends", lambda: airflow.run_state("waits", run) in {"success", "failed"})
    assert airflow.tasks("waits", run) == {"paused": ("success", 1), "replied": ("success", 1)}
    assert airflow.xcom("waits", run, "paused") == {"outcome": "paused", "campaign_id": WAITED_FOR}
    assert airflow.xcom("waits", run, "replied")["prospect_id"] == ana
    assert_logs_are_clean(airflow, sandbox)


@pytest.mark.generation(3)  # Airflow 2 has no asset watchers
def test_each_change_is_reported_whenever_the_triggerer_is_killed(
    airflow: RealAirflow, sandbox: Sandbox, warehouse: Path
) -> None:
    began = time.monotonic()
    ben, eve, _ = (person.id for person in sandbox.people(WATCHED))
    airflow.wait_until("both watch", lambda: watches_begun(airflow, "salesblink_default") == len(WARE_OF))
    kills = []

    def happens(happening: str, to: str) -> tuple[str, str]:
        events = {"appear": "appeared", "reply": "changed", "unsubscribe": "unsubscribed"}
        happened = sandbox.happen(happening, to=to)
        assert happened is not None
        return events[happening], happened.id

    def all_reported(expected: list[tuple[str, str]]) -> bool:
        return counted(airflow, "any") >= Counter(expected)

    # While the triggerer runs.
    expected = [happens("appear", WATCHED), happens("unsubscribe", ben), happens("reply", eve)]
    hugo = expected[0][1]
    airflow.wait_until("the first changes are reported", lambda: all_reported(expected))
    # The triggerer has not stored what it reported, so it will report it again.
    kills.append(kill(airflow))
    assert_silence(sandbox)
    # While the triggerer is dead.
    expected += [happens("appear", WATCHED), happens("unsubscribe", hugo), happens("reply", eve)]
    airflow.start("triggerer")
    airflow.wait_until("what happened meanwhile is reported", lambda: all_reported(expected))
    # The triggerer is killed after it has seen a change, and Airflow may or may not know of the change.
    expected += [happens("appear", WATCHED)]
    kira = expected[-1][1]
    looks = len(looks_at(sandbox))
    airflow.wait_until("it looks", lambda: len(looks_at(sandbox)) > looks and looks_at(sandbox)[-1].status == 200)
    kills.append(kill(airflow))
    expected += [happens("unsubscribe", kira)]
    airflow.start("triggerer")
    airflow.wait_until("everything is reported", lambda: all_reported(expected))
    airflow.wait_until("two more looks", lambda: len(looks_at(sandbox)) > looks + 4)

    opt_outs = Counter(each for each in expected if each[0] == "unsubscribed")
    airflow.wait_until("the other asset's changes are reported", lambda: counted(airflow, "unsubscribed") >= opt_outs)
    assert counted(airflow, "any") == Counter(expected)
    assert counted(airflow, "unsubscribed") == opt_outs
    assert len(changes(airflow, "any")) > len(expected), "the kill came too late to make it repeat itself"
    airflow.wait_until("the example has stored all", lambda: len(opted_out(warehouse)) == len(opt_outs))
    assert opted_out(warehouse) == {(WATCHED, prospect_id) for _, prospect_id in opt_outs}
    assert_one_look_an_interval([look.at for look in looks_at(sandbox) if look.at > began], kills)
    assert_logs_are_clean(airflow, sandbox)


def test_a_connection_that_is_changed_takes_all_who_wait_with_it(
    airflow: RealAirflow, homes: tuple[Sandbox, Sandbox]
) -> None:
    old, new = homes
    paths = {"/api/campaigns"} | ({f"/api/prospects/{WAITED_FOR}"} if AIRFLOW_3 else set())

    def all_looked_at(home: Sandbox) -> bool:
        return paths <= {request.path for request in home.requests if request.status == 200}

    airflow.set_connection("movable", connection_to(old))
    if AIRFLOW_3:
        (airflow.dags / "watches_moving.py").write_text(WATCHES)
    first = airflow.trigger("moves")
    airflow.wait_until("all look at the old one", lambda: all_looked_at(old), 120)

    airflow.set_connection("movable", connection_to(new))
    assert not new.requests
    second = airflow.trigger("moves")
    airflow.wait_until("all look at the new one", lambda: all_looked_at(new))
    assert_silence(old)
    assert set(airflow.tasks("moves", first).values()) == {("deferred", 1)}
    for happening, to in [("pause", WAITED_FOR), ("unsubscribe", new.people(WAITED_FOR)[0].id)]:
        new.happen(happening, to=to)

    for run in (first, second):
        airflow.wait_until("the run ends", lambda run=run: airflow.run_state("moves", run) in {"success", "failed"})
        assert airflow.tasks("moves", run) == {"paused": ("success", 1)}
    if AIRFLOW_3:
        uri = f"salesblink://moving/campaign/{WAITED_FOR}"
        (event,) = airflow.wait_until("the watcher reports", lambda: airflow.asset_events(uri))
        assert [change["event"] for change in event["payload"]["changes"]] == ["unsubscribed"]
    logs = "".join(airflow.logs().values())
    assert logs.count("Connection 'movable' has changed") == 1
    assert old.key not in logs
    assert new.key not in logs


@pytest.mark.generation(3)  # Airflow 2 has no asset watchers
def test_each_event_of_a_feed_is_reported_whenever_the_triggerer_is_killed(
    airflow: RealAirflow, on_v1: Sandbox
) -> None:
    connection = connection_to(on_v1)
    connection["extra"]["api_version"] = "v1"
    airflow.set_connection("on_v1", connection)
    (airflow.dags / "feeds.py").write_text(FEEDS)
    airflow.wait_until("all feeds are watched", lambda: watches_begun(airflow, "on_v1") == 4, 120)
    uris = {name: f"salesblink://{name}/campaign/{WATCHED}" for name in ("feeds", "replies")}

    def happens(message: str, name: str, **times: int) -> None:
        on_v1.add_event(message, email=f"{name}@example.com", sequence_id=WATCHED, **times)

    def reported(name: str) -> list[dict[str, Any]]:
        return [change for event in airflow.asset_events(uris[name]) for change in event["payload"]["changes"]]

    def keys(name: str) -> Counter[str]:
        return Counter({change["key"]: change["event"] for change in reported(name)}.values())

    # While the triggerer runs.
    happens("Replied", "ana")
    airflow.wait_until("the reply is reported to both", lambda: keys("feeds") and keys("replies"))
    airflow.kill("triggerer")
    # While it is dead: now, late, and due later.
    now = int(time.time() * 1000)
    happens("Replied", "ben")
    happens("Replied", "eve", time_ms=now - 20 * 3600 * 1000)
    happens("Bounced", "zoe", time_ms=now + 15_000)
    airflow.start("triggerer")

    airflow.wait_until("everything is reported", lambda: keys("feeds") == {"replied": 3, "bounced": 1}, 90)
    airflow.wait_until("the replies are reported", lambda: keys("replies") == {"replied": 3})
    assert len(reported("replies")) > 3, "the kill came too late to make it repeat itself"
    assert {change["key"] for change in reported("replies")} < {change["key"] for change in reported("feeds")}
    assert "example.com" not in json.dumps([airflow.asset_events(uri) for uri in uris.values()])
    assert_logs_are_clean(airflow, on_v1)


def watches_begun(airflow: RealAirflow, conn_id: str) -> int:
    """Count the watches of a connection that have stored what they begin with."""
    begun = "SELECT count(*) FROM asset_state_store WHERE key LIKE :key"
    ((number,),) = airflow.query(begun, key=f"salesblink:{conn_id}:%:begun")
    return int(number)


def kill(airflow: RealAirflow) -> float:
    airflow.kill("triggerer")
    return time.monotonic()


def changes(airflow: RealAirflow, watched: str) -> list[dict[str, str]]:
    payloads = [extra["payload"] for extra in airflow.asset_events(WARE_OF[watched])]
    return [change for payload in payloads for change in payload["changes"]]


def counted(airflow: RealAirflow, watched: str) -> Counter[tuple[str, str]]:
    """Count the reports of each change; those with the same key count once."""
    by_key = {change["key"]: (change["event"], change["prospect_id"]) for change in changes(airflow, watched)}
    return Counter(by_key.values())


def opted_out(warehouse: Path) -> set[tuple[str, str]]:
    if not warehouse.exists():
        return set()
    with closing(sqlite3.connect(warehouse)) as database:
        return set(database.execute("SELECT campaign, prospect FROM opt_out").fetchall())


def looks_at(sandbox: Sandbox) -> list[Any]:
    return [request for request in sandbox.requests if request.path == f"/api/prospects/{WATCHED}"]


def assert_silence(sandbox: Sandbox) -> None:
    before = len(sandbox.requests)
    time.sleep(2)  # noqa: TID251  # long enough for a request that must not come
    assert len(sandbox.requests) == before


def assert_one_look_an_interval(looks: list[float], kills: list[float]) -> None:
    """Assert one request per interval, however many watch and whenever they started."""
    gaps = [
        later - earlier for earlier, later in pairwise(looks) if not any(earlier < killed < later for killed in kills)
    ]
    assert INTERVAL - 0.5 < min(gaps) < max(gaps) < INTERVAL + 3, gaps


COMPLAINTS = re.compile(
    r"never awaited|exited with error|without sending an event|failed to (load|inflate)|non-serializable|overflowed"
    r"|Traceback|salesblink.*(Warning|ERROR|CRITICAL|\[error)",
    re.IGNORECASE,
)


def assert_logs_are_clean(airflow: RealAirflow, sandbox: Sandbox) -> None:
    logs = {where: text.splitlines() for where, text in airflow.logs().items()}
    lines = [(where, line) for where, each in logs.items() for line in each]
    assert [each for each in lines if sandbox.key in each[1] or "@example." in each[1]] == []
    found = [(where, at) for where, each in logs.items() for at, line in enumerate(each) if COMPLAINTS.search(line)]
    assert not found, "\n".join(f"{where}:\n" + "\n".join(logs[where][at : at + 40]) for where, at in found)
