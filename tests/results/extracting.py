"""What the tests of extractions share: run one, and read what it wrote."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fsspec
from pyarrow.parquet import read_table

from airflow_provider_salesblink.results.cursor import CursorFiles
from airflow_provider_salesblink.results.extract import Extraction, ExtractOptions
from airflow_provider_salesblink.results.folder import Folder
from airflow_provider_salesblink.results.windows import SETTLING_TIME, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.sandbox.event_store import Event

MESSAGES = {
    "sent": ("Sent",), "opens": ("Opened",), "clicks": ("Clicked",), "replies": ("Replied",),
    "reports": ("Bounced", "Unsubscribed", "Error"),
}  # fmt: skip
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""The time of the runs: the sandbox shows events by their arrival, and an extraction takes the time as an argument."""
END = NOW - SETTLING_TIME
"""The end of the window of such a run."""


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def folder_of(path: Path) -> Folder:
    return Folder(fsspec.filesystem("file"), str(path))


def extract(
    client: SalesBlinkClient,
    path: Path | Folder,
    feeds: Iterable[Any] = ("sent",),
    *,
    now: datetime = NOW,
    plan: Plan | None = None,
    **options: Any,
) -> Extraction:
    """Extract into a folder, with the cursor in its file."""
    folder = path if isinstance(path, Folder) else folder_of(path)
    extraction = Extraction(
        client,
        folder,
        CursorFiles(folder, options.get("campaign_id")),
        ExtractOptions(list(feeds), plan or Plan(), **options),
    )
    extraction.run(now)
    return extraction


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of all event files in a folder, in the order of the files."""
    found: list[dict[str, Any]] = []
    for file in sorted(path.rglob("*")):
        if not file.is_file() or file.name.startswith(("_", ".")):
            continue
        if file.suffix == ".parquet":
            found += read_table(file).to_pylist()
        else:
            found += map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return found


def ids(path: Path) -> list[str]:
    return [row["id"] for row in rows(path)]


def digests(path: Path) -> dict[str, tuple[str, int]]:
    """Return the content and the time of change of each event file."""
    return {
        str(file.relative_to(path)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(("_", "."))
    }


def truth(events: Iterable[Event], feeds: Iterable[str], since: datetime | None, until: datetime) -> Counter[str]:
    """Return the ids that the files must have, each once."""
    messages = {message for feed in feeds for message in MESSAGES[feed]}
    start = 0 if since is None else ms(since)
    return Counter(event.id for event in events if event.message in messages and start <= event.time < ms(until))


def add_events(
    sandbox: Sandbox, count: int, *, until: datetime = END, every: float = 60.0, message: str = "Sent"
) -> None:
    """Add events that arrived at once, the last one ``every`` seconds before ``until``."""
    for number in range(1, count + 1):
        at = ms(until - timedelta(seconds=every * number))
        sandbox.add_event(message, email=f"p{number}@example.com", sequence_id="s1", time_ms=at, arrives_ms=0)
