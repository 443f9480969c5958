"""The operator that brings many people into a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import Mode, OptOuts, OptOutScope
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, exactly_one, json_argument, one_of
from airflow_provider_salesblink.operators.databases import Query
from airflow_provider_salesblink.operators.files import Rows, check_path, is_same, open_rows, read_records, write_lines

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
    from airflow_provider_salesblink.loading.outcomes import Outcome
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.rows import Reject, Row

_LOST = {"rows_path": "the rows", "suppression_path": "the list", "rejected_path": "the refused rows"}


class AddProspectsOperator(SalesBlinkOperator):
    """Bring the people of a file, a query or a list into a campaign, nobody twice and nobody lost.

    Reads the campaign once, decides for each row, then sends what differs. It may run as often as you like: a task that
    was killed or cleared finishes the job when it runs again. People who are unsubscribed in the campaign are never
    changed. Rows that cannot be loaded are refused; the others are sent anyway, and then the task fails if more than
    ``max_rejected`` were refused.

    XCom: ``outcome`` "loaded", ``campaign_id``, ``mode``, counts (``rows``, ``added``, ``updated``, ``unsubscribed``,
    ``there``, ``opted_out``, ``repeats``, ``rejected``, ...), ``rejected_path``, None if nothing was refused, and
    ``outcomes_path``.

    :param campaign_id: the campaign's id (templated).
    :param rows: the people, a list of columns -> values, also as JSON text (templated). They pass through Airflow's
        database where they come from XCom; prefer ``rows_path``.
    :param rows_path: a CSV, JSON or Parquet file on any object storage (templated).
    :param sql: a query, or the name of a ``.sql`` file next to the DAG (templated). Its rows are read as a stream.
        Exactly one of the three.
    :param sql_conn_id: the Airflow connection of the query's database (templated): any with a ``DbApiHook``.
    :param sql_parameters: the values of the query's placeholders, a list or a dict, as its driver takes them
        (templated).
    :param columns: the source's column names -> SalesBlink's; only these are loaded (templated). Default: all.
    :param csv_options: how the CSV file is written, where its header does not show it: ``delimiter``, ``quotechar``,
        ``escapechar``, ``encoding``, ``skip_rows`` (templated).
    :param opt_out_columns: the source's columns that say who opted out (templated). They are read, and not sent. An
        empty list says that no column does, however one is called.
    :param list_id: the list to add people to; None for the campaign's only list (templated; API v1 only).
    :param allow_other_campaigns: add people although another running campaign uses the list and will mail them too (API
        v1 only).
    :param mode: ``insert`` adds people who are not there; ``upsert`` also sets the fields that differ; ``update`` only
        sets them, and never adds; ``mirror`` adds, sets, and unsubscribes people who are there but in no row.
    :param fill_empty: set only fields that are empty in SalesBlink, in any mode but ``insert``.
    :param max_in_flight: the most calls at once.
    :param max_rejected: how many rows may be refused without the task failing.
    :param max_unsubscribes: the most unsubscribes of a mirror, as a share of the campaign's subscribed people.
        It does not limit people who opted out according to a row or the suppression file.
    :param max_adds: the most people to add, in any mode: a whole number, or a share of the people in the campaign, from
        0.0 to 1.0 (templated). The task fails before it sends anything if there are more. Default: no limit.
    :param max_updates: the most people to update; likewise (templated).
    :param opt_outs: what all modes but ``insert`` do with people in the campaign who opted out according to a row or
        the suppression file: ``unsubscribe`` them, or ``skip`` them. In no mode are they added or changed.
    :param opt_out_scope: ``account`` looks up each person to be added, and adds nobody who opted out in any campaign
        that the key sees; it refuses people if another campaign does not show whether they did. ``campaign`` checks
        this campaign only.
    :param suppression_path: a file of people who must not be mailed, on any object storage (templated): one address,
        domain, or SHA-256 of a normalized address a line. A file that cannot be read stops the load.
    :param rejected_path: where to write the refused rows with their reasons, as JSON lines (templated).
    :param outcomes_path: where to write the outcome of every row, as JSON lines without addresses (templated). Also if
        the load fails after it has read all rows.
    :param defer_after: a task that would wait longer than this many seconds for the shared rate limit, or for people
        that another load is adding, is deferred: it holds no worker slot meanwhile, and then continues.
    :param settle: the most seconds to wait until people that SalesBlink accepted show in the campaign, before they are
        sent again (API v1 only: it imports people later). Default: 5 minutes and the connection's ``timeout``.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds to be deferred after 429s.
    """

    template_fields = (
        "campaign_id",
        "rows",
        "rows_path",
        "sql",
        "sql_conn_id",
        "sql_parameters",
        "columns",
        "csv_options",
        "opt_out_columns",
        "suppression_path",
        "rejected_path",
        "outcomes_path",
        "max_adds",
        "max_updates",
        "list_id",
        "salesblink_conn_id",
    )
    template_ext = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        rows: Iterable[Mapping[str, Any]] | str | None = None,
        rows_path: str | os.PathLike[str] | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        sql_parameters: Sequence[Any] | Mapping[str, Any] | str | None = None,
        columns: Mapping[str, str] | str | None = None,
        csv_options: Mapping[str, Any] | str | None = None,
        opt_out_columns: Iterable[str] | str | None = None,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
        mode: Mode = "insert",
        fill_empty: bool = False,
        max_in_flight: int = 8,
        max_rejected: int = 0,
        max_unsubscribes: float = 0.1,
        max_adds: float | str | None = None,
        max_updates: float | str | None = None,
        opt_outs: OptOuts = "unsubscribe",
        opt_out_scope: OptOutScope = "account",
        suppression_path: str | os.PathLike[str] | None = None,
        rejected_path: str | os.PathLike[str] | None = None,
        outcomes_path: str | os.PathLike[str] | None = None,
        defer_after: float = 120,
        settle: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("mode", mode, get_args(Mode))
        one_of("opt_outs", opt_outs, get_args(OptOuts))
        one_of("opt_out_scope", opt_out_scope, get_args(OptOutScope))
        self.campaign_id = campaign_id
        self.rows = rows
        self.rows_path: str | None = path_text(rows_path)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters
        self.columns = columns
        self.csv_options = csv_options
        self.opt_out_columns = opt_out_columns
        self.list_id = list_id
        self.allow_other_campaigns = allow_other_campaigns
        self.mode = mode
        self.fill_empty = fill_empty
        self.max_in_flight = max_in_flight
        self.max_rejected = max_rejected
        self.max_unsubscribes = max_unsubscribes
        self.max_adds = max_adds
        self.max_updates = max_updates
        self.opt_outs = opt_outs
        self.opt_out_scope = opt_out_scope
        self.suppression_path: str | None = path_text(suppression_path)
        self.rejected_path: str | None = path_text(rejected_path)
        self.outcomes_path: str | None = path_text(outcomes_path)
        self.defer_after = defer_after
        self.settle = settle
        self._done_before: dict[str, Any] = {}
        self._is_resumed = False
        self._result: dict[str, Any] = {}

    def mask_personal_data(self) -> None:
        """Keep the rows out of Airflow's log and UI: thousands of addresses are too many to mask one by one."""
        if isinstance(self.rows, Iterable) and not isinstance(self.rows, _OutOfSight | dict):
            self.rows = _OutOfSight(self.rows)
        super().mask_personal_data()

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Continue counting where the task was deferred."""
        self._done_before = saved.get("done_before", {})
        self._is_resumed = True

    def state_to_save(self, limited: RateLimitedError) -> dict[str, Any]:
        """Return what was sent before the task was deferred, so that the last part can report it too."""
        report: Report | None = getattr(limited, "report", None)
        return {"done_before": report.done() if report else self._done_before}

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Load the people."""
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.loading import Guards, LoadFailedError, OptOutRules, RunOptions, load
        from airflow_provider_salesblink.loading.destination import ListChoice

        exactly_one(rows=self.rows, rows_path=self.rows_path, sql=self.sql)
        if self.sql is None and (self.sql_conn_id is not None or self.sql_parameters is not None):
            raise AirflowFailException("sql_conn_id and sql_parameters are for sql, and the rows do not come from it.")
        if self.mode != "update":
            self.check_reservations_are_shared(client)
        validation.number("defer_after", self.defer_after, 0)
        if self.settle is not None:
            validation.number("settle", self.settle, 0)
        check_path(self.suppression_path, "suppression_path")
        self._prepare_output("rejected_path")
        self._prepare_output("outcomes_path", "rejected_path", keep=self._is_resumed)
        suppression_path = None if self.suppression_path is None else ObjectStoragePath(self.suppression_path)
        try:
            report = load(
                client,
                self.campaign_id,
                self._source(),
                mode=self.mode,
                fill_empty=self.fill_empty,
                opt_outs=OptOutRules(
                    suppression_path=suppression_path, in_campaign=self.opt_outs, scope=self.opt_out_scope
                ),
                guards=Guards(self.max_rejected, self.max_unsubscribes, self.max_adds, self.max_updates),
                run=RunOptions(
                    max_in_flight=self.max_in_flight,
                    owner=self.owner_name,
                    list_choice=ListChoice(self.list_id, self.allow_other_campaigns),
                    longest_wait=self.defer_after,
                    settling_time=self.settle,
                    done_before=self._done_before,
                    earlier_outcomes=self._earlier_outcomes(),
                ),
                on_rejects=self._keep,
                on_outcomes=self._write_outcomes if self.outcomes_path is not None else None,
            )
        except LoadFailedError as failed:
            done = {name: number for name, number in self._summary(failed.report).items() if isinstance(number, int)}
            counts = ", ".join(f"{name} {number:,}" for name, number in done.items() if number)
            self.log.error("Before the load failed: %s.", counts or "nothing was done")
            if failed.permanent:
                raise AirflowFailException(f"{failed}{self._where_rejects_are(failed.report)}") from failed
            raise
        return self._summary(report)

    def _prepare_output(self, argument: str, *others: str, keep: bool = False) -> None:
        """Check that an output file can be written, before anybody is sent, and empty what an earlier run left there.

        :param others: more arguments with paths that must be other files.
        :param keep: whether to keep what an earlier part of the same load left there.
        """
        path: str | None = getattr(self, argument)
        check_path(path, argument)
        if path is None:
            return
        for other in ("rows_path", "suppression_path", *others):
            if is_same(path, getattr(self, other)):
                raise AirflowFailException(
                    f"{argument} is {other}: {_LOST[other]} would be overwritten. Name another file."
                )
        if not keep:
            write_lines(path, (), argument)

    def _earlier_outcomes(self) -> Iterable[dict[str, Any]]:
        return read_records(self.outcomes_path) if self.outcomes_path is not None and self._is_resumed else ()

    def _write_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        if self.outcomes_path is not None:
            write_lines(self.outcomes_path, (each.as_json_line() for each in outcomes), "outcomes_path")

    def _source(self) -> Iterable[Row | Reject]:
        from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings

        columns = json_argument("columns", self.columns, dict)
        csv_options = json_argument("csv_options", self.csv_options, dict)
        opt_out_columns = self.opt_out_columns
        if isinstance(opt_out_columns, str) and opt_out_columns.lstrip().startswith("["):
            opt_out_columns = json_argument("opt_out_columns", opt_out_columns, list)
        elif isinstance(opt_out_columns, str):
            opt_out_columns = [opt_out_columns]
        if self.rows_path is not None:
            self.log.info("Loading %s into campaign %s.", self.rows_path, self.campaign_id)
            return Rows(open_rows, self.rows_path, columns, csv_options, opt_out_columns)
        if self.sql is not None:
            query = self._query()
            self.log.info(
                "Loading the rows of a query of connection %s into campaign %s.", query.conn_id, self.campaign_id
            )
            return Rows(query.open, columns, opt_out_columns)
        given = self.rows.given if isinstance(self.rows, _OutOfSight) else self.rows
        rows = json_argument("rows", given, list)
        return Rows(lambda: nullcontext(from_mappings(rows or (), ColumnNames(columns, opt_out_columns))))

    def _query(self) -> Query:
        if self.csv_options is not None:
            raise AirflowFailException("csv_options is for CSV files, and the rows come from sql.")
        return Query.of(self.sql, self.sql_conn_id, self.sql_parameters)

    def _keep(self, rejects: Iterable[Reject]) -> None:
        from airflow_provider_salesblink.loading.report import as_json_lines

        if self.rejected_path is not None:
            write_lines(self.rejected_path, as_json_lines(rejects), "rejected_path")

    def _where_rejects_are(self, report: Report) -> str:
        if not report.first_rejects:
            return ""
        if self.rejected_path:
            return f" All: {self.rejected_path}"
        # The sentence before shows the first ones.
        is_complete = report.planned.rejected <= len(report.first_rejects)
        return "" if is_complete else " Set rejected_path to get them all."

    def _summary(self, report: Report) -> dict[str, Any]:
        result = report.for_xcom()
        result["rejected_path"] = self.rejected_path if result["rejected"] or result["not_unsubscribed"] else None
        result["outcomes_path"] = self.outcomes_path
        self._result = result
        return result

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return the load for OpenLineage: the source, the campaign, and the number of people written."""
        from airflow_provider_salesblink.operators import lineage

        campaign = lineage.campaign_of(self.outlets, self.campaign_id, self.salesblink_conn_id)
        return lineage.of_load(
            campaign=campaign,
            rows_path=self.rows_path,
            query=None if self.sql is None else self._query,
            inlets=self.inlets,
            result=self._result,
        )


class _OutOfSight:
    """Rows that show as their number only, or, while they are JSON text, as text.

    :param given: the rows.
    """

    def __init__(self, given: Iterable[Mapping[str, Any]] | str) -> None:
        self.given = given if isinstance(given, str) else list(given)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.given)

    def __repr__(self) -> str:
        return "<rows as text>" if isinstance(self.given, str) else f"<{len(self.given):,} rows>"
