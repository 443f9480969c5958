"""What an extraction of events costs, and loses: ``python benchmarks/bench_events.py [truth] [memory] [--events N]``.

``truth``: days of runs against a sandbox with 100,000 events: 5 % arrive up to two days late, some are dated in the
future, pages move and repeat events, calls are refused and cut. Next to it, a cursor that keeps the highest time seen.
``memory``: how much memory, time and how many requests 10,000, 100,000 and 1,000,000 events take, next to a loop that
collects the pages in a list and writes it. A plain server makes up the events; it is another process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import fsspec
import requests  # noqa: TID251  # what an extraction is measured against

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_salesblink.client import SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.results.cursor import CursorFiles
from airflow_provider_salesblink.results.extract import Extraction, ExtractOptions
from airflow_provider_salesblink.results.folder import Folder
from airflow_provider_salesblink.results.windows import SETTLING_TIME, Plan
from airflow_provider_salesblink.sandbox import Sandbox, V1Rules
from airflow_provider_salesblink.sandbox.event_history import History

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

FEEDS = {"sent": ("Sent",), "opens": ("Opened",), "clicks": ("Clicked",), "replies": ("Replied",),
         "reports": ("Bounced", "Unsubscribed", "Error")}  # fmt: skip
OPERATIONS = ("v1.listSent", "v1.listOpens", "v1.listClicks", "v1.listReplies", "v1.listReports")
RUNS, STEP = 12, timedelta(hours=6)
SPAN = timedelta(days=20)
PAGE = 100


def extract(client: SalesBlinkClient, path: str, feeds: list[Any], now: datetime, **options: Any) -> Extraction:
    folder = Folder(fsspec.filesystem("file"), path)
    extraction = Extraction(client, folder, CursorFiles(folder), ExtractOptions(feeds, Plan(**options)))
    extraction.run(now)
    return extraction


def ids(path: str) -> Counter[str]:
    files = [file for file in Path(path).rglob("*.jsonl") if not file.name.startswith("_")]
    return Counter(json.loads(line)["id"] for file in files for line in file.read_text().splitlines())


# What is lost.


class HighestTimeSeen:
    """Asks only for what is later than the latest event that it has."""

    def __init__(self, client: SalesBlinkClient) -> None:
        self._client = client
        self._latest: dict[str, datetime] = {}
        self.ids: Counter[str] = Counter()

    def extract(self) -> None:
        """Read what is new in all feeds."""
        for feed in FEEDS:
            read = getattr(self._client.events, feed)
            try:
                found = list(read(since=self._latest.get(feed)))
            except SalesBlinkError:
                continue
            wanted = [each for each in found if each["message"] in FEEDS[feed]]
            new = [each for each in wanted if feed not in self._latest or each["time"] > self._latest[feed]]
            self.ids.update(each["id"] for each in new)
            if new:
                self._latest[feed] = max(each["time"] for each in new)


def truth(events: int) -> None:
    with tempfile.TemporaryDirectory() as path, Sandbox() as sandbox:
        campaign = sandbox.add_campaign("Spring")
        for number in range(1000):
            sandbox.add_person(campaign, {"Email": f"p{number}@example.com"})
        sandbox.fill_events(History(events=events))
        sandbox.v1 = V1Rules(feed_moves=20, feed_repeats=50)
        for operation in OPERATIONS:
            sandbox.fault(operation, "reset", share=0.02)
            sandbox.fault(operation, "429", share=0.02, retry_after=0)
        now = datetime.now(UTC) - RUNS * STEP
        sandbox.advance(-(RUNS * STEP).total_seconds())
        with SalesBlinkClient(sandbox.key, sandbox.url, "v1", reads_per_minute=0, max_attempts=8) as client:
            naive = HighestTimeSeen(client)
            for step in [STEP] * RUNS + [timedelta(days=2)]:
                extract(client, path, list(FEEDS), now)
                naive.extract()
                now += step
                sandbox.advance(step.total_seconds())
            extract(client, path, list(FEEDS), now)
            naive.extract()
        until = (now - SETTLING_TIME).timestamp() * 1000
        messages = {message for found in FEEDS.values() for message in found}
        true = Counter(each.id for each in sandbox.events if each.message in messages and each.time < until)
        for what, found in (("an extraction", ids(path)), ("the highest time seen", naive.ids)):
            lost, twice = true - found, found - Counter(set(found))
            print(f"{what}: {true.total():,} events, {lost.total():,} lost, {twice.total():,} twice, "
                  f"{(found - true - twice).total():,} that are not due")  # fmt: skip


# What it costs.


def serve(events: int, connection: Connection) -> None:
    """Serve a feed of events that are evenly spread over :data:`SPAN`, newest first, and count the requests."""
    end = int(datetime.now(UTC).timestamp() * 1000) - 120_000
    distance = SPAN.total_seconds() * 1000 / events
    count = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave together; apart, each answer would wait for an acknowledgment.
        wbufsize = 64 * 1024

        def do_GET(self) -> None:
            nonlocal count
            count += 1
            url = urlsplit(self.path)
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items() if values[0].isdigit()}
            body = self.totals() if url.path.endswith("/analytics/daily") else self.page(query)
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def page(self, query: dict[str, int]) -> list[dict[str, Any]]:
            first = max(0, ceil((end - query.get("to", end)) / distance))
            last = min(events, int((end - query.get("from", 0)) / distance) + 1)
            start = first + (query.get("page", 1) - 1) * PAGE
            return [
                {"id": f"e{n}", "time": int(end - n * distance), "type": "mail", "message": "Sent", "sequence": "s1",
                 "email": f"p{n % 50_000}@example.com", "sender": "m1", "node": "n1", "template_name": "Hello"}
                for n in range(start, min(start + PAGE, last))
            ]  # fmt: skip

        def totals(self) -> dict[str, Any]:
            days = [datetime.fromtimestamp(end / 1000, UTC) - timedelta(days=n) for n in range(SPAN.days + 1)]
            found = [{"_id": {"date": day.date().isoformat()}, "sent": events // SPAN.days} for day in days]
            return {"success": True, "data": found}

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    connection.send(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection.recv()
    connection.send(count)


def measured(what: str, url: str, file_format: str, connection: Connection) -> None:
    """Extract in this process, and send the memory that it took above idle, in MB."""
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as path:
        if what == "list":
            in_a_list(url, path)
        else:
            with SalesBlinkClient("k", url, "v1", reads_per_minute=0) as client:
                folder = Folder(fsspec.filesystem("file"), path)
                options = ExtractOptions(["sent"], Plan(), file_format=file_format)  # type: ignore[arg-type]
                Extraction(client, folder, CursorFiles(folder), options).run()
    connection.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) // 1024)


def in_a_list(url: str, path: str) -> None:
    """Collect all pages, and write them."""
    found: list[Any] = []
    with requests.Session() as session:
        while True:
            query = {"page": str(len(found) // PAGE + 1), "per_page": str(PAGE)}
            page = session.get(f"{url}/api/public/v1.0.0/sent", params=query, timeout=60).json()
            found += page
            if len(page) < PAGE:
                break
    with (Path(path) / "events.jsonl").open("w") as file:
        file.writelines(json.dumps(event) + "\n" for event in found)


def memory(sizes: list[int]) -> None:
    context = multiprocessing.get_context("spawn")
    for events in sizes:
        for what, file_format in (("extraction", "jsonl"), ("extraction", "parquet"), ("list", "jsonl")):
            mine, other = context.Pipe()
            server = context.Process(target=serve, args=(events, other))
            server.start()
            url = mine.recv()
            here, there = context.Pipe()
            started = time.perf_counter()
            run = context.Process(target=measured, args=(what, url, file_format, there))
            run.start()
            megabytes = here.recv()
            run.join()
            seconds = time.perf_counter() - started
            mine.send("stop")
            print(f"{events:,} events, {what} as {file_format}: {megabytes} MB above idle, {seconds:.0f} s, "
                  f"{mine.recv():,} requests; the fewest are {ceil(events / PAGE):,}")  # fmt: skip
            server.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["truth", "memory", []], default=["truth", "memory"])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    if "truth" in given.what:
        truth(given.events)
    if "memory" in given.what:
        memory(given.sizes)
