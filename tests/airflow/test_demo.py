"""``make demo``: it loads real input twice; the second run adds nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def demo(state: Path) -> str:
    environment = {**os.environ, "DEMO_STATE": str(state)}
    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_adds_the_leads_and_a_second_one_adds_nobody(tmp_path: Path) -> None:
    first = demo(tmp_path)
    second = demo(tmp_path)

    assert "4 added" in first
    assert "4 people were added." in first
    assert "1 opted out" in first
    assert "9 people in campaign spring-2027" in first
    assert "9 people in campaign spring-2027" in second
    assert "Nobody was added" in second


def test_a_demo_whose_dag_fails_shows_the_log_and_fails(tmp_path: Path) -> None:
    (tmp_path / "airflow").write_text("in the way of the folder")
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=ROOT, env={**os.environ, "DEMO_STATE": str(tmp_path)}, capture_output=True, text=True, timeout=180,
    )  # fmt: skip

    assert done.returncode == 1
    assert "FileExistsError" in done.stderr
