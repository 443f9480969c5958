"""What the tests of reports share: rows of event files, and folders of them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow
from pyarrow.parquet import write_table

from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.results.events import COLUMNS, EventRows
from airflow_provider_salesblink.results.figures import Added, EventTally, Figures
from airflow_provider_salesblink.results.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
EVER = Window(None, datetime.max.replace(tzinfo=UTC))
MESSAGES = {"sent": "Sent", "opens": "Opened", "clicks": "Clicked", "replies": "Replied", "reports": "Bounced"}


def row(feed: str, number: int, *, days: float = 0, time: datetime | None = None, **changed: Any) -> dict[str, Any]:
    """Return a row as ExtractEventsOperator writes it. The number makes its id."""
    at = time or MONDAY + timedelta(days=days)
    usual = {
        "id": f"e{number}", "feed": feed, "time": at.isoformat(timespec="milliseconds"), "sequence_id": "c1",
        "sequence_name": "Spring", "person": f"hash{number}", "message": MESSAGES[feed], "type": "outreach",
        "sender": "m1", "extra": {},
    }  # fmt: skip
    return {**dict.fromkeys(COLUMNS), **usual, **changed}


def write_events(folder: Path, rows: Iterable[dict[str, Any]], suffix: str = ".jsonl") -> Path:
    """Write rows to a file for each feed and day."""
    files: dict[Path, list[dict[str, Any]]] = {}
    for each in rows:
        files.setdefault(folder / each["feed"] / f"{(each['time'] or 'undated')[:10]}{suffix}", []).append(each)
    for path, found in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, found)
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        texts = [{**each, "extra": json.dumps(each["extra"])} for each in rows]
        write_table(
            pyarrow.Table.from_pylist(texts, pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])), path
        )
        return
    content = "".join(json.dumps(each) + "\n" for each in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def figures_of(
    *rows: dict[str, Any],
    window: Window = EVER,
    campaign_id: str | None = None,
    added: Added = "first_mails",
    now: datetime = NOW,
) -> Figures:
    """Return the figures of rows."""
    tally = EventTally(window, campaign_id, EventRows(AddressHash("", api_key="key")).reference)
    tally.add(rows, now)
    found = tally.figures({}, added)
    tally.close()
    return found
