"""What deciding on a row costs, next to another revision: ``bench_plan.py [--against REV] [--rows N]``.

Reads a CSV file and decides what to do with each row, without a network. Half of the people are new, or one in 100 is.
The two revisions take turns, each time in a process of its own; the figures are CPU time, the least of all turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODES = ("insert", "upsert", "mirror")
ONE_NEW_IN = (100, 2)
TURNS = 5

ONE_TURN = """
import io, sys, time
from airflow_provider_salesblink.loading.plan import Plan
from airflow_provider_salesblink.loading.rows import ColumnNames, from_csv

try:
    from airflow_provider_salesblink.loading.planner import Planner as planner_of
except ImportError:  # a revision in which the plan decides itself
    planner_of = lambda plan: plan

mode, many, one_in = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = [(f"first{n}.last{n}@company{n % 997}.com", f"First {n}", f"Company {n % 997}") for n in range(many)]
file = io.BytesIO(("Email,First Name,Company\\n" + "".join(f"{e},{f},{c}\\n" for e, f, c in rows)).encode())
people = [
    {"id": str(n), "email": e, "campaign_id": "c", "unsubscribed": False, "raw": {},
     "fields": {"Email": e, "First Name": f, "Company": c}}
    for n, (e, f, c) in enumerate(rows) if n % one_in
]
began = time.process_time()
plan = Plan(mode)
plan.compare_with(people)
planner_of(plan).decide(from_csv(file, ColumnNames()))
print((time.process_time() - began) / many * 1e6)
assert (plan.counts.add, plan.counts.there) == (many // one_in, many - many // one_in), plan.counts
"""


def one_turn(folder: Path, *arguments: object) -> float:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", ONE_TURN, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def compare(other: Path, revision: str, rows: int) -> None:
    for one_in, mode in product(ONE_NEW_IN, MODES):
        turns = [[one_turn(folder, mode, rows, one_in) for folder in (ROOT, other)] for _ in range(TURNS)]
        ours, theirs = (min(times) for times in zip(*turns, strict=True))
        figures = f"{ours:.1f} us a row, {theirs:.1f} us at {revision}: {ours / theirs:.2f} times"
        print(f"{mode}, one of {one_in} is new: {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="HEAD", help="the revision to compare the working tree with")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        worktree = ("git", "worktree")
        subprocess.run([*worktree, "add", "--quiet", "--detach", str(other), options.against], cwd=ROOT, check=True)
        try:
            compare(other, options.against, options.rows)
        finally:
            subprocess.run([*worktree, "remove", "--force", str(other)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
