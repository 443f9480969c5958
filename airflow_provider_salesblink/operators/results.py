"""Operators that bring results back: what happened to the mails of a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.argument_types import check_flag, path_text
from airflow_provider_salesblink.choices import ALL, FeedName, FileFormat, PeopleAs
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.asset_cursors import AssetCursors
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, one_of, outcome
from airflow_provider_salesblink.operators.files import fail_for_good
from airflow_provider_salesblink.operators.reports import CampaignReportOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
    from airflow_provider_salesblink.results.cursor import CursorStore
    from airflow_provider_salesblink.results.extract import Extraction
    from airflow_provider_salesblink.results.folder import Folder
    from airflow_provider_salesblink.results.windows import Plan

__all__ = ["CampaignReportOperator", "ExtractEventsOperator"]

FEEDS = get_args(FeedName)


class ExtractEventsOperator(SalesBlinkOperator):
    """Write what happened to mails to files: each event once, late ones included. It needs SalesBlink's API v1.

    There is one file for each feed and UTC day, such as ``sent/2026-11-25.jsonl``. Each run reads what came since the
    last one, and ``lookback`` before that, because events may arrive late. An event that a file has is never written
    again, and a file without new events is not touched. The cursor moves after the files are written. It is in the
    state of the first asset in ``outlets`` on Airflow 3.3, else in ``_cursor.json`` next to the files of each feed.

    Which time a run reads:

    - ``since`` and ``until`` are set, or the run is a backfill with a data interval: exactly that time. The cursor is
      neither used nor moved.
    - A scheduled run: from the cursor to the end of its data interval, or to a minute ago if that is earlier.
    - Any other run: from the cursor to a minute ago.

    Without a cursor, it begins at ``since``, or at the first event.

    XCom: ``outcome`` "extracted", ``path``, ``read`` and ``new`` (numbers of events), ``days`` (the UTC days whose
    files changed, also in an earlier run that failed), and ``feeds`` with the numbers of each feed. The events of
    assets in ``outlets`` carry the same, and the days as partitions where Airflow has them (3.3).

    :param feeds: some of "sent", "opens", "clicks", "replies" and "reports" (bounces, unsubscribes and errors), or one.
    :param output_path: the folder for the files (any object storage; templated).
    :param campaign_id: the campaign (sequence) whose events to extract (templated); None or "all" for all.
    :param since: where the first run begins: ISO text (templated) or a ``datetime`` with a time zone.
    :param until: the end of the time to extract, not included, in the same forms; None for now.
    :param lookback: how late an event may arrive, as text such as "3d" or "12h", or as a ``timedelta``.
    :param file_format: "jsonl" or "parquet" (needs the extra ``parquet``).
    :param people: "hash" writes a keyed hash of each address, the same as in an outcomes file; "address" writes the
        address too; "none" neither. Except with "address", addresses in other texts are replaced.
    :param bodies: write the texts of replies too.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    :raises ValueError: ``feeds``, ``file_format`` or ``people`` is not one of the words, or ``bodies`` not a boolean.
    """

    template_fields: Sequence[str] = ("output_path", "campaign_id", "since", "until", "salesblink_conn_id")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        feeds: Iterable[FeedName],
        output_path: str | os.PathLike[str],
        campaign_id: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        lookback: str | timedelta = "3d",
        file_format: FileFormat = "jsonl",
        people: PeopleAs = "hash",
        bodies: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("file_format", file_format, get_args(FileFormat))
        one_of("people", people, get_args(PeopleAs))
        check_flag("bodies", bodies)
        self.feeds = _feeds(feeds)
        self.output_path: str = path_text(output_path)
        self.campaign_id = campaign_id
        self.since = since
        self.until = until
        self.lookback = lookback
        self.file_format: FileFormat = file_format
        self.people: PeopleAs = people
        self.bodies = bodies
        self._extraction: Extraction | None = None
        self._earlier: dict[str, Any] = {}
        self._now: datetime | None = None
        self._context: Context | dict[str, Any] = {}

    def prepare(self, context: Context) -> None:
        """Convert the arguments, and keep the context: it says which run this is."""
        super().prepare(context)
        self._context = context

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Extract the events."""
        from airflow_provider_salesblink.results.extract import Extraction, ExtractOptions

        folder, campaign_id = _folder(self.output_path), self._wanted()
        options = ExtractOptions(
            self.feeds, self._plan(), campaign_id, self.file_format, self.people, bodies=self.bodies
        )
        self._extraction = Extraction(client, folder, self._store(folder, campaign_id), options, self._earlier)
        try:
            self._extraction.run(self._now)
        except (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise AirflowFailException(
                f"output_path {self.output_path!r} cannot be used ({type(error).__name__}: {error.filename}): every "
                "worker must be able to write files there."
            ) from error
        return self._result()

    def state_to_save(self, limited: RateLimitedError) -> dict[str, Any]:  # noqa: ARG002
        """Return what is extracted already."""
        if self._extraction is None:
            return {}
        return {"extracted": self._extraction.state(), "now": self._extraction.now.isoformat()}

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Take over what was extracted before the deferral."""
        from airflow_provider_salesblink.results.windows import parse_time

        self._earlier = saved.get("extracted", {})
        self._now = parse_time("now", saved.get("now"))

    def _report(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        result = super()._report(context, result)
        _announce(self.outlets, context.get("outlet_events"), result)
        if self._extraction:
            self._extraction.mark_reported(result["days"])
        return result

    def _result(self) -> dict[str, Any]:
        reports = self._extraction.reports if self._extraction else {}
        return outcome(
            "extracted",
            path=self.output_path,
            read=sum(each.read for each in reports.values()),
            new=sum(each.new for each in reports.values()),
            days=self._extraction.changed_days() if self._extraction else [],
            feeds={feed: {"read": each.read, "new": each.new} for feed, each in reports.items()},
        )

    def _plan(self) -> Plan:
        from airflow_provider_salesblink.results.windows import Plan, parse_length, parse_time

        since, until = parse_time("since", self.since), parse_time("until", self.until)
        lookback = parse_length("lookback", self.lookback)
        if not lookback:
            self.log.warning("lookback is 0, so events that arrive late are missed. The default is 3d.")
        if since is not None and until is not None:
            return Plan(since, until, lookback, is_fixed=True)
        start, end = (
            parse_time(name, self._context.get(name)) for name in ("data_interval_start", "data_interval_end")
        )
        kind = _run_type(self._context)
        if kind == "backfill" and (start is None or start == end):
            raise AirflowFailException(
                "This backfill has no data interval, so it is not known which time to extract. Give the DAG a "
                "timetable with intervals, such as CronDataIntervalTimetable, or pass since and until."
            )
        if kind in (None, "backfill") and start is not None and end is not None and start < end:
            return Plan(start, end, lookback, is_fixed=True)
        if kind == "scheduled" and end is not None:
            return Plan(since, min(end, until or end), lookback, redo_from=start)
        return Plan(since, until, lookback)

    def _wanted(self) -> str | None:
        """Return the id of the only campaign to extract; None for all."""
        from airflow_provider_salesblink.client import validation

        return None if self.campaign_id in (None, ALL) else validation.identifier("campaign_id", self.campaign_id)

    def _store(self, folder: Folder, campaign_id: str | None) -> CursorStore:
        from airflow_provider_salesblink.results.cursor import CursorFiles

        stores: Any = self._context.get("asset_state_store")
        for outlet in self.outlets if stores is not None else ():
            try:
                return AssetCursors(stores[outlet], self.output_path.rstrip("/"), campaign_id)
            except (KeyError, TypeError):
                # An alias has no state.
                continue
        return CursorFiles(folder, campaign_id)


def _folder(path: str | None) -> Folder:
    """Return the folder that ``output_path`` means.

    :raises AirflowFailException: the path is empty, "None" (its template found nothing), a file, or cannot be used.
    """
    from airflow_provider_salesblink.results.folder import Folder

    if path is None or path.strip() in ("", "None"):
        raise AirflowFailException(f"output_path is {path!r}: its template found nothing. Give the path of a folder.")
    with fail_for_good("output_path", path):
        found = ObjectStoragePath(path)
        is_file = found.is_file()
    if is_file:
        raise AirflowFailException("output_path is a file: pass the path of a folder, which holds a file for each day.")
    return Folder(found.fs, found.path)


def _feeds(feeds: Any) -> list[FeedName]:  # noqa: ANN401  # anything that a DAG may pass
    try:
        given: list[FeedName] = [feeds] if isinstance(feeds, str) else list(feeds)  # type: ignore[list-item]
    except TypeError:
        raise ValueError(f"feeds is {feeds!r}; it takes a list of {', '.join(map(repr, FEEDS))}.") from None
    for each in given:
        one_of("feeds", each, FEEDS)
    if not given:
        raise ValueError(f"feeds is empty; it takes some of {', '.join(map(repr, FEEDS))}.")
    return list(dict.fromkeys(given))


def _run_type(context: Any) -> str | None:  # noqa: ANN401  # also a plain dict
    kind = getattr(context.get("dag_run"), "run_type", None)
    return None if kind is None else str(getattr(kind, "value", kind))


def _announce(outlets: Sequence[Any], events: Any, result: dict[str, Any]) -> None:  # noqa: ANN401
    """Put the result into the events of the assets in ``outlets``, with the days as their partitions."""
    for outlet in outlets if events is not None else ():
        if not hasattr(outlet, "uri"):
            continue
        event = events[outlet]
        event.extra.update(result)
        days = [day for day in result["days"] if day[0].isdigit()]
        if days and hasattr(event, "add_partitions"):
            event.add_partitions(days)
