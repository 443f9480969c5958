"""What a load costs: ``python benchmarks/bench_load.py [bad-day] [rate] [memory] [--minutes N] ...``.

``bad-day``: 10,000 rows with every fifth answer spoilt, and the same rows again. ``rate``: rows a second with 50 ms of
latency, with both values of ``opt_out_scope``, next to a ``requests.Session`` in a loop. ``memory``: dry runs of
100,000 and 1,000,000 rows, 99 % of them there already, each in a process of its own. ``--minutes N``: a load that is
paced at 60 writes and 120 reads a minute, for so long, with both values of ``opt_out_scope``.
The sandbox runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests  # noqa: TID251  # what a load is measured against

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.loading import OptOutRules, load
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv, from_mappings
from airflow_provider_salesblink.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_salesblink.choices import OptOutScope
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.loading.outcomes import Outcome

ROOT = Path(__file__).parents[1]
CAMPAIGN = "spring"
SPOILT = ",".join([
    *(
        f"prospect-add={fault}@0.05"
        for fault in ("reset:when=after", "status:status=500:when=after", "reset", "status:status=503")
    ),
    *(f"prospect-add=429:retry_after={seconds}@0.005" for seconds in (0, 1)),
])  # fmt: skip
LATE = "prospect-add=slow:seconds=0.05@1"
LATE_TOO = f"{LATE},prospect=slow:seconds=0.05@1"
PER_MINUTE = 60
SCOPES: tuple[OptOutScope, ...] = ("campaign", "account")
HASTE = Policy(settling_time=0.0, backoff=0.001, longest_backoff=0.01, rate_limit_window=0.01)


@dataclass(frozen=True)
class Server:
    """A sandbox in a process of its own."""

    url: str
    key: str

    def get(self, path: str) -> list[dict[str, str]]:
        """Return the answer to a GET."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": self.key})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)["data"]


@contextmanager
def server(folder: Path, faults: str = "", *, limits: str = "", seeded: int = 0) -> Iterator[Server]:
    database = folder / f"sandbox-{time.monotonic_ns()}.sqlite"
    seed(database, seeded)
    command = [sys.executable, "-m", "airflow_provider_salesblink.sandbox", "--db", str(database)]
    command += ["--faults", faults, "--limits", limits]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert running.stdout is not None
        words = running.stdout.readline().split()
        yield Server(words[words.index("at") + 1].rstrip("/"), words[words.index("key") + 1])
    finally:
        running.terminate()
        running.wait()
        database.unlink()


def seed(database: Path, people: int) -> None:
    store = Store(database)
    store.add_campaign("Spring", id=CAMPAIGN)
    store.close()
    with closing(sqlite3.connect(database)) as file:
        file.executemany(
            "INSERT INTO prospect (id, list_id, address, fields, unsubscribed, changed) "
            "SELECT ?, list_id, ?, ?, 0, 0 FROM attached",
            (
                (f"{number:024x}", row["Email"], json.dumps(row))
                for number, row in ((number, person(number)) for number in range(people))
            ),
        )
        file.commit()


def person(number: int) -> dict[str, str]:
    return {"Email": f"p{number}@example.com", "First Name": f"Ana{number}", "Company": "Northwind Traders"}


def client(to: Server, folder: Path, *, dry_run: bool = False, writes_per_minute: int = 0) -> SalesBlinkClient:
    return SalesBlinkClient(
        to.key, to.url, policy=HASTE, reads_per_minute=2 * writes_per_minute, writes_per_minute=writes_per_minute,
        dry_run=dry_run,
        pacing_url=f"file://{folder}/shared-{to.url.rpartition(':')[2]}.sqlite", timeout=300,
    )  # fmt: skip


def load_people(
    to: Server,
    folder: Path,
    rows: int,
    *,
    start: int = 0,
    writes_per_minute: int = 0,
    opt_out_scope: OptOutScope = "campaign",
) -> Report:
    source = from_mappings((person(number) for number in range(start, start + rows)), ColumnNames())
    with client(to, folder, writes_per_minute=writes_per_minute) as using:
        return load(using, CAMPAIGN, source, opt_outs=OptOutRules(scope=opt_out_scope))


def bad_day(folder: Path, rows: int) -> None:
    with server(folder, SPOILT) as to:
        started = time.perf_counter()
        report = load_people(to, folder, rows)
        seconds = time.perf_counter() - started
        stored = Counter(each["Email"] for each in to.get(f"/api/prospects/{CAMPAIGN}"))
        again = load_people(to, folder, rows)
    lost, twice = rows - len(stored), sum(times - 1 for times in stored.values())
    print(f"bad day: {rows:,} rows in {seconds:.1f} s ({rows / seconds:.0f}/s), {lost} lost, {twice} twice, "
          f"{report.reads} reads, {report.ambiguous}")  # fmt: skip
    print(f"  again: {again.reads} reads, {again.added} added, {again.planned.there:,} there")


def rate(folder: Path, rows: int) -> None:
    for scope in SCOPES:
        with server(folder, LATE_TOO) as to:
            load_people(to, folder, 50, start=10_000_000, opt_out_scope=scope)
            started = time.perf_counter()
            load_people(to, folder, rows, opt_out_scope=scope)
            loaded = rows / (time.perf_counter() - started)
            looped = in_a_loop(to, rows // 5)
        print(f"50 ms of latency, {scope}: load {loaded:.0f}/s, requests.Session in a loop {looped:.0f}/s, "
              f"{loaded / looped:.2f}x")  # fmt: skip


def in_a_loop(to: Server, rows: int) -> float:
    """Return the adds a second of a plain session."""
    with requests.Session() as session:
        session.headers["Authorization"] = to.key
        started = time.perf_counter()
        for number in range(rows):
            body = {"campaignID": CAMPAIGN, "data": person(20_000_000 + number)}
            session.post(f"{to.url}/api/prospect-add", json=body, timeout=30).raise_for_status()
        return rows / (time.perf_counter() - started)


def paced(folder: Path, minutes: float) -> None:
    # The first minute's worth goes out at once.
    rows = int(PER_MINUTE * (minutes + 1))
    ideal = (-(-rows // PER_MINUTE) - 1) * 60
    for scope in SCOPES:
        # The server refuses what is too much, and says so: that would be seen in the time.
        with server(folder, limits=f"writes={PER_MINUTE},reads={2 * PER_MINUTE}") as to:
            started = time.perf_counter()
            load_people(to, folder, rows, writes_per_minute=PER_MINUTE, opt_out_scope=scope)
            seconds = time.perf_counter() - started
        print(f"paced at {PER_MINUTE} a minute, {scope}: {rows} rows in {seconds:.1f} s; ideal {ideal} s, "
              f"{ideal / seconds:.1%}")  # fmt: skip


def memory(folder: Path, modes: list[str], sizes: list[int], outcomes: list[str]) -> None:
    for rows in sizes:
        file = folder / f"{rows}.csv"
        with file.open("w") as text:
            text.write("Email,First Name,Company\n")
            text.writelines(",".join(person(number).values()) + "\n" for number in range(rows))
        with server(folder, seeded=rows * 99 // 100) as to:
            for mode in modes:
                command = [sys.executable, __file__, "dry-run", to.url, to.key, str(file), mode, *outcomes]
                subprocess.run(command, check=True, cwd=ROOT)
        file.unlink()


def dry_run(url: str, key: str, file: str, mode: str, outcomes: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder, client(Server(url, key), Path(folder), dry_run=True) as using:
        using.campaigns.list()
        idle, written = peak(), Path(folder, "outcomes.jsonl")

        def write(found: Iterable[Outcome]) -> None:
            with written.open("w") as lines:
                lines.writelines(each.as_json_line() for each in found)

        # Without the time in which the server works: that grows with what it holds.
        started = time.process_time()
        with Path(file).open("rb") as rows:
            report = load(
                using, CAMPAIGN, from_csv(rows, ColumnNames()), mode=mode, on_outcomes=write if outcomes else None
            )  # type: ignore[arg-type]
        seconds = time.process_time() - started
    counts = report.planned
    what = f"{mode}, with {outcomes}" if outcomes else mode
    print(f"dry run, {what}: {counts.rows:,} rows, {counts.there:,} there, {counts.add:,} new: peak {peak():.0f} MB "
          f"({peak() - idle:.0f} above idle); {seconds / counts.rows * 1e6:.1f} us of CPU a row")  # fmt: skip


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if sys.argv[1:2] == ["dry-run"]:
        dry_run(*sys.argv[2:])
        return
    arguments = argparse.ArgumentParser(description="Measure loads.")
    arguments.add_argument("what", nargs="*", default=["bad-day", "rate", "memory"])
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--minutes", type=float, default=0)
    arguments.add_argument("--modes", nargs="*", default=["insert", "upsert"])
    arguments.add_argument("--sizes", nargs="*", type=int, default=[100_000, 1_000_000])
    arguments.add_argument("--outcomes", action="store_const", const=["outcomes"], default=[])
    given = arguments.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "bad-day" in given.what:
            bad_day(folder, given.rows)
        if "rate" in given.what:
            rate(folder, given.rows // 5)
        if "memory" in given.what:
            memory(folder, given.modes, given.sizes, given.outcomes)
        if given.minutes:
            paced(folder, given.minutes)


if __name__ == "__main__":
    main()
