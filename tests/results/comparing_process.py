"""A process that compares a campaign with its last snapshot, and kills itself at a given step.

``python -m tests.results.comparing_process URL KEY API CAMPAIGN PREVIOUS CHANGES RUN STEP``. STEP is ``before 1``,
``inside 1`` or ``after 1`` for the first file that is written, and so on; ``after 4`` is the removal of a file.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import IO, TYPE_CHECKING

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.results.snapshot_comparison import compare
from airflow_provider_salesblink.results.snapshot_store import SnapshotStore, Target
from tests.results.local_files import LocalFiles

if TYPE_CHECKING:
    from collections.abc import Callable


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingFiles(LocalFiles):
    """Files whose user dies at a step.

    :param die: ends the process, or raises what nobody catches.
    """

    def __init__(self, step: str, die: Callable[[], None] = kill) -> None:
        self._step = step
        self._die = die
        self._done = 0

    def replace(self, path: str, write: Callable[[IO[bytes]], None]) -> None:
        self._done += 1
        self._come_to("before")
        super().replace(path, lambda file: self._write_and_die(file, write))
        self._come_to("after")

    def delete(self, path: str) -> None:
        self._done += 1
        super().delete(path)
        self._come_to("after")

    def _write_and_die(self, file: IO[bytes], write: Callable[[IO[bytes]], None]) -> None:
        write(file)
        file.flush()
        self._come_to("inside")

    def _come_to(self, where: str) -> None:
        if f"{where} {self._done}" == self._step:
            self._die()


if __name__ == "__main__":
    url, key, api, campaign_id, previous, changes, run, step = sys.argv[1:]
    with SalesBlinkClient(key, url, api, reads_per_minute=0) as client:
        store = SnapshotStore(previous, campaign_id, DyingFiles(step))
        compare(lambda: client.prospects.each(campaign_id), campaign_id, Target(changes, "jsonl", run or None), store)
