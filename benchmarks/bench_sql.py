"""What a load from a database costs: ``python benchmarks/bench_sql.py [--rows N] [--databases postgres sqlite]``.

A dry run of 1,000,000 rows from PostgreSQL and from SQLite, next to a transfer that reads the same query into a
DataFrame with the hook's own ``get_df``. Each runs in a process of its own, and prints its peak of memory above idle.
The DataFrame needs pandas, which nothing else here needs: ``pip install pandas``. The servers of the sandbox and of
PostgreSQL run in processes of their own too.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from airflow_provider_salesblink.client import SalesBlinkClient  # noqa: E402
from demo import airflow_home  # noqa: E402
from tests.postgres_server import running_postgres  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.operators.databases import Query

CAMPAIGN = "spring-2027"
MOST = 150
"""Megabytes above idle that a load may take."""
QUERY = "SELECT email, first_name, company FROM people"
TABLE = "CREATE TABLE people (email text, first_name text, company text)"
FILL = "INSERT INTO people SELECT 'p' || n || '@example.com', 'P' || n, 'Company ' || n FROM {series}"


def main() -> None:
    if sys.argv[1:2] == ["measure"]:
        measure(*sys.argv[2:])
        return
    arguments = argparse.ArgumentParser(description="Measure loads from databases.")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--databases", nargs="*", default=["postgres", "sqlite"])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, sandbox() as to:
        for database in given.databases:
            {"postgres": postgres, "sqlite": sqlite}[database](Path(name), to, given.rows)


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Start a sandbox; return its URL and key."""
    command = [sys.executable, "-m", "airflow_provider_salesblink.sandbox", "--seed", "demo"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert running.stdout is not None
        words = running.stdout.readline().split()
        yield words[words.index("at") + 1].rstrip("/"), words[words.index("key") + 1]
    finally:
        running.terminate()
        running.wait()


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def postgres(folder: Path, to: tuple[str, str], rows: int) -> None:
    with running_postgres() as database:
        database.run(TABLE, FILL.format(series=f"generate_series(1, {rows}) AS series(n)"), "ANALYZE people")
        compare("PostgreSQL", database.airflow_connection(), folder, to)


def sqlite(folder: Path, to: tuple[str, str], rows: int) -> None:
    path = folder / "people.sqlite"
    series = f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) SELECT n FROM s)"  # noqa: S608
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        database.execute(FILL.format(series=series))
    compare("SQLite", {"conn_type": "sqlite", "host": str(path)}, folder, to)


def compare(name: str, connection: dict[str, Any], folder: Path, to: tuple[str, str]) -> None:
    """Run each way in a process of its own."""
    os.environ["AIRFLOW_CONN_PEOPLE"] = json.dumps(connection)
    ways = ["load", "DataFrame"]
    if find_spec("pandas") is None:
        print("The DataFrame is left out: pip install pandas to compare with it.")
        ways.remove("DataFrame")
    for way in ways:
        command = [sys.executable, __file__, "measure", way, name, str(folder), *to]
        subprocess.run(command, check=True, cwd=ROOT)


def measure(way: str, name: str, folder: str, url: str, key: str) -> None:
    airflow_home.use_home(Path(folder) / "airflow")
    # Airflow reads its settings when it is imported.
    from airflow_provider_salesblink.operators.databases import Query, database_hook

    logging.disable(logging.WARNING)
    hook = database_hook("people")
    if way == "load":
        query = Query.of(QUERY, "people", None)
        with SalesBlinkClient(key, url, dry_run=True, pacing_url=f"file://{folder}/shared.sqlite") as using:
            using.campaigns.list()
            rows, megabytes, seconds = watched(lambda: load_dry(using, query))
        assert megabytes <= MOST, f"{megabytes:.0f} MB"
    else:
        import pandas  # noqa: F401  # before idle is measured

        rows, megabytes, seconds = watched(lambda: len(hook.get_df(QUERY).to_dict("records")))
    print(f"{name}, {way}: {rows:,} rows, peak {megabytes:.0f} MB above idle, {seconds:.0f} s of CPU")


def load_dry(using: SalesBlinkClient, query: Query) -> int:
    from airflow_provider_salesblink.loading import load

    with query.open(None, None) as rows:
        report = load(using, CAMPAIGN, rows)
    assert report.planned.add == report.planned.rows
    return int(report.planned.rows)


def watched(work: Callable[[], int]) -> tuple[int, float, float]:
    """Return the number of rows, the peak of memory above idle, and the time of the CPU."""
    idle, started = peak(), time.process_time()
    rows = work()
    return rows, peak() - idle, time.process_time() - started


if __name__ == "__main__":
    main()
