"""Extract events: read the feeds, write the files, then move the cursor."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import (
    AuthenticationError,
    NotFoundError,
    RateLimitedError,
    SalesBlinkError,
    UnsupportedByApiError,
)
from airflow_provider_salesblink.loading.progress import in_words, seconds_for
from airflow_provider_salesblink.results.changed_days import ChangedDays
from airflow_provider_salesblink.results.cursor import Cursor, Position
from airflow_provider_salesblink.results.day_files import DayFiles
from airflow_provider_salesblink.results.event_files import is_data_file
from airflow_provider_salesblink.results.events import REPORTED, EventRows
from airflow_provider_salesblink.results.feed_reader import FeedReader
from airflow_provider_salesblink.results.feed_record import load_record, record_of, save_record
from airflow_provider_salesblink.results.forgotten import forgotten_for
from airflow_provider_salesblink.results.known_campaign import naming_campaign
from airflow_provider_salesblink.results.windows import (
    EVENTS_PER_PAGE,
    Density,
    Plan,
    Window,
    expected_pages,
    in_utc,
    is_trusted,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_salesblink.choices import FeedName, FileFormat, PeopleAs
    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.results.cursor import CursorStore
    from airflow_provider_salesblink.results.feed_record import FeedRecord
    from airflow_provider_salesblink.results.folder import Folder
    from airflow_provider_salesblink.results.forgotten import ForgottenPeople

log = logging.getLogger(__name__)

_EVENTS_PER_WRITE = 20_000
"""Events after which the files are written and the cursor moves, so that an interrupted extraction goes on there."""
_MOST_EXTRAPOLATED = 2.0
"""How many times as long as the window of the last run a window may be, to be estimated from it."""
_DAY = timedelta(days=1)
_COUNTERS = {"sent": ("sent",), "opens": ("opens",), "clicks": ("clicks",), "replies": ("replies",),
             "reports": ("bounces", "unsubscribes")}  # fmt: skip


@dataclass(frozen=True)
class ExtractOptions:
    """What to extract.

    :param campaign_id: the sequence whose events to extract; None for all.
    :param people: as :class:`EventRows` takes it.
    :param bodies: whether the texts of replies are kept.
    """

    feeds: Sequence[FeedName]
    plan: Plan
    campaign_id: str | None = None
    file_format: FileFormat = "jsonl"
    people: PeopleAs = "hash"
    bodies: bool = False


@dataclass
class FeedReport:
    """What became of one feed.

    :param read: events in the window.
    :param new: events that no file had.
    :param days: the UTC days whose files changed, each with its number of new events.
    :param done_until: ISO time until which the files have everything.
    """

    read: int = 0
    new: int = 0
    days: dict[str, int] = field(default_factory=dict)
    done_until: str | None = None

    def add(self, read: int, days: dict[str, int], done_until: datetime) -> None:
        """Add what was written until a time."""
        self.read += read
        self.new += sum(days.values())
        for day, events in days.items():
            self.days[day] = self.days.get(day, 0) + events
        self.done_until = done_until.isoformat()


class Extraction:
    """One extraction. It can be continued from its :attr:`reports`.

    :param earlier: what :meth:`state` returned before the extraction was interrupted.
    """

    def __init__(
        self,
        client: SalesBlinkClient,
        folder: Folder,
        store: CursorStore,
        options: ExtractOptions,
        earlier: dict[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._folder = folder
        self._cursor = Cursor(store)
        self._options = options
        self.now = datetime.now(UTC)
        """The time of the run, which a continued one keeps: what arrives meanwhile belongs to the next run."""
        self.reports = {feed: FeedReport(**(earlier or {}).get(feed, {})) for feed in options.feeds}

    def state(self) -> dict[str, Any]:
        """Return what is done, as values that JSON has."""
        return {feed: asdict(report) for feed, report in self.reports.items()}

    def run(self, now: datetime | None = None) -> None:
        """Extract all feeds.

        :param now: the time of the run, by default the clock's.
        :raises UnsupportedByApiError: the client uses the classic API.
        :raises InvalidInputError: an option, the cursor or a file cannot be used.
        :raises SalesBlinkError: a call failed. What was read before is written.
        """
        _require_feeds(self._client, self._options.feeds)
        if not self._folder.is_atomic:
            log.warning(
                "The storage of output_path may not replace a file in one step. So each file is first written "
                "completely under a name that begins with _; if a run is interrupted while one takes its place, the "
                "next run finishes it. Do not read the files while a run writes them."
            )
        with self._folder.locked():
            for feed in self.reports:
                self._folder.repair(feed)
        self.now = now = now or datetime.now(UTC)
        windows = {feed: self._window(feed, now) for feed in self.reports}
        self._check_records()
        expected = self._expected(windows)
        self._log_estimate(windows, expected)
        for feed, window in windows.items():
            if not window.is_empty:
                self._extract(feed, window, expected[feed])
            log.info(
                "%s from %s to %s: %s events read, %s of them new.",
                feed, in_utc(window.since) if window.since else "the first event", in_utc(window.until),
                f"{self.reports[feed].read:,}", f"{self.reports[feed].new:,}",
            )  # fmt: skip

    def changed_days(self) -> list[str]:
        """Return the days whose files changed, in this run or in an earlier one that failed before it reported them."""
        own = {day for report in self.reports.values() for day in report.days}
        return sorted(own.union(*(ChangedDays(self._folder, feed).load() for feed in self.reports)))

    def mark_reported(self, days: Iterable[str]) -> None:
        """Remember that these days are reported: the next run need not do it."""
        with self._folder.locked():
            for feed in self.reports:
                ChangedDays(self._folder, feed).remove(days)

    def _window(self, feed: FeedName, now: datetime) -> Window:
        position = None if self._options.plan.is_fixed else self._cursor.position(feed)
        if position and not is_trusted(position.until, now):
            log.warning(
                "The cursor of %s is in the future, at %s: a clock was wrong. So it is not known what has been "
                "extracted, and everything since the beginning is read again. Nothing is written twice.",
                feed, in_utc(position.until),
            )  # fmt: skip
        window = self._options.plan.window(now, position.until if position else None)
        done = self.reports[feed].done_until
        if done is None:
            return window
        # An earlier part of this run has written everything before.
        return Window(max(datetime.fromisoformat(done), window.since or datetime.min.replace(tzinfo=UTC)), window.until)

    def _check_records(self) -> None:
        """Check that the files are of the same key, and that a campaign that they do not hold yet exists."""
        wanted, own = self._options.campaign_id, self._own_record()
        records = {feed: load_record(self._folder, feed) for feed in self.reports}
        for feed, earlier in records.items():
            if earlier is not None:
                own.check(earlier, feed)
        known = {each for earlier in records.values() if earlier for each in earlier.campaigns or ()}
        if wanted is None or wanted in known or self._has_cursor():
            return
        # SalesBlink returns no events for an unknown campaign, and no error.
        try:
            with naming_campaign(wanted):
                self._client.campaigns.get(wanted)
        except NotFoundError:
            # A campaign that was deleted may still have events.
            everything = Window(None, self.now)
            if not any(FeedReader(self._client, feed, wanted).finds_any(everything) for feed in self.reports):
                raise

    def _has_cursor(self) -> bool:
        return not self._options.plan.is_fixed and any(map(self._cursor.position, self.reports))

    def _own_record(self) -> FeedRecord:
        return record_of(self._client.addresses, self._options.people, self._options.campaign_id)

    def _save_record(self, feed: FeedName) -> None:
        with self._folder.locked():
            has_files = any(is_data_file(name) or name == "_cursor.json" for name in self._folder.names(feed))
            save_record(self._folder, feed, self._own_record(), has_files=has_files)

    def _extract(self, feed: FeedName, window: Window, expected: list[Density]) -> None:
        options = self._options
        is_whole = self.reports[feed].done_until is None
        forgotten = forgotten_for(self._folder, self._client.addresses)
        rows = EventRows(
            self._client.addresses, options.people, bodies=options.bodies, campaign_id=options.campaign_id,
            forgotten=forgotten,
        )  # fmt: skip
        reader = FeedReader(self._client, feed, options.campaign_id)
        with DayFiles(self._folder, feed, options.file_format) as files:
            whole = parts(window, expected)
            read, done = 0, None
            try:
                for part in whole:
                    read += reader.read(part, lambda event: files.add(rows.row(feed, event)))
                    done = part.until
                    if read >= _EVENTS_PER_WRITE and part is not whole[-1]:
                        self._write(feed, files, window, done, read, forgotten)
                        read = 0
            finally:
                # Whatever ended the reading, what was read is written, and the cursor covers the complete parts.
                self._write(feed, files, window, done, read, forgotten)
        if reader.left_out:
            log.warning(
                "SalesBlink returned %s events of %s outside the window that was asked for; they were left out.",
                f"{reader.left_out:,}", feed,
            )  # fmt: skip
        if is_whole:
            self._remember(feed, window)

    def _write(
        self, feed: FeedName, files: DayFiles, window: Window, done: datetime | None, read: int,
        forgotten: ForgottenPeople,
    ) -> None:  # fmt: skip
        if done is not None or files.has_events:
            self._save_record(feed)
        days = files.write(window, partial(forgotten.check_unchanged, self._folder))
        if done is not None:
            self.reports[feed].add(read, days, done)
            self._move_cursor(feed, Position(done))

    def _remember(self, feed: FeedName, window: Window) -> None:
        """Keep how many events there were, to estimate the next run."""
        if window.since is not None:
            seconds = (window.until - window.since).total_seconds()
            self._move_cursor(feed, Position(window.until, self.reports[feed].read, seconds))

    def _move_cursor(self, feed: FeedName, position: Position) -> None:
        if not self._options.plan.is_fixed:
            with self._folder.locked():
                self._cursor.advance(feed, position, self.now)

    # Estimates.

    def _expected(self, windows: dict[FeedName, Window]) -> dict[FeedName, list[Density]]:
        """Return how many events are expected when, from the last run or from SalesBlink's totals by day."""
        known = {feed: self._from_last_run(feed, window) for feed, window in windows.items()}
        unknown = [windows[feed] for feed, found in known.items() if not found and not windows[feed].is_empty]
        if not unknown:
            return known
        totals = self._daily_totals(unknown)
        return {feed: found or _densities(totals, feed, windows[feed].until) for feed, found in known.items()}

    def _from_last_run(self, feed: FeedName, window: Window) -> list[Density]:
        position = None if self._options.plan.is_fixed else self._cursor.position(feed)
        if window.since is None or position is None or not position.seconds:
            return []
        share = (window.until - window.since).total_seconds() / position.seconds
        if share > _MOST_EXTRAPOLATED:
            return []
        return [Density(window.since, window.until, position.events * share)]

    def _daily_totals(self, windows: list[Window]) -> list[dict[str, Any]]:
        starts = [each.since for each in windows]
        since = None if None in starts else min(each for each in starts if each is not None)
        try:
            return self._client.analytics.daily(since, max(each.until for each in windows), "UTC")
        except (RateLimitedError, AuthenticationError):
            raise
        except SalesBlinkError as error:
            log.info("SalesBlink's totals by day cannot be read, so the time that this takes is unknown: %s", error)
            return []

    def _log_estimate(self, windows: dict[FeedName, Window], expected: dict[FeedName, list[Density]]) -> None:
        requests = sum(
            expected_pages(window, expected[feed]) + (len(REPORTED) - 1) * (feed == "reports")
            for feed, window in windows.items()
            if not window.is_empty
        )
        per_minute = self._client.reads_per_minute
        seconds = seconds_for(requests, per_minute)
        log.info(
            "Reading %s takes %s %s requests of up to %s events: %s.",
            ", ".join(windows),
            # SalesBlink's totals are those of all campaigns.
            "about" if self._options.campaign_id is None else "at most about", f"{requests:,}", EVENTS_PER_PAGE,
            f"about {in_words(seconds)} at {per_minute} a minute" if seconds else "no waiting for the limit",
        )  # fmt: skip


def _densities(totals: list[dict[str, Any]], feed: FeedName, until: datetime) -> list[Density]:
    """Return the totals as densities. The day that is not over has its events before ``until``."""
    found = []
    for each in totals:
        try:
            day = datetime.fromisoformat(each["date"]).replace(tzinfo=UTC)
            events = sum(int(each.get(name) or 0) for name in _COUNTERS[feed])
            end = until if day < until < day + _DAY else day + _DAY
        except (TypeError, ValueError, KeyError, OverflowError):
            continue
        found.append(Density(day, end, max(0, events)))
    return found


def _require_feeds(client: SalesBlinkClient, feeds: Sequence[FeedName]) -> None:
    try:
        _ = client.events.sent
    except UnsupportedByApiError:
        raise UnsupportedByApiError(
            f"The connection uses SalesBlink's classic API, which does not report events ({', '.join(feeds)}); nothing "
            "was sent. Set the connection's extra api_version to 'v1'. What works on the classic API: "
            "ListProspectsOperator with changes_only=True, which writes whose state changed in a campaign."
        ) from None
