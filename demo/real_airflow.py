"""A real Airflow with its own home. Each component is a process that can be stopped or killed separately."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import closing, suppress
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from sqlalchemy import create_engine, text
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

ROOT = Path(__file__).parents[1]
AIRFLOW_3 = version("apache-airflow").startswith("3.")

STARTUP_SECONDS = 120.0
SHUTDOWN_SECONDS = 15.0
LINES_SHOWN = 25

_NO_LOG_SERVER = "--skip-serve-logs"  # the log server listens on all interfaces
_COMMANDS = {"scheduler": ["scheduler", _NO_LOG_SERVER], "triggerer": ["triggerer", _NO_LOG_SERVER]}
if AIRFLOW_3:
    _COMMANDS |= {"api-server": ["api-server"], "dag-processor": ["dag-processor"]}

# The API server's event loop can wait for a SQLite lock whose holder waits for the loop. A short time-out ends this.
_LOCKED_SECONDS = {"api-server": 1}
_JOBS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
_RETURNED = (
    "SELECT value FROM xcom WHERE dag_id = :dag_id AND run_id = :run_id AND task_id = :task_id AND key = 'return_value'"
)
_EVENTS_OF_ASSET = (
    "SELECT event.extra FROM {0}_event event JOIN {0} ON {0}.id = event.{0}_id WHERE {0}.uri = :uri ORDER BY event.id"
)


class RealAirflow:
    """An Airflow that runs for the duration of a ``with`` block. All its processes end with the block.

    :param home: its AIRFLOW_HOME. Put DAG files into its folder ``dags`` before the start.
    :param environment: additional environment variables, such as ``AIRFLOW_CONN_...`` and ``AIRFLOW__...``.
    :param database: the URL of an empty database. None is SQLite, on which Airflow is slow while the machine is busy.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], database: str | None = None) -> None:
        self.home = home
        self.dags = home / "dags"
        self.dags.mkdir(parents=True, exist_ok=True)
        (home / "components").mkdir(exist_ok=True)
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.environment = _own_environment(home, self.url, database) | dict(environment)
        self.commands = dict(_COMMANDS)
        self._on_sqlite = database is None
        self._database = create_engine(self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._python("-c", "from demo import airflow_home; airflow_home.make_database()")
            for component in self.commands:
                self._spawn(component)
            for component in self.commands:
                self._await_component(component, newer_than=0)
            self._await_dags()
        except BaseException:
            self._end_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_all()
        self._database.dispose()

    # Components

    def start(self, component: str) -> None:
        """Start a stopped component, and wait until it works."""
        before = self._latest_job(component)
        self._spawn(component)
        self._await_component(component, newer_than=before)

    def stop(self, component: str) -> None:
        """Terminate a component, and kill it if it does not end in time."""
        process = self._running[component]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SHUTDOWN_SECONDS)
        self.kill(component)

    def kill(self, component: str) -> None:
        """Kill a component and all its child processes immediately."""
        process = self._running.pop(component)
        for pid in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def log(self, component: str) -> str:
        """Return the output of a component, from all its starts."""
        return self._log_of(component).read_text(errors="replace")

    def logs(self) -> dict[str, str]:
        """Return the text of all log files, by file name."""
        folders = (self.home / "components", self.home / "logs")
        files = [path for folder in folders for path in folder.rglob("*.log")]
        return {str(path.relative_to(self.home)): path.read_text(errors="replace") for path in sorted(files)}

    # DAGs

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a DAG, and return the run id."""
        run_id = f"manual__{time.time_ns()}"
        if AIRFLOW_3:
            self.api(f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}})
        else:
            options = ("--conf", json.dumps(conf or {}))
            self._python("-m", "airflow", "dags", "trigger", dag_id, "--run-id", run_id, *options)
        return run_id

    def set_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """Store a connection in the database, replacing one with the same id."""
        if self.query("SELECT 1 FROM connection WHERE conn_id = :conn_id", conn_id=conn_id):
            self._python("-m", "airflow", "connections", "delete", conn_id)
        self._python("-m", "airflow", "connections", "add", conn_id, "--conn-json", json.dumps(connection))

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """Return the state of a run, or None if there is no such run."""
        state = "SELECT state FROM dag_run WHERE dag_id = :dag_id AND run_id = :run_id"
        rows = self.query(state, dag_id=dag_id, run_id=run_id)
        return rows[0][0] if rows else None

    def tasks(self, dag_id: str, run_id: str) -> dict[str, tuple[str | None, int]]:
        """Return the state and try number of each task of a run."""
        tasks = "SELECT task_id, state, try_number FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id"
        rows = self.query(tasks, dag_id=dag_id, run_id=run_id)
        return {task_id: (state, try_number) for task_id, state, try_number in rows}

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned."""
        ((value,),) = self.query(_RETURNED, dag_id=dag_id, run_id=run_id, task_id=task_id)
        while isinstance(value, (str, bytes, memoryview)):
            value = json.loads(bytes(value) if isinstance(value, memoryview) else value)
        return value

    def asset_events(self, uri: str) -> list[dict[str, Any]]:
        """Return the extras of an asset's events, oldest first."""
        rows = self.query(_EVENTS_OF_ASSET.format("asset" if AIRFLOW_3 else "dataset"), uri=uri)
        return [json.loads(extra) if isinstance(extra, str) else extra for (extra,) in rows]

    def query(self, statement: str, **values: Any) -> list[Any]:
        """Return rows of the database. ``:name`` in the statement stands for the value of that name."""
        with self._database.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def api(self, path: str, body: object = None, *, method: str | None = None) -> Any:
        """Call Airflow 3's REST API and return its JSON. With a body, the call is a POST, unless ``method`` says more.

        :raises HTTPError: Airflow returns an error. Errors from a locked database are retried a few times first.
        """
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/api/v2/{path}", data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        with urlopen(f"{self.url}/auth/token", timeout=30) as answer:  # noqa: S310
            request.add_header("Authorization", f"Bearer {json.load(answer)['access_token']}")
        return _answer_to(request)

    def wait_until(self, what: str, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until ``holds`` returns something true, and return it.

        :raises AssertionError: the time is up, or a component died. The message includes the last lines of all logs.
        """
        deadline = time.monotonic() + seconds
        while not (result := holds()):
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            late = time.monotonic() > deadline
            problem = f"{dead} died" if dead else f"not within {seconds:g} s" if late else ""
            assert not problem, f"{what}: {problem}.\n{self._ends_of_logs()}"
            time.sleep(0.2)  # noqa: TID251  # waits for no request
        return result

    # Internals

    def _spawn(self, component: str) -> None:
        assert component not in self._running, f"{component} is already running"
        with self._log_of(component).open("ab") as log:
            # A separate session identifies the component's child processes.
            self._running[component] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *self.commands[component]],
                cwd=self.home, env=self._environment_of(component), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _environment_of(self, component: str) -> dict[str, str]:
        environment = dict(self.environment)
        if self._on_sqlite and (seconds := _LOCKED_SECONDS.get(component)):
            environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = _sqlite(self.home, seconds=seconds)
        return environment

    def _python(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments], check=False, cwd=self.home, env=self.environment, capture_output=True,
            text=True, timeout=STARTUP_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _await_component(self, component: str, newer_than: int) -> None:
        def works() -> bool:
            return self._answers() if component == "api-server" else self._latest_job(component) > newer_than

        self.wait_until(f"{component} starts", works, STARTUP_SECONDS)

    def _latest_job(self, component: str) -> int:
        ((newest,),) = self.query("SELECT coalesce(max(id), 0) FROM job WHERE job_type = :kind", kind=_JOBS[component])
        return int(newest)

    def _answers(self) -> bool:
        try:
            return bool(self.api("version"))
        except OSError:
            return False

    def _await_dags(self) -> None:
        files = {path.name for path in self.dags.glob("*.py")}

        def read() -> bool:
            broken = self.query("SELECT filename, stacktrace FROM import_error")
            assert not broken, "\n".join(str(each) for row in broken for each in row)
            return files <= {Path(each).name for (each,) in self.query("SELECT fileloc FROM dag")}

        self.wait_until("the DAG files are read", read, STARTUP_SECONDS)

    def _end_all(self) -> None:
        for component in list(self._running):
            self.kill(component)

    def _log_of(self, component: str) -> Path:
        return self.home / "components" / f"{component}.log"

    def _ends_of_logs(self) -> str:
        return "\n".join(f"== {name}\n" + "\n".join(_tail(text)) for name, text in self.logs().items())


def _own_environment(home: Path, url: str, database: str | None) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONDONTWRITE"))}
    settings = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # The only one that 2.11 allows with SQLite.
        "CORE__EXECUTOR": "LocalExecutor" if AIRFLOW_3 or database else "SequentialExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # Otherwise Airflow generates these at random, different in each component.
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "API__SECRET_KEY": secrets.token_hex(),
        "API_AUTH__JWT_SECRET": secrets.token_hex(),
        "API__BASE_URL": url,
        "API__HOST": "127.0.0.1",
        "API__PORT": url.rpartition(":")[2],
        "DATABASE__SQL_ALCHEMY_CONN": database or _sqlite(home, seconds=30),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        # On a busy machine the API server with SQLite is slow. A time-out would start a task twice, which fails it.
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # A new triggerer takes over from a killed one quickly.
        "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
    }
    return ours | {
        "AIRFLOW_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, HTTPError) and error.code == HTTPStatus.INTERNAL_SERVER_ERROR


@retry(retry=retry_if_exception(_is_locked), stop=stop_after_attempt(10), wait=wait_fixed(0.5), reraise=True)
def _answer_to(request: Request) -> Any:
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def _sqlite(home: Path, *, seconds: int) -> str:
    """Return the database URL with a time-out for SQLite's lock, in seconds."""
    return f"sqlite:///{home}/airflow.db?timeout={seconds}"


def _session(leader: int) -> list[int]:
    """Return all processes of a session. Child processes may have their own process groups."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return found


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _tail(text: str) -> list[str]:
    return list(deque(text.splitlines(), LINES_SHOWN))
