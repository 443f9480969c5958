"""The operator that writes what came of a campaign as a page for people to read."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import FeedName
from airflow_provider_salesblink.links import ALL, CampaignLink, ReportLink, campaign_page
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, outcome
from airflow_provider_salesblink.operators.files import check_path, fail_for_good, open_bytes, write_lines

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.results.figures import EventTally, Figures
    from airflow_provider_salesblink.results.windows import Window

    Row = dict[str, Any]
    Time = str | datetime | None

_FOREVER = datetime.max.replace(tzinfo=UTC)


class CampaignReportOperator(SalesBlinkOperator):
    """Write a report of a campaign, or of all campaigns: one HTML page, and the same figures as CSV next to it.

    The page shows how many people were added, mailed, opened, clicked and replied, and how many mails bounced or led to
    an unsubscribe, by day and by mailbox. It needs no other file, so it can be sent by mail. It shows no address. The
    same events make the same page, byte for byte.

    With ``events_path`` the figures come from files of ``ExtractEventsOperator``; this needs no request, unless a
    campaign's name is not in them. Without it they come from SalesBlink's API v1: for all campaigns its own totals, in
    a few requests; for one campaign its events, 100 a request.

    XCom: ``outcome`` "reported", ``path``, ``csv_path``, ``campaign_id`` if there is one, the counts ``sent``,
    ``opens``, ``clicks``, ``replies``, ``bounces`` and ``unsubscribes``, and where they are known ``people_mailed`` and
    ``people_added``.

    :param output_path: the page to write, whose name ends in ``.html`` (any object storage; templated). The CSV file
        has the same name, with ``.csv``.
    :param campaign_id: the campaign's id; None or "all" for all campaigns (templated).
    :param events_path: the folder that is the ``output_path`` of ``ExtractEventsOperator`` (templated).
    :param outcomes_path: the ``outcomes_path`` of ``AddProspectsOperator``, or a folder of such files, to count the
        people who were added (templated). Name those of this campaign only: the files do not say which one it is.
    :param since: the earliest time to report on: ISO text (in UTC unless it has a time zone; templated), or a
        ``datetime`` with a time zone. None for the first event.
    :param until: the first time to leave out, in the same forms. None for the newest event.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "campaign_id",
        "events_path",
        "outcomes_path",
        "since",
        "until",
        "salesblink_conn_id",
    )
    operator_extra_links = (CampaignLink(), *((ReportLink(),) if AIRFLOW_V_3_1_PLUS else ()))

    def __init__(
        self,
        *,
        output_path: str | os.PathLike[str],
        campaign_id: str | None = None,
        events_path: str | os.PathLike[str] | None = None,
        outcomes_path: str | os.PathLike[str] | None = None,
        since: Time = None,
        until: Time = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path: str = path_text(output_path)
        self.campaign_id = campaign_id
        self.events_path: str | None = path_text(events_path)
        self.outcomes_path: str | None = path_text(outcomes_path)
        self.since = since
        self.until = until

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the events, count them, and write the report."""
        from airflow_provider_salesblink.client import validation

        check_path(self.output_path)
        csv_path = _csv_path(self.output_path)
        wanted = None if self.campaign_id in (None, ALL) else validation.identifier("campaign_id", self.campaign_id)
        now = datetime.now(UTC)
        window = self._window(now)
        if wanted is None and self.events_path is None:
            figures, title = self._of_workspace(client, _before(window, now)), "All campaigns"
        else:
            figures, title = self._of_events(client, wanted, window, now)
        self._write(figures, wanted, title, csv_path)
        campaign = {} if wanted is None else {"campaign_id": wanted}
        return outcome("reported", **{"path": self.output_path, "csv_path": csv_path, **campaign, **_counts(figures)})

    def _window(self, now: datetime) -> Window:
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.results.windows import Window, parse_time

        since, until = parse_time("since", self.since), parse_time("until", self.until)
        if since and since > now:
            raise InvalidInputError(f"since is {since.isoformat()}, which is in the future: give a time before now.")
        if since and until and since >= until:
            raise InvalidInputError("since is not before until, so the report would have no time: swap or change them.")
        return Window(since, until or _FOREVER)

    # Figures from SalesBlink itself.

    def _of_workspace(self, client: SalesBlinkClient, window: Window) -> Figures:
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.results.report_sources import workspace_figures

        if self.outcomes_path is not None:
            raise InvalidInputError("outcomes_path needs a campaign_id or an events_path: without them, leave it out.")
        with _explained():
            return workspace_figures(client, window)

    def _from_feeds(self, client: SalesBlinkClient, campaign_id: str, window: Window) -> Iterator[Row]:
        from airflow_provider_salesblink.loading.progress import in_words, seconds_for
        from airflow_provider_salesblink.results.report_sources import campaign_events, requests_for

        with _explained():
            requests = requests_for(client, campaign_id)
            rate = client.reads_per_minute
            self.log.info(
                "Reading the events of campaign %s takes up to about %s requests%s. To read them once for all reports, "
                "extract them (ExtractEventsOperator) and pass events_path.",
                *(campaign_id, f"{requests:,}"),
                f": {in_words(seconds_for(requests, rate))} at {rate} a minute" if rate else "",
            )
            yield from campaign_events(client, campaign_id, window)

    # Figures from files.

    def _of_events(
        self, client: SalesBlinkClient, wanted: str | None, window: Window, now: datetime
    ) -> tuple[Figures, str]:
        from airflow_provider_salesblink.results.event_files import OUTCOME_COLUMNS
        from airflow_provider_salesblink.results.events import EventRows
        from airflow_provider_salesblink.results.figures import EventTally

        tally = EventTally(window, wanted, EventRows(client.addresses).reference)
        with closing(tally):
            if self.events_path is not None:
                tally.add(self._from_files(window), now)
            elif wanted is not None:
                tally.add(self._from_feeds(client, wanted, _before(window, now)), now)
            if self.outcomes_path is not None:
                outcomes = _files("outcomes_path", self.outcomes_path)
                tally.add_outcomes(_rows("outcomes_path", outcomes, OUTCOME_COLUMNS))
            names = self._names(client, wanted, tally)
            figures = tally.figures(names, "first_mails" if self.outcomes_path is None else "outcomes")
            return figures, "All campaigns" if wanted is None else tally.name(wanted) or names[wanted]

    def _from_files(self, window: Window) -> Iterator[Row]:
        from airflow_provider_salesblink.results.event_files import EVENT_COLUMNS, may_overlap

        path = str(self.events_path)
        if not _is_folder(path, "events_path"):
            raise AirflowFailException(
                f"events_path {path!r} is not a folder that this worker can see. Pass the output_path of "
                "ExtractEventsOperator, or leave events_path out to read SalesBlink itself (API v1)."
            )
        folders = [ObjectStoragePath(path) / feed for feed in get_args(FeedName)]
        files = [file for folder in folders if folder.is_dir() for file in _data_files(folder)]
        files = [file for file in files if may_overlap(file.name, window)]
        self.log.info("Event files to read: %s.", f"{len(files):,}")
        return _rows("events_path", files, EVENT_COLUMNS)

    def _names(self, client: SalesBlinkClient, wanted: str | None, tally: EventTally) -> dict[str, str]:
        """Return the names of the campaigns to show, where their events have none."""
        from airflow_provider_salesblink.client import NotFoundError
        from airflow_provider_salesblink.results.figures import clean_name
        from airflow_provider_salesblink.results.report_sources import campaign_names

        unnamed = tally.unnamed()
        if wanted is None:
            return campaign_names(client, unnamed)
        if tally.name(wanted):
            return {}
        try:
            name = client.campaigns.get(wanted)["name"]
        except NotFoundError:
            # It was deleted, but what it did remains.
            if wanted not in unnamed:
                raise
            name = None
        return {wanted: clean_name(name or wanted)}

    # Writing.

    def _write(self, figures: Figures, campaign_id: str | None, title: str, csv_path: str) -> None:
        from airflow_provider_salesblink.results.report_csv import csv_lines
        from airflow_provider_salesblink.results.report_page import Heading, page
        from airflow_provider_salesblink.results.windows import parse_time

        heading = Heading(
            title=title,
            campaign_id=campaign_id,
            since=parse_time("since", self.since),
            until=parse_time("until", self.until),
            csv_name=PurePosixPath(csv_path).name,
            data_until=self._data_until(campaign_id),
        )
        # The page last: anyone who sees it finds the CSV file that it names.
        write_lines(csv_path, csv_lines(figures, title))
        write_lines(self.output_path, [page(figures, heading, _link)])

    def _data_until(self, campaign_id: str | None) -> datetime | None:
        from airflow_provider_salesblink.results.event_files import extracted_until
        from airflow_provider_salesblink.results.folder import Folder

        if self.events_path is None:
            return None
        found = ObjectStoragePath(self.events_path)
        return extracted_until(Folder(found.fs, found.path), campaign_id)


def _csv_path(path: str) -> str:
    """Return the path of the CSV file next to a page.

    :raises AirflowFailException: the page's name does not end as one.
    """
    stem, dot, end = path.rpartition(".")
    if not dot or end.lower() not in ("html", "htm"):
        raise AirflowFailException(f"output_path {path!r} is the path of the page: let it end in '.html'.")
    return f"{stem}.csv"


def _counts(figures: Figures) -> dict[str, Any]:
    from airflow_provider_salesblink.results.figures import ADDED, MEASURES

    found = {name: figures.total.events[name] for name in MEASURES}
    if figures.total.people is not None:
        found["people_mailed"] = figures.total.people["sent"]
    if figures.added == "outcomes":
        found["people_added"] = figures.total.events[ADDED]
    return found


def _before(window: Window, now: datetime) -> Window:
    return replace(window, until=min(window.until, now))


def _link(campaign_id: str) -> str:
    return "" if "@" in campaign_id else campaign_page(campaign_id)


def _is_folder(path: str, argument: str) -> bool:
    if path.strip() in ("", "None"):
        raise AirflowFailException(
            f"{argument} is {path!r}: its template found nothing. Leave it out if there is none."
        )
    with fail_for_good(argument, path):
        return bool(ObjectStoragePath(path).is_dir())


def _files(argument: str, path: str) -> list[ObjectStoragePath]:
    """Return a file, or the data files of a folder."""
    found = ObjectStoragePath(path)
    return _data_files(found) if _is_folder(path, argument) else [found]


def _data_files(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    from airflow_provider_salesblink.results.event_files import is_data_file

    return sorted((each for each in folder.iterdir() if is_data_file(each.name)), key=lambda each: each.name)


def _rows(argument: str, files: list[ObjectStoragePath], columns: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of files. Errors about their content name the file."""
    from airflow_provider_salesblink.client import InvalidInputError
    from airflow_provider_salesblink.client.redaction import redacted
    from airflow_provider_salesblink.results.event_files import read_rows

    for each in files:
        with open_bytes(str(each), argument) as file:
            try:
                yield from read_rows(file, each.name, columns)
            except InvalidInputError as error:
                raise InvalidInputError(f"{argument}: {redacted(str(each))!r} cannot be read. {error}") from None


@contextmanager
def _explained() -> Iterator[None]:
    """Say what works on the classic API, if the connection uses it."""
    from airflow_provider_salesblink.client import InvalidInputError, UnsupportedByApiError

    try:
        yield
    except UnsupportedByApiError:
        raise InvalidInputError(
            "The connection uses SalesBlink's classic API, which does not report what happened to mails; nothing was "
            "sent. Pass events_path with files that were extracted on API v1, or set the connection's extra "
            "api_version to 'v1'. On the classic API, ListProspectsOperator shows the state of each person."
        ) from None
