"""The operator that writes the results of a campaign as a page for people to read."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import ALL
from airflow_provider_salesblink.links import CampaignLink, ReportLink, campaign_page_of
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, outcome
from airflow_provider_salesblink.operators.files import check_path, write_lines
from airflow_provider_salesblink.operators.report_files import (
    csv_path_of,
    data_files,
    events_folder,
    outcome_files,
    rows_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.results.figures import Added, EventTally, Figures
    from airflow_provider_salesblink.results.folder_contents import FolderContents
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

    XCom: ``outcome`` "reported", ``path``, ``csv_path``, ``campaign_id`` if there is one, and where they are known the
    counts ``sent``, ``opens``, ``clicks``, ``replies``, ``bounces``, ``unsubscribes``, ``people_mailed`` and
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
        self._contents: FolderContents | None = None
        self.outcomes_path: str | None = path_text(outcomes_path)
        self.since = since
        self.until = until

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Read the events, count them, and write the report."""
        from airflow_provider_salesblink.client import validation

        check_path(self.output_path)
        csv_path = csv_path_of(self.output_path)
        wanted = None if self.campaign_id in (None, ALL) else validation.identifier("campaign_id", self.campaign_id)
        now = datetime.now(UTC)
        window = self._window(now)
        if wanted is None and self.events_path is None:
            names: dict[str, str] = {}
            figures = self._of_workspace(client, _before(window, now))
        else:
            figures, names = self._of_events(client, wanted, window, now)
        self._write(client, figures, wanted, names, csv_path)
        campaign = {} if wanted is None else {"campaign_id": wanted}
        return outcome("reported", **{"path": self.output_path, "csv_path": csv_path, **campaign, **_counts(figures)})

    def _window(self, now: datetime) -> Window:
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.results.windows import Window, parse_time

        since, until = parse_time("since", self.since), parse_time("until", self.until)
        if since and since > now:
            raise InvalidInputError(f"since is {since.isoformat()}, which is in the future: give a time before now.")
        if since and until and since >= until:
            raise InvalidInputError(
                f"since is {since.isoformat()}, and until is {until.isoformat()}: since must be before until, "
                "which is not included."
            )
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
        from airflow_provider_salesblink.results.known_campaign import naming_campaign
        from airflow_provider_salesblink.results.report_sources import campaign_events, requests_for

        with _explained():
            with naming_campaign(campaign_id):
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
    ) -> tuple[Figures, dict[str, str]]:
        from airflow_provider_salesblink.results.event_files import OUTCOME_COLUMNS
        from airflow_provider_salesblink.results.events import EventRows
        from airflow_provider_salesblink.results.figures import EventTally, measures_of

        tally = EventTally(window, wanted, EventRows(client.addresses).reference)
        with closing(tally):
            if self.events_path is not None:
                tally.add(self._from_files(wanted, window), now)
            elif wanted is not None:
                tally.add(self._from_feeds(client, wanted, _before(window, now)), now)
            if self.outcomes_path is not None:
                files = outcome_files(self.outcomes_path)
                tally.add_outcomes(rows_of("outcomes_path", files, OUTCOME_COLUMNS))
            names = self._names(client, wanted, tally)
            missing = self._contents.missing(wanted) if self._contents else []
            added: Added | None = "outcomes" if self.outcomes_path is not None else "first_mails"
            figures = tally.figures(names, None if added == "first_mails" and "sent" in missing else added)
            unknown = frozenset(measure for feed in missing for measure in measures_of(feed))
            return replace(figures, missing=unknown), names

    def _from_files(self, wanted: str | None, window: Window) -> Iterator[Row]:
        from airflow_provider_salesblink.results.event_files import EVENT_COLUMNS, may_overlap
        from airflow_provider_salesblink.results.folder_contents import contents_of

        path = str(self.events_path)
        self._contents = contents_of(events_folder(path), path)
        if wanted is not None:
            self._contents.check_campaign(wanted)
        folders = [ObjectStoragePath(path) / feed for feed in self._contents.feeds(wanted)]
        files = [file for folder in folders if folder.is_dir() for file in data_files(folder)]
        files = [file for file in files if may_overlap(file.name, window)]
        self.log.info("Event files to read: %s.", f"{len(files):,}")
        return rows_of("events_path", files, EVENT_COLUMNS)

    def _names(self, client: SalesBlinkClient, wanted: str | None, tally: EventTally) -> dict[str, str]:
        """Return the names of the campaigns to show; those that neither the events nor SalesBlink show are missing."""
        from airflow_provider_salesblink.client import NotFoundError
        from airflow_provider_salesblink.results.figures import clean_name
        from airflow_provider_salesblink.results.known_campaign import naming_campaign
        from airflow_provider_salesblink.results.report_sources import campaign_names

        unnamed = tally.unnamed()
        only = (self._contents and self._contents.only_campaigns) or ()
        named = {each: name for each in (*only, wanted) if each and (name := tally.name(each))}
        if wanted is None:
            return named | campaign_names(client, {*unnamed, *only} - named.keys())
        if wanted in named:
            return named
        try:
            with naming_campaign(wanted):
                name = client.campaigns.get(wanted)["name"]
        except NotFoundError:
            # It was deleted, but what it did remains.
            if wanted not in unnamed:
                raise
            name = None
        return {wanted: clean_name(name or wanted)}

    # Writing.

    def _write(
        self, client: SalesBlinkClient, figures: Figures, campaign_id: str | None, names: dict[str, str], csv_path: str
    ) -> None:
        from airflow_provider_salesblink.results.report_csv import csv_lines
        from airflow_provider_salesblink.results.report_notes import notes_of, title_of
        from airflow_provider_salesblink.results.report_page import Heading, page
        from airflow_provider_salesblink.results.windows import parse_time

        contents, since = self._contents, parse_time("since", self.since)
        heading = Heading(
            title=title_of(campaign_id, contents, names),
            campaign_id=campaign_id,
            since=since,
            until=parse_time("until", self.until),
            csv_name=PurePosixPath(csv_path).name,
            data_until=self._data_until(campaign_id),
            notes=notes_of(contents, campaign_id, since, names) if contents else [],
        )
        # The page last: anyone who sees it finds the CSV file that it names.
        write_lines(csv_path, csv_lines(figures, heading.title), "output_path (its CSV file)")
        write_lines(self.output_path, [page(figures, heading, campaign_page_of(client.base_url))])

    def _data_until(self, campaign_id: str | None) -> datetime | None:
        from airflow_provider_salesblink.results.event_files import extracted_until

        return None if self.events_path is None else extracted_until(events_folder(self.events_path), campaign_id)


def _counts(figures: Figures) -> dict[str, Any]:
    from airflow_provider_salesblink.results.figures import ADDED, MEASURES

    found = {name: figures.total.events[name] for name in MEASURES if name not in figures.missing}
    if figures.total.people is not None and "sent" in found:
        found["people_mailed"] = figures.total.people["sent"]
    if figures.added == "outcomes":
        found["people_added"] = figures.total.events[ADDED]
    return found


def _before(window: Window, now: datetime) -> Window:
    return replace(window, until=min(window.until, now))


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
