"""What the client costs and what it saves: ``python benchmarks/bench_add.py [--adds N] [--rounds N]``.

In one run, against a sandbox in a process of its own and without a budget: the rate of ``client.prospects.add`` next to
that of a bare ``requests.Session`` that posts the same JSON in a loop; and, with every fifth answer spoilt, how many
people each of them adds twice, the loop with urllib3's ``Retry`` for all methods, as users of ``HttpHook`` have it.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests  # noqa: TID251  # what the client is measured against
from requests.adapters import HTTPAdapter  # noqa: TID251
from urllib3.util import Retry

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_salesblink.client import SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.client.retry import Policy

CAMPAIGN = "spring"
SPOILT = ",".join(
    f"prospect-add={fault}@0.05"
    for fault in ("reset:when=after", "status:status=500:when=after", "reset", "status:status=503")
)
Add = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Server:
    """A sandbox in a process of its own."""

    url: str
    key: str

    def addresses(self) -> Counter[str]:
        """How often each address is in the campaign."""
        request = urllib.request.Request(f"{self.url}/api/prospects/{CAMPAIGN}", headers={"Authorization": self.key})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return Counter(person["Email"] for person in json.load(answer)["data"])


@contextmanager
def server(faults: str = "") -> Iterator[Server]:
    seed = {"campaigns": [{"id": CAMPAIGN, "name": "Spring"}]}
    file = Path(__file__).with_suffix(".seed.json")
    file.write_text(json.dumps(seed))
    command = [sys.executable, "-m", "airflow_provider_salesblink.sandbox", "--seed", str(file), "--faults", faults]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    try:
        assert running.stdout is not None
        words = running.stdout.readline().split()
        yield Server(words[words.index("at") + 1].rstrip("/"), words[words.index("key") + 1])
    finally:
        running.terminate()
        running.wait()
        file.unlink()


@contextmanager
def through_the_client(to: Server) -> Iterator[Add]:
    policy = Policy(max_attempts=12, backoff=0.0001, longest_backoff=0.001)
    with SalesBlinkClient(to.key, to.url, reads_per_minute=0, writes_per_minute=0, policy=policy) as client:
        yield lambda columns: client.prospects.add(CAMPAIGN, columns) and None


@contextmanager
def through_a_bare_session(to: Server, retry: Retry | None = None) -> Iterator[Add]:
    with requests.Session() as session:
        session.headers.update({"Authorization": to.key, "Accept": "application/json"})
        if retry:
            session.mount("http://", HTTPAdapter(max_retries=retry))

        def add(columns: dict[str, Any]) -> None:
            body = {"campaignID": CAMPAIGN, "data": columns}
            answer = session.post(f"{to.url}/api/prospect-add", json=body, timeout=30)
            answer.raise_for_status()
            answer.json()

        yield add


def rate(add: Add, name: str, adds: int) -> float:
    """Return the adds a second."""
    started = time.perf_counter()
    for number in range(adds):
        add({"First Name": "Ana", "Last Name": "Silva", "Email": f"{name}{number}@example.com", "Company": "Northwind"})
    return adds / (time.perf_counter() - started)


def compare_rates(adds: int, rounds: int) -> float:
    with server() as to, through_the_client(to) as client, through_a_bare_session(to) as bare:
        for add in (client, bare):
            rate(add, "warm", 200)
        pairs = []
        for number in range(rounds):
            # Alternately first, so that neither always has the emptier store.
            first, second = (client, bare) if number % 2 else (bare, client)
            rates = {id(add): rate(add, f"r{number}", adds) for add in (first, second)}
            pairs.append((rates[id(client)], rates[id(bare)]))
    for client_rate, bare_rate in pairs:
        print(f"  client {client_rate:7.0f}/s   bare {bare_rate:7.0f}/s   {client_rate / bare_rate:.3f}")
    client_rate, bare_rate = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"median: client {client_rate:.0f}/s, bare {bare_rate:.0f}/s, ratio {client_rate / bare_rate:.3f}")
    return client_rate / bare_rate


def spoilt(name: str, adding: Callable[[Server], Any], adds: int) -> None:
    with server(SPOILT) as to, adding(to) as add:
        failed = 0
        for number in range(adds):
            try:
                add({"Email": f"p{number}@example.com"})
            except (SalesBlinkError, requests.RequestException):
                failed += 1
        stored = to.addresses()
    twice = sum(times - 1 for times in stored.values())
    print(f"{name}: {adds} adds, {len(stored)} people, {twice} added once too often, {failed} errors")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the client.")
    arguments.add_argument("--adds", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=9)
    given = arguments.parse_args()
    logging.disable(logging.WARNING)
    print(f"{given.rounds} rounds of {given.adds} adds each, one by one:")
    compare_rates(given.adds, given.rounds)
    print("With every fifth answer spoilt:")
    every_method = Retry(total=5, status_forcelist=[500, 502, 503, 504], allowed_methods=None, backoff_factor=0)
    spoilt("client", through_the_client, given.adds)
    spoilt("session with Retry", lambda to: through_a_bare_session(to, every_method), given.adds)


if __name__ == "__main__":
    main()
