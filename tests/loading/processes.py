"""Real processes that load, to be raced and killed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def loader(
    sandbox: Sandbox, campaign_id: str, pacing_url: str, path: Path, owner: str, *more: str, api: str = "classic"
) -> subprocess.Popen[str]:
    """A process that is ready to load."""
    command = [sys.executable, "-m", "tests.loading.loader", sandbox.url, sandbox.key, api, campaign_id, pacing_url]
    process = subprocess.Popen(
        [*command, str(path), owner, *more], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    summary = json.loads(process.communicate(timeout=120)[0])
    assert process.returncode == 0
    return summary
