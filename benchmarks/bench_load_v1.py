"""What a load costs on the API v1: ``python benchmarks/bench_load_v1.py [published] [bad-day] [--rows N]``.

``published``: new people into an empty campaign within the published rate limits, the same people again, and as many
others; next to a ``requests.Session`` that sends the same batches and checks nothing. ``bad-day``: calls whose answers
are lost or failing, imports that take a minute, lose people, and are late with removing duplicates.
The sandbox answers over a socket and refuses what is too much. It says who would have got mail, and how often.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests  # noqa: TID251  # what a load is measured against

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.loading import Guards, RunOptions, load
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from airflow_provider_salesblink.sandbox import Limits, Sandbox, V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.loading import Report

READS, WRITES = 30, 15
BATCH = 500
FAULTS: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "reset", "when": "after"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "when": "after"},
]


def people(many: int, start: int = 0) -> list[dict[str, str]]:
    return [{"Email": f"p{number}@example.com", "First Name": f"P{number}"} for number in range(start, start + many)]


class Run:
    """Loads into one campaign of a sandbox, and what they cost."""

    def __init__(self, sandbox: Sandbox, folder: str) -> None:
        self.sandbox = sandbox
        self.campaign = sandbox.add_campaign("Spring")
        self.client = SalesBlinkClient(
            sandbox.key, sandbox.url, "v1", pacing_url=f"file://{folder}/shared.sqlite", timeout=120,
            reads_per_minute=READS, writes_per_minute=WRITES,
        )  # fmt: skip

    def load(self, what: str, rows: list[dict[str, str]], settle: float | None = None) -> Report:
        """Load rows, and print what that cost."""
        before, started = len(self.sandbox.requests), time.perf_counter()
        guards, run = Guards(max_rejected=len(rows)), RunOptions(settling_time=settle)
        report = load(self.client, self.campaign, from_mappings(rows, ColumnNames()), guards=guards, run=run)
        seconds, sent = time.perf_counter() - started, self.sandbox.requests[before:]
        reads = sum(request.method == "GET" for request in sent)
        refused = sum(request.status == 429 for request in sent)
        print(f"{what}: {len(rows):,} rows in {seconds:.0f} s; {len(sent) - reads} writes, {reads} reads, "
              f"{refused} answers 429; {report.added:,} added, {report.planned.there:,} there, "
              f"{report.planned.rejected:,} refused")  # fmt: skip
        return report


def published(rows: int) -> None:
    limits = Limits(reads=READS, writes=WRITES)
    with tempfile.TemporaryDirectory() as folder, Sandbox(limits=limits) as sandbox:
        run = Run(sandbox, folder)
        run.load("new people", people(rows))
        run.load("the same again", people(rows))
        run.load("as many others", people(rows, start=rows))
    with Sandbox(limits=limits) as sandbox:
        in_a_loop(sandbox, people(rows))


def in_a_loop(sandbox: Sandbox, rows: list[dict[str, str]]) -> None:
    """Send the batches with a plain session that waits a minute after a 429, twice, as a repeated script does."""
    list_id = sandbox.add_list("Spring")
    sandbox.add_campaign("Spring", lists=[list_id])
    started = time.perf_counter()
    with requests.Session() as session:
        session.headers["Authorization"] = sandbox.key
        for _ in range(2):
            for first in range(0, len(rows), BATCH):
                contacts = [
                    {"email": row["Email"], "first_name": row["First Name"]} for row in rows[first : first + BATCH]
                ]
                body = {"list_id": list_id, "contacts": contacts, "remove_duplicates": True}
                while (
                    session.post(f"{sandbox.url}/api/public/v1.0.0/contacts", json=body, timeout=60).status_code == 429
                ):
                    time.sleep(60)  # noqa: TID251
    seconds = time.perf_counter() - started
    time.sleep(1)  # noqa: TID251
    starts = Counter(start.email for start in sandbox.started)
    twice = sum(times > 1 for times in starts.values())
    print(f"requests.Session, twice: {seconds:.0f} s, {twice:,} people got their mails twice")


def bad_day(rows: int) -> None:
    rules = V1Rules(import_delay=60, dedupe_delay=5, import_loses=0.02)
    with tempfile.TemporaryDirectory() as folder, Sandbox(v1=rules) as sandbox:
        for fault in FAULTS:
            sandbox.fault("v1.addContacts", share=0.08, **fault)
        run = Run(sandbox, folder)
        report = run.load("bad day", people(rows), settle=90)
        there = Counter(person.email for person in sandbox.people())
        starts = Counter(start.email for start in sandbox.started)
    lost, twice = rows - len(there) - report.planned.rejected, sum(each > 1 for each in there.values())
    started_twice = sum(each > 1 for each in starts.values())
    print(f"  {lost} lost, {twice} twice on the list, {started_twice} started twice; {report.ambiguous}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["published", "bad-day"])
    parser.add_argument("--rows", type=int, default=10_000)
    arguments = parser.parse_args()
    for name, measure in (("published", published), ("bad-day", bad_day)):
        if name in arguments.what:
            measure(arguments.rows)
