"""Look at a campaign again, and write what changed since the look before."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.results.snapshot_store import Look
from airflow_provider_salesblink.results.snapshots import People

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client import Prospect
    from airflow_provider_salesblink.results.snapshot_store import SnapshotStore, Target

log = logging.getLogger(__name__)


def compare(
    read: Callable[[], Iterable[Prospect]], campaign_id: str, target: Target, store: SnapshotStore
) -> dict[str, Any]:
    """Read a campaign, write what changed since the last look to a file, and keep the people for the next look.

    Nothing is written unless everybody could be read. A run that is repeated keeps the file that it wrote.

    :param read: returns the people who are in the campaign now.
    :param target: the changes file.
    :return: counts and times, for XCom.
    :raises InvalidInputError: the last snapshot is damaged, or of another campaign.
    """
    store.recover(target.path)
    last = store.last()
    known = last and _found_before(last, target, store)
    return known or _new_look(read, campaign_id, target, store, last)


def _found_before(last: Look, target: Target, store: SnapshotStore) -> dict[str, Any] | None:
    """Return what the same run found before, if its changes file is there or can be written again."""
    is_there = store.has_changes_of(target)
    if last.is_for(target) and not is_there:
        store.restore_changes(last)
        is_there = True
    found = last.found() if last.is_for(target) else last.found_earlier(target)
    if found is None or not is_there:
        return None
    log.info("This run compared the campaign before, at %s: its changes file stays as it is.", found["time"])
    return found


def _new_look(
    read: Callable[[], Iterable[Prospect]], campaign_id: str, target: Target, store: SnapshotStore, last: Look | None
) -> dict[str, Any]:
    with People() as people:
        _read_last(people, store, last)
        time = _time_after(last)
        _read_now(people, read, last)
        look = Look(
            id=uuid4().hex,
            replaces=last.id if last else None,
            campaign_id=campaign_id,
            time=time,
            previous_time=last.time if last else None,
            changes_path=target.path,
            file_format=target.file_format,
            run=target.run,
            task=target.task,
            counts={**people.counts(), **people.counts_of_changes()},
            earlier=last.runs() if last else [],
        )
        store.move_to(look, people.pairs())
    return look.found()


def _read_last(people: People, store: SnapshotStore, last: Look | None) -> None:
    if last:
        people.read_earlier(store.rows())
    else:
        log.warning(
            "There is no previous snapshot at %s, so everybody in the campaign counts as new to it.",
            redacted(store.path),
        )


def _read_now(people: People, read: Callable[[], Iterable[Prospect]], last: Look | None) -> None:
    people.read(read())
    if last and last.counts["count"] and not people.counts()["count"]:
        log.warning("The campaign shows nobody, and the look before showed people: it is read a second time.")
        people.read(read())


def _time_after(last: Look | None) -> str:
    """Return the time now, later than that of the last look even if the clock was set back."""
    now = datetime.now(UTC)
    if last:
        now = max(now, datetime.fromisoformat(last.time) + timedelta(milliseconds=1))
    return now.isoformat(timespec="milliseconds")
