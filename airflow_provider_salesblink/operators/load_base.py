"""What the operators that load many people have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.choices import Mode, OptOuts, OptOutScope
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, exactly_one, json_argument, one_of
from airflow_provider_salesblink.operators.databases import Query
from airflow_provider_salesblink.operators.files import Rows, check_path, is_same, open_rows, read_records, write_lines

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkClient
    from airflow_provider_salesblink.loading.outcomes import Outcome
    from airflow_provider_salesblink.loading.planned_load import PlannedLoad
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.rows import Reject, Row

_LOST = {
    "rows_path": "the rows",
    "suppression_path": "the list",
    "rejected_path": "the refused rows",
    "outcomes_path": "the outcomes",
}


class LoadOperator(SalesBlinkOperator):
    """What the operators that load many people have in common; their arguments are those of AddProspectsOperator."""

    template_fields: Sequence[str] = (
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
        "daily_new_people",
        "sending_window",
        "salesblink_conn_id",
    )
    template_ext = (".sql",)
    output_arguments: tuple[str, ...] = ("rejected_path", "outcomes_path")
    """The arguments that name files to write."""
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        rows: Iterable[Mapping[str, Any]] | str | None = None,
        rows_path: str | os.PathLike[str] | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        sql_parameters: Sequence[Any] | Mapping[str, Any] | str | None = None,
        columns: Mapping[str, str] | str | None = None,
        csv_options: Mapping[str, Any] | str | None = None,
        opt_out_columns: Iterable[str] | str | None = None,
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
        daily_new_people: int | str | None = None,
        sending_window: str | None = None,
        defer_after: float = 120,
        settle: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        one_of("mode", mode, get_args(Mode))
        one_of("opt_outs", opt_outs, get_args(OptOuts))
        one_of("opt_out_scope", opt_out_scope, get_args(OptOutScope))
        self.rows = rows
        self.rows_path: str | None = path_text(rows_path)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters
        self.columns = columns
        self.csv_options = csv_options
        self.opt_out_columns = opt_out_columns
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
        self.daily_new_people = daily_new_people
        self.sending_window = sending_window
        # A template that finds nothing must not turn them off.
        self._schedule_arguments = [
            name for name in ("daily_new_people", "sending_window") if getattr(self, name) is not None
        ]
        self.defer_after = defer_after
        self.settle = settle
        self._done_before: dict[str, Any] = {}
        self._is_resumed = False
        self._result: dict[str, Any] = {}

    @abstractmethod
    def target_id(self, client: SalesBlinkClient) -> str:
        """Return the id of the campaign or list to load into."""

    @abstractmethod
    def target_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`RunOptions` that say how to load into it."""

    def mask_personal_data(self) -> None:
        """Keep the rows out of Airflow's log and UI: thousands of addresses are too many to mask one by one."""
        if isinstance(self.rows, Iterable) and not isinstance(self.rows, _OutOfSight | dict):
            self.rows = _OutOfSight(self.rows)
        super().mask_personal_data()

    def begin_run(self) -> None:
        """Empty the output files: whatever fails, nobody takes what an earlier run left for this one's.

        A file that cannot be written leaves the others empty all the same.
        """
        with ExitStack() as stack:
            for number, argument in enumerate(self.output_arguments):
                others = self.output_arguments[:number]
                stack.callback(self._empty_output, argument, ("rows_path", "suppression_path", *others))

    def _empty_output(self, argument: str, others: Iterable[str]) -> None:
        """Empty an output file, unless it is the file of another argument.

        :raises AirflowFailException: it is, or it cannot be written.
        """
        path = path_text(getattr(self, argument))
        if not isinstance(path, str):
            # None, or an error as soon as the arguments are checked: no file is meant.
            return
        check_path(path, argument)
        for other in others:
            given = path_text(getattr(self, other))
            if isinstance(given, str) and is_same(path, given):
                raise AirflowFailException(
                    f"{argument} is {other}: {_LOST[other]} would be overwritten. Name another file."
                )
        write_lines(path, (), argument)

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
        from airflow_provider_salesblink.loading import LoadFailedError

        try:
            report = self.run_load(client)
        except LoadFailedError as failed:
            self._summary(failed.report)
            done = {name: number for name, number in failed.report.when_failed().items() if isinstance(number, int)}
            counts = ", ".join(f"{name} {number:,}" for name, number in done.items() if number)
            self.log.error("Counts when the load failed: %s.", counts or "no rows")
            if failed.permanent:
                raise AirflowFailException(f"{failed}{self._where_rejects_are(failed.report)}") from failed
            raise
        return self._summary(report)

    def look_at_plan(self, planned: PlannedLoad) -> None:
        """Look at the plan before anything is sent; an error stops the load."""

    def run_load(self, client: SalesBlinkClient) -> Report:
        """Check the arguments, and load the people.

        :raises LoadFailedError: the load did not do everything. Its ``report`` says what it did.
        """
        from airflow_provider_salesblink.client import validation
        from airflow_provider_salesblink.loading import Guards, OptOutRules, RunOptions, load

        exactly_one(rows=self.rows, rows_path=self.rows_path, sql=self.sql)
        if self.sql is None and (self.sql_conn_id is not None or self.sql_parameters is not None):
            raise AirflowFailException("sql_conn_id and sql_parameters are for sql, and the rows do not come from it.")
        for name in self._schedule_arguments:
            if getattr(self, name) is None:
                raise AirflowFailException(f"{name} is None: its template found nothing; nothing was sent.")
        if self.mode != "update":
            self.check_reservations_are_shared(client)
        validation.number("defer_after", self.defer_after, 0)
        if self.settle is not None:
            validation.number("settle", self.settle, 0)
        check_path(self.suppression_path, "suppression_path")
        suppression_path = None if self.suppression_path is None else ObjectStoragePath(self.suppression_path)
        return load(
            client,
            self.target_id(client),
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
                **self.target_options(),
                longest_wait=self.defer_after,
                settling_time=self.settle,
                done_before=self._done_before,
                earlier_outcomes=self._earlier_outcomes(),
                daily_new_people=self.daily_new_people,
                sending_window=self.sending_window,
            ),
            on_rejects=self._keep,
            on_outcomes=self._write_outcomes if self.outcomes_path is not None else None,
            on_plan=self.look_at_plan,
        )

    def _earlier_outcomes(self) -> Iterable[dict[str, Any]]:
        return read_records(self.outcomes_path) if self.outcomes_path is not None and self._is_resumed else ()

    def _write_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        if self.outcomes_path is not None:
            write_lines(self.outcomes_path, (each.as_json_line() for each in outcomes), "outcomes_path")

    def _source(self) -> Iterable[Row | Reject]:
        from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings

        columns = json_argument("columns", self.columns, dict)
        csv_options = json_argument("csv_options", self.csv_options, dict)
        opt_out_columns = self.opt_out_names()
        if self.rows_path is not None:
            self.log.info("Loading %s.", self.rows_path)
            return Rows(open_rows, self.rows_path, columns, csv_options, opt_out_columns)
        if self.sql is not None:
            query = self._query()
            self.log.info("Loading the rows of a query of connection %s.", query.conn_id)
            return Rows(query.open, columns, opt_out_columns)
        given = self.rows.given if isinstance(self.rows, _OutOfSight) else self.rows
        rows = json_argument("rows", given, list)
        return Rows(lambda: nullcontext(from_mappings(rows or (), ColumnNames(columns, opt_out_columns))))

    def opt_out_names(self) -> Iterable[str] | None:
        """Return the names in ``opt_out_columns``, which may be one name, or a list as JSON text."""
        given = self.opt_out_columns
        if not isinstance(given, str):
            return given
        return json_argument("opt_out_columns", given, list) if given.lstrip().startswith("[") else [given]

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
