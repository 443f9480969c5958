"""An extraction whose process is killed at each step, and extractions of several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.results.extracting import END, NOW, add_events, digests, extract, ids, ms, truth

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis("v1")

HOUR = timedelta(hours=1)
NEVER = 0


def process(
    sandbox: Sandbox, path: Path, now: datetime, step: int, file_format: str = "jsonl"
) -> subprocess.Popen[bytes]:
    command = (sandbox.url, sandbox.key, str(path), now.isoformat(), file_format, str(step))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.results.extraction_process", *command], cwd=ROOT, env=environment
    )


def assert_nothing_is_skipped(path: Path, sandbox: Sandbox) -> None:
    """Assert that what the cursor covers is written, each event once, and that no file is torn."""
    written = Counter(ids(path))
    assert set(written.values()) <= {1}
    cursor = path / "sent" / "_cursor.json"
    if cursor.exists():
        until = datetime.fromisoformat(json.loads(cursor.read_text())["until"]).astimezone(UTC)
        visible = [event for event in sandbox.events if event.arrives < ms(until)]
        assert not truth(visible, ["sent"], None, until) - written


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_extraction_that_is_killed_at_each_step_loses_nothing(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, file_format: str
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    now = NOW
    ended = 0
    for step in range(1, 40):
        add_events(sandbox, 3, until=now - 30 * HOUR, every=9 * 3600)
        run = process(sandbox, killed, now, step, file_format)
        code = run.wait(60)
        assert code in (0, -9)
        ended += code == -9
        assert_nothing_is_skipped(killed, sandbox)
        now += HOUR
        if code == 0:
            break

    extract(client, killed, now=now, file_format=file_format)
    extract(client, whole, now=now, file_format=file_format)
    assert ended >= 8
    assert Counter(ids(killed)) == truth(sandbox.events, ["sent"], None, now)
    assert {name: found[0] for name, found in digests(killed).items()} == {
        name: found[0] for name, found in digests(whole).items()
    }
    assert not list(killed.rglob("*.part"))


def test_extractions_of_several_processes_at_once_lose_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 500, every=300)

    for hours in (0, 1):
        running = [process(sandbox, tmp_path, NOW + hours * HOUR, NEVER) for _ in range(3)]
        assert [run.wait(60) for run in running] == [0] * 3
        assert_nothing_is_skipped(tmp_path, sandbox)
        add_events(sandbox, 20, until=END, every=5000)

    assert process(sandbox, tmp_path, NOW + 2 * HOUR, NEVER).wait(60) == 0
    assert Counter(ids(tmp_path)) == truth(sandbox.events, ["sent"], None, END)
