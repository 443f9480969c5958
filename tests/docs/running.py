"""Running what the pages show in processes of its own."""

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
    """Run Python in a folder; what it printed."""
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def served(*arguments: str) -> Iterator[list[str]]:
    """Run the sandbox's command as a process; the lines that it greets with."""
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
    """A line of the greeting without what is another each time."""
    greeting = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", greeting)
    return re.sub(r'(key |"password": ")[\w.-]+', r"\1KEY", greeting)
