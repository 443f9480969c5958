"""The operator that brings many people into a campaign."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import json_argument
from airflow_provider_salesblink.links import CampaignLink
from airflow_provider_salesblink.operators.approvals import Approval, run_of
from airflow_provider_salesblink.operators.load_base import LoadOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.planned_load import PlannedLoad


class _LeftOut:
    """Stands for None where the caller gave nothing, and not a None that came from somewhere."""

    def __repr__(self) -> str:
        return "None"


LEFT_OUT: Any = _LeftOut()


class AddProspectsOperator(LoadOperator):
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
        sets them, and never adds; ``mirror`` adds, sets, and unsubscribes people who are there but have no row.
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
    :param opt_out_scope: ``account`` adds nobody who opted out in any campaign that the key sees, and refuses people if
        another campaign does not show whether they did. The classic API takes a look-up of each person for it; on v1,
        the load reads the account's opt-outs in bulk. ``campaign`` checks this campaign only.
    :param suppression_path: a file of people who must not be mailed, on any object storage (templated): one address,
        domain, or SHA-256 of a normalized address a line. A file that cannot be read stops the load.
    :param rejected_path: where to write the refused rows with their reasons, as JSON lines (templated).
    :param outcomes_path: where to write the outcome of every row, as JSON lines without addresses (templated). Also if
        the load fails after it has read all rows.
    :param approved_plan: the output of ``ApproveLoadOperator``, a dict or its text (templated). The load makes its
        plan again, and fails before it sends anything if it would do more than what was approved.
    :param daily_new_people: the most new people to add in a day, by all loads of the key that set it together
        (templated). When the day's people are added, the task is deferred until the next day. Default: no limit.
    :param sending_window: the hours in which people are added, such as "Mon-Fri 09:00-17:00 Europe/Berlin" (templated).
        Outside of them the task is deferred. Updates and unsubscribes do not wait. Default: always.
    :param defer_after: a task that would wait longer than this many seconds for the shared rate limit, or for people
        that another load is adding, is deferred: it holds no worker slot meanwhile, and then continues.
    :param settle: the most seconds to wait until people that SalesBlink accepted show in the campaign, before they are
        sent again (API v1 only: it imports people later). Default: 5 minutes and the connection's ``timeout``.
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds to be deferred after 429s. Other deferrals do not count.
    """

    template_fields = ("campaign_id", *LoadOperator.template_fields, "list_id", "approved_plan")
    operator_extra_links = (CampaignLink(),)

    def __init__(
        self,
        *,
        campaign_id: str,
        list_id: str | None = None,
        allow_other_campaigns: bool = False,
        approved_plan: Any = LEFT_OUT,  # noqa: ANN401
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.list_id = list_id
        self.allow_other_campaigns = allow_other_campaigns
        self._is_none_given = approved_plan is None
        self.approved_plan = None if approved_plan is LEFT_OUT else approved_plan
        # A template that finds nothing must not turn the approval off.
        self._needs_approval = self.approved_plan is not None
        self._approval: Approval | None = None
        self._run: str | None = None

    def prepare(self, context: Context) -> None:
        """Read the run's name too, because an approval is for one run."""
        super().prepare(context)
        self._run = run_of(context)
        if self._is_none_given and getattr(context.get("ti"), "map_index", -1) >= 0:
            # It may come from the list that the task is mapped over.
            self._needs_approval = True

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Load the people, no more than was approved."""
        if not self._needs_approval:
            return super().call_salesblink(client)
        approval = self._approval = Approval.of(self.approved_plan)
        approval.check(self._run, datetime.now(UTC), has_begun=self._is_resumed)
        result = super().call_salesblink(client)
        if not client.dry_run:
            approval.mark_used(datetime.now(UTC))
        return {**result, "plan_digest": approval.digest, "approved_by": approval.approved_by}

    def look_at_plan(self, planned: PlannedLoad) -> None:
        """Check that the load does no more than was approved."""
        if self._approval:
            self._approval.check_plan(planned, self.options_of_rows())
            self.log.info("The load does no more than the plan that %s approved.", self._approval.approved_by)

    def options_of_rows(self) -> dict[str, object]:
        """Return the arguments that say how the rows are read."""
        columns = json_argument("columns", self.columns, dict)
        csv_options = json_argument("csv_options", self.csv_options, dict)
        opt_outs = self.opt_out_names()
        # Their order means nothing, and that of a set differs between processes.
        names = sorted(map(str, opt_outs)) if isinstance(opt_outs, Iterable) else opt_outs
        return {"columns": columns, "csv_options": csv_options, "opt_out_columns": names}

    def target_id(self, client: SalesBlinkClient) -> str:  # noqa: ARG002
        """Return the campaign's id."""
        return self.campaign_id

    def target_options(self) -> dict[str, Any]:
        """Return the list that people are added to."""
        from airflow_provider_salesblink.loading.destination import ListChoice

        return {"list_choice": ListChoice(self.list_id, self.allow_other_campaigns)}

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
