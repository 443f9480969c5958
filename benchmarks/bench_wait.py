"""What waiting costs: ``python benchmarks/bench_wait.py [shared] [memory] [limited] [--waiters N] [--campaigns N]``.

Triggers run as in a triggerer: each in a task of ``TriggerRunner.run_trigger``, all in one event loop, in a process of
its own; the sandbox is in another. ``shared``: requests, the loop's delay and the time to fire, next to the trigger of
a deferrable ``HttpSensor``. That one only distinguishes 404 from anything else, so it asks for each person by id, and
it waits for people instead of campaigns. ``memory``: what a waiter takes, next to a trigger that waits for a future.
``limited``: requests after a 429 with ``Retry-After``, and the end at a 401.
The loop's delay: by how much a task that sleeps 5 ms comes late.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from triggerer import Plan, Server, server, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggerer import Seen

NAMES = {"ours": "ours", "http": "HttpSensor"}
GRACE = 5.0
T = TypeVar("T")


def shared(folder: Path, plan: Plan, intervals: int) -> None:
    print(f"shared: {plan.waiters:,} waiters, {plan.campaigns} campaigns of {plan.people:,} people, every "
          f"{plan.interval:g} s, {plan.latency:g} s of latency, no budget; they come within an interval")  # fmt: skip
    requests = {}
    for kind, name in NAMES.items():
        with server(folder, plan) as at, waiting(kind, plan, at, (intervals + 4) * plan.interval) as pipe:
            begin = pipe.recv() + plan.interval
            happened = let_happen(at, plan.awaited_by(kind), begin + (intervals - 1) * plan.interval, plan.interval)
            seen: Seen = pipe.recv()
            arrivals = [(when, path) for when, path in at.arrivals() if 0 <= when - begin < intervals * plan.interval]
        requests[kind] = len(arrivals) / intervals
        resources, gap = len({path for _, path in arrivals}), shortest_gap(arrivals)
        delays = sorted(when - happened[number] for number, (when, _) in seen.fired.items())
        print(f"  {name}: {requests[kind]:.1f} requests an interval for {resources:,} resources, two for the same at "
              f"least {gap:.2f} s apart; {seen.cpu:.1f} s of CPU")  # fmt: skip
        print(f"    loop late: {seen.lateness(begin)}")
        print(f"    {len(delays):,} fired, median {statistics.median(delays):.2f} s after the event, "
              f"last {delays[-1]:.2f} (interval and latency: {plan.interval + plan.latency:g})")  # fmt: skip
    print(f"  HttpSensor: {requests['http'] / requests['ours']:.1f} times the requests")


def let_happen(at: Server, awaited: list[tuple[str, str | None]], begin: float, length: float) -> list[float]:
    """Let all of it happen at random within a time; when each did."""
    dice = random.Random(1)
    due = {each: begin + dice.uniform(0, length) for each in dict.fromkeys(awaited)}
    happened: dict[tuple[str, str | None], float] = {}
    while len(happened) < len(due):
        wait_until(time.monotonic() + 0.02)
        now = [each for each, when in due.items() if when <= time.monotonic() and each not in happened]
        happened |= dict.fromkeys(now, at.happen(now)) if now else {}
    return [happened[each] for each in awaited]


def shortest_gap(arrivals: list[tuple[float, str]]) -> float:
    """Seconds between two requests for the same."""
    times = defaultdict(list)
    for when, path in arrivals:
        times[path].append(when)
    return min(
        (later - earlier for one in times.values() for earlier, later in pairwise(sorted(one))), default=math.inf
    )


def memory(folder: Path, plan: Plan) -> None:
    print(f"memory: {plan.waiters:,} waiters in one process, started at once; idle is Airflow's own")

    def traced(kind: str) -> float:
        with server(folder, plan) as at, waiting(kind, plan, at, 0, "tracemalloc") as pipe:
            pipe.recv()
            seen: Seen = pipe.recv()
        return seen.bytes_each

    for kind, size in each_at_once(traced, ("idle", "ours")).items():
        print(f"  {kind}, tracemalloc: {size / 1e3:.2f} KB a waiter")
    # One after the other: here the time counts.
    for kind in ("idle", "ours"):
        fires = kind == "ours"
        with server(folder, plan) as at, waiting(kind, plan, at, fires * 120, "RSS") as pipe:
            pipe.recv()
            happened = at.happen([*dict.fromkeys(plan.awaited_by(kind))]) if fires else 0.0
            seen: Seen = pipe.recv()
        print(f"  {kind}, RSS: {seen.bytes_each / 1e3:.2f} KB a waiter")
        print(f"    loop late while they start: {seen.lateness(seen.marks['started'], seen.marks['all started'])}")
        print(f"    loop late while they wait: {seen.lateness(seen.marks['all started'], seen.marks['waited'])}")
        if fires:
            last = max(when for when, _ in seen.fired.values()) - happened
            print(f"    loop late while all fire: {seen.lateness(happened)}")
            print(f"    {len(seen.fired):,} fired, the last {last:.2f} s after the event")


def limited(folder: Path, plan: Plan, retry_after: float) -> None:
    print(f"limited: {plan.waiters:,} waiters; after a while each answer is 429 with Retry-After: {retry_after:g}, and "
          "then 401; no latency")  # fmt: skip

    def refused(kind: str) -> tuple[list[float], Seen]:
        with server(folder, plan) as at, waiting(kind, plan, at, plan.interval + retry_after + 2 * GRACE) as pipe:
            wait_until(pipe.recv() + plan.interval)
            refused_from = time.monotonic()
            at.refuse("429", retry_after=retry_after)
            while not (arrivals := [when for when, _ in at.arrivals() if when > refused_from]):
                wait_until(time.monotonic() + 0.1)
            wait_until(arrivals[0] + retry_after)
            at.refuse("status", status=401)
            seen: Seen = pipe.recv()
            return [when - arrivals[0] for when, _ in at.arrivals() if when >= arrivals[0]], seen

    for kind, (arrivals, seen) in each_at_once(refused, tuple(NAMES)).items():
        early = [each for each in arrivals if each < retry_after]
        print(f"  {NAMES[kind]}: {len(early):,} requests before the time, the last {early[-1]:.2f} s after the first; "
              f"{len(arrivals) - len(early):,} after it; {len(seen.fired):,} waiters ended")  # fmt: skip
        for reason, times in Counter(event["reason"] for _, event in seen.fired.values()).most_common(1):
            print(f"    {times:,} of them: {reason}")


def each_at_once(measured: Callable[[str], T], kinds: tuple[str, ...]) -> dict[str, T]:
    """Measure all kinds at the same time, for counts only."""
    with ThreadPoolExecutor() as threads:
        return dict(zip(kinds, threads.map(measured, kinds), strict=True))


def wait_until(when: float) -> None:
    time.sleep(max(when - time.monotonic(), 0))  # noqa: TID251  # waits for no request


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure waiters.")
    arguments.add_argument("what", nargs="*", default=["shared", "memory", "limited"])
    arguments.add_argument("--waiters", type=int, default=1000)
    arguments.add_argument("--many", type=int, default=10_000, help="waiters of `memory`")
    arguments.add_argument("--campaigns", type=int, default=20)
    arguments.add_argument("--people", type=int, default=500, help="in each campaign before anybody waits")
    arguments.add_argument("--interval", type=float, default=10)
    arguments.add_argument("--latency", type=float, default=1.5)
    arguments.add_argument(
        "--intervals", type=int, default=2, help="how many are counted; in the last one things happen"
    )
    arguments.add_argument("--retry-after", type=float, default=30)
    given = arguments.parse_args()
    plan = Plan(given.waiters, given.campaigns, given.people, given.interval, given.latency)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "shared" in given.what:
            shared(folder, plan, given.intervals)
        if "memory" in given.what:
            memory(folder, replace(plan, waiters=given.many))
        if "limited" in given.what:
            limited(folder, replace(plan, latency=0), given.retry_after)


if __name__ == "__main__":
    main()
