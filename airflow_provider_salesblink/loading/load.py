"""One load from its rows to its report."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

from airflow_provider_salesblink.choices import Mode, OptOutScope
from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, RateLimitedError
from airflow_provider_salesblink.loading.account_opt_outs import AccountOptOuts
from airflow_provider_salesblink.loading.add_schedule import AddsPausedError, open_schedule
from airflow_provider_salesblink.loading.campaign_reader import CampaignReader
from airflow_provider_salesblink.loading.column_names import with_opt_outs
from airflow_provider_salesblink.loading.destination import destination_of
from airflow_provider_salesblink.loading.estimate import log_duration, log_plan
from airflow_provider_salesblink.loading.guards import Guards, hold_back_unsubscribes
from airflow_provider_salesblink.loading.options import OptOutRules, RunOptions, SendLimits
from airflow_provider_salesblink.loading.plan import Plan
from airflow_provider_salesblink.loading.planned_load import PlannedLoad, options_of
from airflow_provider_salesblink.loading.planner import Planner
from airflow_provider_salesblink.loading.progress import Progress
from airflow_provider_salesblink.loading.report import FIRST_REASONS, Report, check_rejects, not_everybody_added
from airflow_provider_salesblink.loading.reservations import HELD_FOR, LONGEST_UNSENT
from airflow_provider_salesblink.loading.reservations_retry import open_reservations, wait_for_earlier_run
from airflow_provider_salesblink.loading.reserved_columns import ReservedColumns
from airflow_provider_salesblink.loading.send import Sender
from airflow_provider_salesblink.loading.suppressions import read_suppressions
from airflow_provider_salesblink.loading.updates import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.outcomes import Outcome
    from airflow_provider_salesblink.loading.rows import Reject, Row

__all__ = ["Guards", "Mode", "OptOutRules", "OptOutScope", "RunOptions", "load"]

log = logging.getLogger(__name__)


def load(
    client: SalesBlinkClient,
    campaign_id: str,
    source: Iterable[Row | Reject],
    *,
    mode: Mode = "insert",
    fill_empty: bool = False,
    opt_outs: OptOutRules = OptOutRules(),  # noqa: B008
    guards: Guards = Guards(),  # noqa: B008
    run: RunOptions = RunOptions(),  # noqa: B008
    on_rejects: Callable[[Iterable[Reject]], None] = lambda _: None,
    on_outcomes: Callable[[Iterable[Outcome]], None] | None = None,
    on_plan: Callable[[PlannedLoad], None] = lambda _: None,
) -> Report:
    """Bring the people of ``source`` into a campaign, nobody twice, even if responses are lost.

    The whole plan is made before anything is sent. Running the load again finishes what an earlier run left.

    :param campaign_id: the campaign; or the list, if ``run.list_choice`` is a :class:`ListAlone`.
    :param source: the rows, as the functions of :mod:`rows` return them.
    :param mode: ``insert`` adds people who are not in the campaign; ``upsert`` also sets the fields that differ;
        ``update`` only sets them, and never adds; ``mirror`` adds, sets, and unsubscribes people who are in the
        campaign but have no row.
    :param fill_empty: set only fields that are empty in SalesBlink. Not with ``insert``, which sets none.
    :param opt_outs: how to find people who opted out, and what to do with them.
    :param guards: what makes the load fail.
    :param run: how the load sends, waits, and continues an earlier run.
    :param on_rejects: called once with the rejected rows, if there are any.
    :param on_outcomes: called once with the outcomes of all rows in their order, also if the load fails after it has
        read all rows. The counts of the report are then those of the outcomes.
    :param on_plan: called with the plan before anything is sent. It may raise to stop the load.
    :raises LoadFailedError: when too many rows are rejected, or the load would add, update or unsubscribe too many
        people.
    :raises RateLimitedError: when SalesBlink, the rate limit or another load would keep the load waiting for longer
        than ``run.longest_wait``. The error's ``report`` says what is done.
    :raises AddsPausedError: a :class:`RateLimitedError`: ``run.daily_new_people`` or ``run.sending_window`` let nobody
        more be added for now, however long the load may wait. Its ``retry_after`` says when to run the load again.
    :raises SalesBlinkError: when SalesBlink cannot be reached, or refuses. The next run finds what was sent.
    """
    for name, value, kind in (
        ("opt_outs", opt_outs, OptOutRules),
        ("guards", guards, Guards),
        ("run", run, RunOptions),
    ):
        if not isinstance(value, kind):
            raise InvalidInputError(f"{name} is a {type(value).__name__}: pass {kind.__name__}(...).")
    campaign_id = validation.identifier("campaign_id", campaign_id)
    _check_mode(mode, fill_empty=fill_empty)
    if client.prospects.adds_refused and mode != "update":
        raise InvalidInputError(client.prospects.adds_refused)
    with closing(_Load(client, campaign_id, mode, opt_outs, run, keeps_outcomes=on_outcomes is not None)) as this:
        try:
            with client.waiting_at_most(run.longest_wait):
                this.wait_for_earlier_run()
                this.read_campaign()
                this.plan_rows(source, fill_empty=fill_empty)
                this.check_adds()
                this.drop_what_is_done()
                this.log_plan()
                on_plan(this.planned(guards, fill_empty=fill_empty))
                guards.check(this.plan, this.report)
                this.log_duration()
                everybody_added = this.send()
            this.report_rejects(on_rejects)
            this.check_outcome(guards.max_rejected, everybody_added=everybody_added)
        except BaseException as error:
            this.report_outcomes_of_failure(on_outcomes)
            if isinstance(error, AddsPausedError) and this.plan.counts.rejected:
                # The end of the load may be days away.
                on_rejects(this.plan.rejects())
            if isinstance(error, RateLimitedError):
                error.report = this.report
            raise
        this.report_outcomes(on_outcomes)
        return this.report


def _check_mode(mode: object, *, fill_empty: object) -> None:
    if mode not in get_args(Mode):
        raise InvalidInputError(f"mode is not one of {', '.join(map(repr, get_args(Mode)))}.")
    if not isinstance(fill_empty, bool):
        raise InvalidInputError(f"fill_empty is a {type(fill_empty).__name__}: pass True or False.")
    if mode == "insert" and fill_empty:
        raise InvalidInputError("fill_empty has no effect with mode 'insert', which changes nobody: use another mode.")


class _Load:
    """A load at work: its plan, its report, and the steps in between."""

    def __init__(
        self,
        client: SalesBlinkClient,
        campaign_id: str,
        mode: Mode,
        opt_outs: OptOutRules,
        run: RunOptions,
        *,
        keeps_outcomes: bool,
    ) -> None:
        path = opt_outs.suppression_path
        self._client = client
        self._run = run
        self._opt_outs = opt_outs
        self._settling_time = run.settling_time_of(client)
        self._looks_up = opt_outs.scope == "account"
        self._conflicts = ReservedColumns(client, campaign_id)
        self._destination = destination_of(client, campaign_id, self._conflicts, run.list_choice)
        self._opt_outs_of_account = AccountOptOuts(self._destination)
        self._suppressions = None if path is None else read_suppressions(path)
        checks = client.prospects.checks
        self.plan = Plan(
            mode,
            is_surely_out=checks.is_surely_unsubscribed,
            shows_every_id=checks.shows_every_id,
            shows_columns=checks.shows_columns,
            one_call_per_update=client.prospects.sets_all_fields_at_once,
            address_hash=client.addresses if keeps_outcomes else None,
        )
        self.report = Report(campaign_id, mode, self.plan.counts, dry_run=client.dry_run, observer=client.observer)
        self.report.resume(run.done_before)
        self._reader = CampaignReader(self._destination, self.plan, self.report)
        self._reservations = open_reservations(
            client.shared,
            client.prospects.reservation_scope(campaign_id),
            run.owner or uuid4().hex,
            held_for=max(HELD_FOR, 2 * self._settling_time),
            settling_time=self._settling_time,
            sleep=run.sleep,
        )

        self._in_doubt: frozenset[int] = frozenset()
        self._has_all_rows = self._is_dry_run_through = False

    def close(self) -> None:
        """Delete the plan and the suppression list."""
        self.plan.close()
        if self._suppressions is not None:
            self._suppressions.close()

    def wait_for_earlier_run(self) -> None:
        """Wait for requests of a run that was killed. Only a load with a name of its own can have one.

        Where SalesBlink imports people later, this may take minutes: there the load looks for them before it sends.
        """
        if self._run.owner and not self._client.dry_run and not self._destination.settling_time:
            wait_for_earlier_run(self._reservations, self._settling_time, self._run.sleep)

    def read_campaign(self) -> None:
        """Read the campaign, which also shows what an earlier part of the load did."""
        self._reader.read(self._conflicts.learn)
        self.report.count_already_there()

    def plan_rows(self, source: Iterable[Row | Reject], *, fill_empty: bool) -> None:
        """Decide for each row what to do."""
        planner = Planner(
            self.plan,
            suppressions=self._suppressions,
            opt_outs=self._opt_outs.in_campaign,
            fill_empty=fill_empty,
            column_values=self._client.prospects.checks.column_values,
        )
        with (
            Progress("rows planned") as progress,
            # A row may be refused. The error must not keep the source open, which may be a transaction of a database.
            closing(progress.each(with_opt_outs(source, self._opt_outs.columns))) as rows,
        ):
            planner.decide(rows, self._conflicts.refuse)
        hold_back_unsubscribes(self.plan, self.report)
        self.plan.outcomes.continue_from(self._run.earlier_outcomes)
        self._has_all_rows = True

    def check_adds(self) -> None:
        """Check that people may be added, if the plan says to add some.

        :raises InvalidInputError: when they may not. Nothing was sent.
        """
        if self.plan.to_send("add"):
            self._destination.check_adds()

    def drop_what_is_done(self) -> None:
        """Leave out what the first reading could not show, where one call adds many people.

        It may miss people who are there, other campaigns may use the list, and lists do not show who opted out.
        """
        if self._destination.batch_size == 1:
            return
        if self.plan.to_send("add"):
            counts = self.plan.counts
            size = counts.in_campaign, counts.subscribed
            self._reader.read(is_exact=True)
            # It also shows people of other campaigns, not only of this one.
            counts.in_campaign, counts.subscribed = size
            self.plan.drop_adds_of_known()
        if self.plan.to_send("opt_out") or self.plan.to_send("unsubscribe"):
            self._opt_outs_of_account.read()
            self.plan.drop_unsubscribes(self._opt_outs_of_account.has)

    def log_plan(self) -> None:
        """Log the plan."""
        log_plan(self._destination, self.plan, self.report)

    def planned(self, guards: Guards, *, fill_empty: bool) -> PlannedLoad:
        """Return the plan, with everything else that says what the load will do."""
        options = options_of(self._client, self.report, fill_empty, self._opt_outs, guards, self._run)
        return PlannedLoad(
            self._client,
            self._destination,
            self.plan,
            self.report,
            guards,
            self._reservations,
            options,
            self._run,
            looks_up=self._looks_up,
        )

    def log_duration(self) -> None:
        """Log about how long the plan takes."""
        log_duration(self._client, self._destination, self.plan, self.report, self._run, looks_up=self._looks_up)

    def send(self) -> bool:
        """Send the plan; return whether everybody was added for sure. A dry run sends nothing.

        :raises AddsPausedError: when people may not be added today, or at this hour. Everything else is sent.
        """
        if self._client.dry_run:
            self._is_dry_run_through = True
            return True
        limits = SendLimits.of(self._client, self._destination, self._run, looks_up=self._looks_up)
        sender = Sender(
            self.plan,
            self._reader,
            self._destination,
            self._opt_outs_of_account,
            self.report,
            self._reservations,
            open_schedule(self._client, self.report.campaign_id, self._run, self._settling_time),
            limits,
        )
        updater = Updater(self.plan, self._destination, self.report, limits)
        everybody_added, pause = False, None
        try:
            updater.opt_out()
            # A single call may not wait for longer than a reading of the campaign is relied on.
            with self._client.waiting_at_most(min(self._run.longest_wait, LONGEST_UNSENT)):
                try:
                    everybody_added = sender.add()
                except AddsPausedError as error:
                    pause = error
            # Only adds wait for a day or an hour: nobody who is to be unsubscribed gets mails meanwhile.
            updater.update()
            # SalesBlink may have refused more rows.
            hold_back_unsubscribes(self.plan, self.report)
            updater.unsubscribe()
        finally:
            self._in_doubt = sender.in_doubt | updater.in_doubt
            if not sender.in_doubt:
                self._reservations.finish()
        if pause is not None:
            raise pause
        return everybody_added

    def report_rejects(self, on_rejects: Callable[[Iterable[Reject]], None]) -> None:
        """Pass on the rejected rows, and log the first of them."""
        rejected = self.plan.counts.rejected + self.plan.counts.not_unsubscribed
        if not rejected:
            return
        self.report.count_rejects(rejected)
        on_rejects(self.plan.rejects())
        for reject, _ in zip(self.plan.rejects(), range(FIRST_REASONS), strict=False):
            self.report.first_rejects.append(f"row {reject.number}: {reject.reason.rstrip('.')}")
            log.warning("Row %d was refused: %s", reject.number, reject.reason)
        if rejected > FIRST_REASONS:
            log.warning("More rows that were refused: %s.", f"{rejected - FIRST_REASONS:,}")

    def report_outcomes(self, on_outcomes: Callable[[Iterable[Outcome]], None] | None) -> None:
        """Pass on the outcomes of all rows, and take over their counts."""
        if on_outcomes is None or not self._has_all_rows:
            # What was not read has no outcome, and nothing was sent.
            return
        outcomes = self.plan.outcomes
        outcomes.conclude(self._in_doubt, is_sent=self._is_dry_run_through)
        self.report.row_outcomes = outcomes.counts()
        on_outcomes(outcomes.each())

    def report_outcomes_of_failure(self, on_outcomes: Callable[[Iterable[Outcome]], None] | None) -> None:
        """Do the same while an error is on its way. The load fails with that error, whatever happens here."""
        try:
            self.report_outcomes(on_outcomes)
        except Exception as error:  # noqa: BLE001
            log.error("The outcomes of the rows could not be written (%s).", type(error).__name__)

    def check_outcome(self, max_rejected: int, *, everybody_added: bool) -> None:
        """Check that the load did what it should.

        :raises LoadFailedError: when people could not be added for sure, or too many rows were rejected.
        """
        if elsewhere := self.plan.counts.opted_out_elsewhere:
            log.info("Opted out in another campaign or on SalesBlink's blocklist, so not added: %s.", f"{elsewhere:,}")
        if not everybody_added:
            raise not_everybody_added(self.report, self.plan.to_send("add"))
        check_rejects(self.report, max_rejected, self._destination.place)
