"""Run the code of the pages in separate processes."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run_python(*arguments: str, place: Path) -> str:
    """Run Python in a folder, and return its output."""
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@contextmanager
def served(*arguments: str) -> Iterator[list[str]]:
    """Run the sandbox's command, and yield the lines it prints at the start."""
    command = [sys.executable, "-m", "airflow_provider_salesblink.sandbox", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield [process.stdout.readline().rstrip("\n") for _ in range(4)]
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def without_port_and_key(greeting: str) -> str:
    """Return a line of the greeting without the parts that change: port and key."""
    greeting = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", greeting)
    return re.sub(r'(key |"password": ")[\w.-]+', r"\1KEY", greeting)
