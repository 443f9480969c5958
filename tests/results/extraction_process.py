"""An extraction in a process of its own, which may end itself before a chosen step on the folder."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from airflow_provider_salesblink.client import SalesBlinkClient
from tests.results.extracting import extract


def end_before(step: int, folder: str) -> None:
    """Kill this process before it opens, renames or removes a file in the folder for the ``step``-th time."""
    steps = 0

    def on_event(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        changes = event in ("os.rename", "os.remove") or (event == "open" and _writes(arguments[2]))
        if changes and str(arguments[0]).startswith(folder):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


if __name__ == "__main__":
    url, key, path, now, file_format, step = sys.argv[1:]
    with SalesBlinkClient(key, url, "v1", reads_per_minute=0) as client:
        end_before(int(step), path)
        extract(client, Path(path), now=datetime.fromisoformat(now), file_format=file_format)
