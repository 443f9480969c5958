"""The folder of reports that Airflow's UI shows, on any object storage."""

from __future__ import annotations

import html
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.results.report_page import GENERATOR, TITLE_END

MOST = 200
"""Reports that the list shows, the newest first."""
LARGEST = 10_000_000
"""Bytes. A report is much smaller, so a larger file is something else."""

log = logging.getLogger(__name__)

_HEAD = 4096
_MARK = f'<meta name="generator" content="{GENERATOR}">'
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_READERS = 8
# What the storages call the time at which a file was written.
_TIMES = ("mtime", "LastModified", "last_modified", "created")


@dataclass(frozen=True)
class Report:
    """A page that CampaignReportOperator wrote.

    :param name: the file's name in the folder.
    :param written: when the file was written; None if the storage does not say.
    """

    name: str
    title: str
    written: datetime | None


@dataclass(frozen=True)
class _File:
    path: str
    size: int
    written: datetime | None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def newest(folder: str) -> list[Report]:
    """Return the reports in a folder, the newest first.

    :raises FileNotFoundError: there is no such folder.
    """
    pages = [file for file in _files(folder) if _is_page(file.name)]
    pages.sort(key=lambda file: (_seconds(file.written), file.name), reverse=True)
    with ThreadPoolExecutor(_READERS) as readers:
        titles = readers.map(lambda file: _readable_title(folder, file), pages[:MOST])
        found = [(file, title) for file, title in zip(pages, titles, strict=False) if title is not None]
    return [Report(file.name, title, file.written) for file, title in found]


def content(folder: str, name: str) -> bytes | None:
    """Return a report, or the CSV file with its figures; None if there is no such report.

    ``name`` is only compared with the names in the folder, so it cannot lead out of it.

    :raises FileNotFoundError: there is no such folder.
    """
    files = {file.name: file for file in _files(folder)}
    stem = PurePosixPath(name).stem
    pages = [name] if _is_page(name) else [f"{stem}.html", f"{stem}.htm"]
    is_report = any(page in files and _readable_title(folder, files[page]) is not None for page in pages)
    if name not in files or not is_report:
        return None
    found: bytes = _storage(folder).cat_file(files[name].path)
    return found if not _is_page(name) or _mark_in(found[:_HEAD]) else None


def _is_page(name: str) -> bool:
    return name.lower().endswith((".html", ".htm"))


def _storage(folder: str) -> Any:  # noqa: ANN401  # fsspec has no types
    return ObjectStoragePath(folder).fs


def _files(folder: str) -> list[_File]:
    storage = _storage(folder)
    # A cached listing would not show what a task wrote since.
    storage.invalidate_cache()
    found = storage.ls(ObjectStoragePath(folder).path, detail=True)
    return [_File(each["name"], each["size"], _written(each)) for each in found if _is_shown(each)]


def _is_shown(info: dict[str, Any]) -> bool:
    """Return whether it is a file in the folder itself: not a link to another, and not a file that is being written."""
    name = PurePosixPath(info["name"]).name
    is_file = info["type"] == "file" and not info.get("islink") and 0 < (info["size"] or 0) <= LARGEST
    return is_file and not name.startswith((".", "_")) and name.lower().endswith((".html", ".htm", ".csv"))


def _written(info: dict[str, Any]) -> datetime | None:
    time = next((info[key] for key in _TIMES if key in info), None)
    if isinstance(time, datetime):
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return datetime.fromtimestamp(time, UTC) if isinstance(time, int | float) else None


def _seconds(time: datetime | None) -> float:
    return time.timestamp() if time else 0.0


def _readable_title(folder: str, file: _File) -> str | None:
    """Return a report's title; None also if the file cannot be read. One such file must not hide all others."""
    try:
        return _title(folder, file)
    except (FileNotFoundError, PermissionError) as error:
        log.warning("The report %s is not shown (%s).", redacted(file.name), type(error).__name__)
        return None


@lru_cache(maxsize=4 * MOST)
def _title(folder: str, file: _File) -> str | None:
    """Return a report's title; None if CampaignReportOperator did not write the file.

    A file is read once until it changes.
    """
    head: bytes = _storage(folder).cat_file(file.path, 0, min(file.size, _HEAD))
    if not _mark_in(head):
        return None
    title = _TITLE.search(head.decode(errors="replace"))
    return html.unescape(title[1]).removesuffix(TITLE_END) if title else file.name


def _mark_in(head: bytes) -> bool:
    return _MARK.encode() in head
