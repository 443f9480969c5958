"""A triggerer and a sandbox, each in a process of its own: what ``bench_wait.py`` measures with."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.airflow_home import use_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from airflow.triggers.base import BaseTrigger

SPAWN = get_context("spawn")
PROBE = 0.005
BLOCKED = 0.05


@dataclass(frozen=True)
class Plan:
    """Who waits for what, and how."""

    waiters: int
    campaigns: int
    people: int
    interval: float
    latency: float

    def awaited(self, number: int) -> tuple[str, str | None]:
        """Return a campaign and a person of it; no person if the wait is for the campaign."""
        place = number % (self.campaigns + 1)
        if place < self.campaigns:
            return f"c{place}", identity(number)
        return f"c{number // (self.campaigns + 1) % self.campaigns}", None

    def awaited_by(self, kind: str) -> list[tuple[str, str | None]]:
        """Return the campaign and the person of each waiter."""
        everything = [self.awaited(number) for number in range(self.waiters)]
        return [(c, p or identity(n)) for n, (c, p) in enumerate(everything)] if kind == "http" else everything


@dataclass
class Seen:
    """What the waiters' process reports."""

    marks: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    bytes_each: float = 0.0
    fired: dict[int, tuple[float, Any]] = field(default_factory=dict)
    late: list[tuple[float, float]] = field(default_factory=list)
    collections: list[tuple[float, float]] = field(default_factory=list)

    def lateness(self, since: float = 0.0, until: float = math.inf) -> str:
        """How late the loop was in some time."""
        probes = [(at - late, at) for at, late in self.late if since <= at <= until]
        late = sorted(at - due for due, at in probes)
        apart = [at - due for due, at in probes if not any(due < end and begin < at for begin, end in self.collections)]
        p99, most, blocked = late[len(late) * 99 // 100], late[-1], sum(each > BLOCKED for each in late)
        return (f"p99 {p99 * 1e3:.1f} ms, max {most * 1e3:.0f}, apart from garbage collection "
                f"{max(apart, default=0) * 1e3:.0f}; {blocked} of {len(late)} above 50")  # fmt: skip


def identity(number: int) -> str:
    return f"{number:024x}"


class Server:
    """A sandbox that reports its requests, and in which events happen on request."""

    def __init__(self, database: str, plan: Plan) -> None:
        from airflow_provider_salesblink.sandbox import Sandbox

        self._sandbox = Sandbox(db=database, keep_requests=1_000_000).__enter__()
        self._file = sqlite3.connect(database, check_same_thread=False)
        for number in range(plan.campaigns):
            self._sandbox.add_campaign(f"Campaign {number}", id=f"c{number}")
        self.happen([(f"c{n % plan.campaigns}", identity(10**9 + n)) for n in range(plan.people * plan.campaigns)])
        # Late after it was looked at, as when an answer is long on its way: what happens meanwhile is not in it.
        if plan.latency:
            self._sandbox.fault("reads", "slow", seconds=plan.latency, when="after", share=1)

    def address(self) -> tuple[str, str]:
        """URL and key."""
        return self._sandbox.url, self._sandbox.key

    def happen(self, awaited: list[tuple[str, str | None]]) -> float:
        """Let people appear, and campaigns be paused; when that was."""
        at = time.monotonic()
        with self._file:
            for campaign, person in awaited:
                if person is None:
                    self._file.execute("UPDATE campaign SET paused = 1 WHERE id = ?", (campaign,))
                else:
                    email = f"{person}@example.com"
                    self._file.execute(
                        "INSERT INTO prospect (id, campaign_id, address, fields, unsubscribed, changed) "
                        "VALUES (?, ?, ?, ?, 0, 0)",
                        (person, campaign, email, json.dumps({"Email": email, "First Name": "Ana", "Company": "ACME"})),
                    )
        return at

    def refuse(self, kind: str, **options: Any) -> None:
        """Answer nothing but this from now on."""
        self._sandbox.clear_faults()
        self._sandbox.fault("*", kind, share=1, **options)

    def arrivals(self) -> list[tuple[float, str]]:
        """When requests came, and for what."""
        return [(request.at, request.path) for request in self._sandbox.requests]


class Servers(BaseManager):
    """A process of servers."""

    Server: Callable[[str, Plan], Server]


Servers.register("Server", Server)


@contextmanager
def server(folder: Path, plan: Plan) -> Iterator[Server]:
    with Servers(ctx=SPAWN) as servers:
        yield servers.Server(str(folder / f"{time.monotonic_ns()}.sqlite"), plan)


class Fired(deque[Any]):
    """Where the runner puts its events."""

    def __init__(self, fired: dict[int, tuple[float, Any]]) -> None:
        super().__init__()
        self._fired = fired

    def append(self, entry: Any) -> None:  # noqa: ANN401
        """Remember the time and what was reported."""
        self._fired[entry[0]] = (time.monotonic(), entry[1].payload)


@contextmanager
def waiting(kind: str, plan: Plan, at: Server, seconds: float, measure: str = "") -> Iterator[Connection]:
    """Waiters of a kind, for so long at most: they send word when they are ready, and at last what was seen."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=wait_in_process, args=(there, kind, plan, at.address(), seconds, measure))
    process.start()
    there.close()
    try:
        yield here
    finally:
        process.kill()
        process.join()


def wait_in_process(
    reports: Connection, kind: str, plan: Plan, at: tuple[str, str], seconds: float, measure: str
) -> None:
    with tempfile.TemporaryDirectory() as home:
        use_home(Path(home))
        usual = {"host": at[0], "password": at[1]}
        ours = {"conn_type": "salesblink", "extra": {"reads_per_minute": 0, "pacing_url": f"file://{home}/pace.sqlite"}}
        theirs = {"conn_type": "http", "extra": {"Authorization": at[1]}}
        os.environ["AIRFLOW_CONN_CRM"] = json.dumps(usual | ours)
        os.environ["AIRFLOW_CONN_WEB"] = json.dumps(usual | theirs)
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"  # as TriggerRunner.run() does
        if measure == "tracemalloc":
            tracemalloc.start()
        asyncio.run(Waiters(reports, kind, plan).wait(seconds, measure))


class Waiters:
    """So many triggers in this event loop."""

    def __init__(self, reports: Connection, kind: str, plan: Plan) -> None:
        from airflow.jobs.triggerer_job_runner import TriggerRunner

        logging.disable(logging.CRITICAL)
        if structlog := sys.modules.get("structlog"):
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self._reports, self._plan = reports, plan
        self._seen = Seen()
        self._runner = TriggerRunner()
        self._runner.events = Fired(self._seen.fired)
        self._tasks: list[asyncio.Task[None]] = []
        self._make = {"ours": ours, "http": theirs, "idle": idle}[kind](plan)

    async def wait(self, seconds: float, measure: str) -> None:
        """Start all, measure how they wait, and report it."""
        # Imports, and what is opened once, do not count for a waiter.
        self._start(0)
        await asyncio.sleep(1 + self._plan.latency)
        before, cpu = in_use(measure), time.process_time()
        gc.callbacks.append(self._note_collection)
        probe = asyncio.create_task(self._probe())
        self._mark("started")
        await self._start_others(at_once=bool(measure))
        self._mark("all started")
        if measure:
            await asyncio.sleep(self._plan.interval + self._plan.latency)
            self._mark("waited")
            self._seen.bytes_each = (in_use(measure) - before) / (self._plan.waiters - 1)
            self._reports.send(None)
        rest = self._seen.marks["started"] + seconds - time.monotonic()
        await asyncio.wait(self._tasks, timeout=max(rest, 0.01))
        self._seen.cpu = time.process_time() - cpu
        probe.cancel()
        self._reports.send(self._seen)
        for task in self._tasks:
            task.cancel()

    async def _start_others(self, *, at_once: bool) -> None:
        if not at_once:
            self._reports.send(self._seen.marks["started"])
        for number in range(1, self._plan.waiters):
            self._start(number)
            due = self._seen.marks["started"] + number * self._plan.interval / self._plan.waiters
            # Airflow gives way after each, too.
            await asyncio.sleep(0 if at_once else max(due - time.monotonic(), 0))

    def _start(self, number: int) -> None:
        self._runner.triggers[number] = {"name": f"waiter {number}", "events": 0, "is_watcher": False, "task": None}
        self._tasks.append(asyncio.create_task(self._runner.run_trigger(number, self._make(number))))

    def _mark(self, name: str) -> None:
        self._seen.marks[name] = time.monotonic()

    async def _probe(self) -> None:
        while True:
            due = time.monotonic() + PROBE
            await asyncio.sleep(PROBE)
            now = time.monotonic()
            self._seen.late.append((now, now - due))

    def _note_collection(self, phase: str, _: object) -> None:
        now = time.monotonic()
        if phase == "start":
            self._began = now
        elif now - self._began > PROBE:
            self._seen.collections.append((self._began, now))


def ours(plan: Plan) -> Callable[[int], BaseTrigger]:
    from airflow_provider_salesblink.client.identity import fingerprint
    from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
    from airflow_provider_salesblink.triggers.prospects import ProspectTrigger

    def make(number: int) -> BaseTrigger:
        usual = {"salesblink_conn_id": "crm", "poll_interval": plan.interval, "max_consecutive_failures": 10}
        campaign, person = plan.awaited(number)
        if person is None:
            return CampaignTrigger(state="paused", campaign_id=campaign, **usual)
        return ProspectTrigger(campaign_id=campaign, who=fingerprint(f"{person}@example.com").hex(), **usual)

    return make


def theirs(plan: Plan) -> Callable[[int], BaseTrigger]:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return lambda number: HttpSensorTrigger(f"api/prospect/{identity(number)}", "web", poke_interval=plan.interval)


def idle(_: Plan) -> Callable[[int], BaseTrigger]:
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    class Idle(BaseTrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "Idle", {}

        async def run(self) -> Any:  # noqa: ANN401
            yield TriggerEvent(await asyncio.get_running_loop().create_future())

    return lambda _: Idle()


def in_use(measure: str) -> int:
    """Bytes."""
    gc.collect()
    if measure == "tracemalloc":
        return tracemalloc.get_traced_memory()[0]
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
