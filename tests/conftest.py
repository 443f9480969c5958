"""Fixtures for all tests: a sandbox, a client for it, an Airflow database, and servers of Redis and PostgreSQL."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.client import client as client_module
from airflow_provider_salesblink.client.probe import APIS
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.sandbox import Sandbox
from demo import airflow_home
from tests.apis import Api
from tests.polls import Polls
from tests.postgres_server import Postgres, running_postgres
from tests.redis_server import count_at_once, new_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_salesblink.sandbox import Request

# Airflow reads its settings when it is imported, so set its home first.
airflow_home.use_home(Path(tempfile.mkdtemp(prefix="airflow-home-")))

ROOT = Path(__file__).parents[1]
GENERATION = int(version("apache-airflow").partition(".")[0])
HASTE = Policy(
    max_attempts=5, settling_time=0.0, import_time=1.0, backoff=0.001, longest_backoff=0.01, rate_limit_window=0.01
)
"""The retry policy of the tests. It makes the same decisions as the default policy, with much shorter waits."""
UNPACED = {"reads_per_minute": 0, "writes_per_minute": 0, "deletes_per_minute": 0}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--nothing-skipped``, for machines that have everything that the tests can use."""
    parser.addoption("--nothing-skipped", action="store_true", help="fail if a test is skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker with which a module or a test says on which APIs it runs."""
    config.addinivalue_line("markers", "apis(*versions): runs on these APIs of SalesBlink, instead of classic only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses an API on each of those that its marker names."""
    mark = metafunc.definition.get_closest_marker("apis")
    if mark and "api" in metafunc.fixturenames:
        metafunc.parametrize("api", mark.args, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests of the other Airflow generation. They do not count as skipped."""
    others = [item for item in items if (mark := item.get_closest_marker("generation")) and mark.args != (GENERATION,)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """Make what a test printed printable: a worker of xdist ends when it reports half of a surrogate pair."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a test was skipped and ``--nothing-skipped`` is given."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("nothing_skipped") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def without_probes(requests: Iterable[Request]) -> list[Request]:
    """Return the requests without those by which a client asks, after a first failure, which API accepts the key."""
    probed = {f"{api.prefix}/{'/'.join(api.parts)}" for api in APIS}
    return [request for request in requests if request.path not in probed]


@dataclass(frozen=True)
class CampaignUnderTest:
    """A campaign in the sandbox."""

    id: str
    name: str


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(
    running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    running_sandbox.reset()
    # People of other tests stay reserved for minutes, and on v1 in all campaigns of the account.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("shared")))
    return running_sandbox


@pytest.fixture
def api(request: pytest.FixtureRequest, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return the API that the test runs on: the classic one, unless the marker ``apis`` says otherwise."""
    # The sandbox imports people within a fraction of a second; no connection can set how long a client waits for it.
    monkeypatch.setattr(client_module, "Policy", partial(Policy, import_time=HASTE.import_time))
    return Api(getattr(request, "param", "classic"), sandbox)


@pytest.fixture
def polls(api: Api, sandbox: Sandbox) -> Polls:
    return Polls(api, sandbox)


@pytest.fixture
def campaign(sandbox: Sandbox) -> CampaignUnderTest:
    return CampaignUnderTest(sandbox.add_campaign("Spring"), "Spring")


@pytest.fixture
def client(sandbox: Sandbox, api: Api) -> Iterator[SalesBlinkClient]:
    with SalesBlinkClient(sandbox.key, sandbox.url, api.version, policy=HASTE, timeout=5, **UNPACED) as client:
        yield client


@pytest.fixture
def connection(sandbox: Sandbox, api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the connection ``salesblink_default`` to the sandbox, with changes."""

    def connect(**changed: Any) -> None:
        extra = {"api_version": api.version, "timeout": 5, **UNPACED, **changed.pop("extra", {})}
        made = {"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key, "extra": extra, **changed}
        monkeypatch.setenv("AIRFLOW_CONN_SALESBLINK_DEFAULT", json.dumps(made))

    connect()
    return connect


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Create an Airflow database for this session."""
    airflow_home.make_database()


@pytest.fixture
def run_dag(airflow_database: None, connection: Callable[..., None]) -> Callable[..., Any]:  # noqa: ARG001
    """Return a function that runs a DAG in a real Airflow against the sandbox, and returns the run."""
    return airflow_home.run


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    """Run a real server with the Redis protocol."""
    server = new_server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: Any) -> str:
    """Return the URL of an empty Redis server that has run for long."""
    redis_server.client().flushall()
    count_at_once(redis_server)
    return f"redis://127.0.0.1:{redis_server.port}"
