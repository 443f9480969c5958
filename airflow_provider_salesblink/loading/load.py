"""One load from its rows to its report."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from uuid import uuid4

from airflow_provider_salesblink.choices import Mode, OptOuts, OptOutScope
from airflow_provider_salesblink.client import validation
from airflow_provider_salesblink.client.errors import InvalidInputError, NotFoundError, RateLimitedError
from airflow_provider_salesblink.loading.column_conflicts import ColumnConflicts
from airflow_provider_salesblink.loading.column_names import with_opt_outs
from airflow_provider_salesblink.loading.plan import Action, Plan
from airflow_provider_salesblink.loading.progress import Progress, in_words, seconds_for
from airflow_provider_salesblink.loading.report import FIRST_REASONS, LoadFailedError, Report
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT, reservations, wait_for_earlier_run
from airflow_provider_salesblink.loading.send import Sender
from airflow_provider_salesblink.loading.suppressions import read_suppressions
from airflow_provider_salesblink.loading.updates import Updater

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.loading.rows import Reject, Row
    from airflow_provider_salesblink.loading.suppressions import OpenablePath

__all__ = ["Mode", "OptOutScope", "load"]

log = logging.getLogger(__name__)

MOST_UNSUBSCRIBES = 0.1


@dataclass(frozen=True)
class CampaignOfClient:
    """A campaign that a client reaches, as a place where people go."""

    client: SalesBlinkClient
    campaign_id: str
    unclear: ColumnConflicts

    def people(self) -> Iterable[Prospect]:
        """Everybody in the campaign."""
        return self.client.prospects.each(self.campaign_id)

    def opted_out_elsewhere(self, address: str) -> bool | None:
        """Return whether a person opted out in any campaign of the account; None where SalesBlink does not say.

        What this campaign says of them is in the plan already.
        """
        try:
            found = self.client.prospects.search(address)
        except NotFoundError:
            return False
        if any(each["unsubscribed"] for each in found):
            return True
        elsewhere = [each for each in found if each["campaign_id"] != self.campaign_id]
        return None if any(each["unsubscribed"] is None for each in elsewhere) else False

    def add(self, columns: dict[str, str]) -> None:
        """Send one person once; a lost answer is an error that says so."""
        self.client.prospects.send(self.campaign_id, columns)

    def update(self, prospect_id: str, fields: dict[str, str], who: bytes) -> None:
        """Set fields of somebody."""
        self._confirm(prospect_id, who)
        self.client.prospects.update(prospect_id, fields)

    def unsubscribe(self, prospect_id: str, who: bytes) -> None:
        """Stop all outreach to somebody."""
        self._confirm(prospect_id, who)
        self.client.prospects.unsubscribe(prospect_id)

    def _confirm(self, prospect_id: str, who: bytes) -> None:
        if self.unclear.has_unclear_ids:
            self.client.prospects.checks.confirm(prospect_id, who)


def load(
    client: SalesBlinkClient,
    campaign_id: str,
    source: Iterable[Row | Reject],
    *,
    mode: Mode = "insert",
    max_in_flight: int = 8,
    max_rejected: int = 0,
    max_unsubscribes: float = MOST_UNSUBSCRIBES,
    opt_out_columns: Iterable[str] = (),
    suppression_path: str | os.PathLike[str] | OpenablePath | None = None,
    opt_outs: OptOuts = "unsubscribe",
    opt_out_scope: OptOutScope = "account",
    longest_wait: float = math.inf,
    owner: str | None = None,
    settling_time: float | None = None,
    on_rejects: Callable[[Iterable[Reject]], None] = lambda _: None,
    done_before: Mapping[str, Any] | None = None,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> Report:
    """Bring the people of ``source`` into a campaign; nobody twice, whatever happens to the answers.

    The whole plan is made before anything is sent. Running it again finishes what an earlier run left.

    :param source: the rows, as the functions of :mod:`rows` give them.
    :param mode: ``insert`` adds those who are not there; ``upsert`` also sets the fields that differ; ``mirror`` also
        unsubscribes those who are there but in no row.
    :param max_in_flight: how many calls at once at most.
    :param max_rejected: how many rows may be refused without the load being a failure; the others are sent anyway.
    :param max_unsubscribes: most unsubscribes of a mirror, as a share of those who are subscribed in the campaign.
        It does not limit people who opted out according to the source.
    :param opt_out_columns: names of the rows' columns that say who opted out; they are read, and not sent. Sources with
        other names for their columns take them too: :class:`ColumnNames`.
    :param suppression_path: a file of people who must not be mailed, whatever the rows say; see :class:`Suppressions`.
    :param opt_outs: what to do with people in the campaign who opted out according to a row or that file:
        ``unsubscribe`` them (in ``upsert`` and ``mirror``), or ``skip`` them. None of them is ever added or updated.
    :param opt_out_scope: ``account`` looks up each person to be added, and adds nobody who opted out in any campaign
        that the key sees. Where SalesBlink does not say it of a person, the person is refused. ``campaign`` goes by
        the campaign alone. A dry run looks nobody up.
    :param longest_wait: most seconds that a call waits for the shared budget, and the load for people that another
        load holds.
    :param owner: a name for this load that stays the same when it is started again; a random one by default.
    :param settling_time: seconds for which requests of a killed run, or of another load whose reservations were
        lost, may still take effect; by default as long as the client waits for an answer.
    :param on_rejects: called once with the rows that were refused, if there are any.
    :param done_before: what the ``report.done()`` of an earlier part of the same load said; it is counted in.
    :raises LoadFailedError: too many rows were refused, or a mirror would unsubscribe too many.
    :raises RateLimitedError: SalesBlink, the budget or another load allows no more for now, for longer than
        ``longest_wait``; its ``report`` says what is done.
    :raises SalesBlinkError: SalesBlink cannot be reached, or refuses. What was sent is found there by the next run.
    """
    campaign_id = validation.identifier("campaign_id", campaign_id)
    if client.prospects.adds_refused:
        raise InvalidInputError(client.prospects.adds_refused)
    validation.whole_number("max_in_flight", max_in_flight, 1)
    validation.whole_number("max_rejected", max_rejected, 0)
    # A percentage would switch the guard off, and there is no way back.
    validation.number("max_unsubscribes", max_unsubscribes, 0, 1)
    validation.number("longest_wait", longest_wait, 0, math.inf)
    if opt_out_scope not in get_args(OptOutScope):
        raise InvalidInputError("opt_out_scope is neither 'account' nor 'campaign'.")
    unclear = ColumnConflicts(client, campaign_id)
    destination = CampaignOfClient(client, campaign_id, unclear)
    suppressions = None if suppression_path is None else read_suppressions(suppression_path)
    is_surely_out = client.prospects.checks.is_surely_unsubscribed
    plan = Plan(mode, suppressions=suppressions, opt_outs=opt_outs, is_surely_out=is_surely_out)
    report = Report(campaign_id, mode, plan.counts, dry_run=client.dry_run)
    report.go_on(done_before or {})
    settling_time = client.timeout if settling_time is None else settling_time
    own = reservations(client.shared, campaign_id, owner or uuid4().hex, settling_time=settling_time, sleep=sleep)

    def look(through: Callable[[Iterable[Prospect]], Iterable[Prospect]] = iter) -> None:
        report.reads += 1
        with Progress("people of the campaign read") as progress:
            plan.compare_with(progress.each(through(destination.people())))

    try:
        with client.waiting_at_most(longest_wait):
            if owner and not client.dry_run:
                wait_for_earlier_run(own, settling_time, sleep)
            looked_at = time.monotonic()
            look(unclear.learn)
            report.see_again()
            with Progress("rows planned") as progress:
                plan.decide(progress.each(with_opt_outs(source, opt_out_columns)), unclear.refuse)
            _guard(plan, report, max_unsubscribes)
            look_up = opt_out_scope == "account"
            _tell(plan, report, client, look_up=look_up)
            finished = client.dry_run
            if not client.dry_run:
                # More would only wait for the budget, maybe until their reservations have ended.
                at_once = min(max_in_flight, client.writes_per_minute or max_in_flight)
                sender = Sender(
                    plan,
                    destination,
                    report,
                    reservations=own,
                    max_in_flight=at_once,
                    look=look,
                    looked_at=looked_at,
                    sleep=sleep,
                    patient=longest_wait > LONGEST_UNSENT,
                    longest_wait=longest_wait,
                    look_up=look_up,
                    writes_per_minute=client.writes_per_minute,
                    reads_per_minute=client.reads_per_minute,
                )
                updater = Updater(
                    plan, destination, report, max_in_flight=at_once, writes_per_minute=client.writes_per_minute
                )
                try:
                    updater.opt_out()
                    # Nor may a single call wait for so long.
                    with client.waiting_at_most(min(longest_wait, LONGEST_UNSENT)):
                        finished = sender.add()
                    updater.update()
                    # SalesBlink may have refused rows, too.
                    _hold_back(plan, report)
                    updater.unsubscribe()
                finally:
                    if not sender.in_doubt:
                        own.finish()
        _conclude(plan, report, on_rejects, max_rejected, finished=finished)
    except RateLimitedError as error:
        error.report = report
        raise
    finally:
        plan.close()
        if suppressions is not None:
            suppressions.close()
    return report


def _guard(plan: Plan, report: Report, max_unsubscribes: float) -> None:
    counts = plan.counts
    if plan.mode != "mirror":
        return
    if not counts.rows:
        raise LoadFailedError(
            "The input is empty, so a mirror would unsubscribe everybody; nothing was sent. Check the source.",
            report,
            permanent=True,
        )
    _hold_back(plan, report)
    if counts.unsubscribe > max_unsubscribes * counts.subscribed:
        raise LoadFailedError(
            f"The mirror would unsubscribe {counts.unsubscribe:,} of {counts.subscribed:,} people, more than "
            f"max_unsubscribes={max_unsubscribes:g} allows; nothing was sent. Check the source, or allow more.",
            report,
            permanent=True,
        )


def _hold_back(plan: Plan, report: Report) -> None:
    """Unsubscribe nobody for being in no row while a row is in doubt: it may be theirs, and there is no way back."""
    counts = plan.counts
    if counts.rejected and counts.unsubscribe:
        report.held_back += plan.drop("unsubscribe")
        counts.unsubscribe = 0
        log.warning(
            "Held back: %s people who are in no row. Rows refused: %s; as these may be theirs, nobody is unsubscribed. "
            "Mend the rows and run it again.",
            f"{report.held_back:,}", f"{counts.rejected:,}",
        )  # fmt: skip
    if counts.unclear:
        report.held_back += counts.unclear
        log.warning(
            "%s people in the campaign have an address that cannot be read: they are not unsubscribed.",
            f"{counts.unclear:,}",
        )
        counts.unclear = 0


def _tell(plan: Plan, report: Report, client: SalesBlinkClient, *, look_up: bool) -> None:
    counts = plan.counts
    log.info(
        "Campaign %s holds %s people; %s rows: %s to add, %s to update, %s to unsubscribe, %s there, %s opted out, "
        "%s repeats, %s refused.",
        report.campaign_id,
        *(f"{number:,}" for number in (
            counts.in_campaign, counts.rows, counts.add, counts.update, counts.unsubscribe + counts.opt_out,
            counts.there, counts.opted_out, counts.repeats, counts.rejected,
        )),
    )  # fmt: skip
    adds = plan.to_send("add")
    writes = sum(plan.calls_to_send(action) for action in get_args(Action))
    if client.dry_run or not writes:
        not_sent = " (dry run: not sent, and nobody is looked up in other campaigns)" if writes else ""
        log.info("Writes: %s%s. Reads of the campaign: %s.", f"{writes:,}", not_sent, report.reads)
        return
    look_ups = adds if look_up else 0
    seconds = max(seconds_for(writes, client.writes_per_minute), seconds_for(look_ups, client.reads_per_minute))
    log.info(
        "Writes to send: %s, %s%s: %s. Reads of the campaign: %s so far, %s more meanwhile, and one for each round of "
        "adds in which answers are lost.",
        f"{writes:,}",
        _at(client.writes_per_minute),
        f"; look-ups in other campaigns: {look_ups:,}, {_at(client.reads_per_minute)}" if look_ups else "",
        f"about {in_words(seconds)}" if seconds else "no waiting for the limit",
        report.reads,
        int(seconds * adds / writes / LONGEST_UNSENT),
    )


def _at(per_minute: int) -> str:
    return f"at {per_minute} a minute" if per_minute else "with no budget set"


def _conclude(
    plan: Plan, report: Report, on_rejects: Callable[[Iterable[Reject]], None], max_rejected: int, *, finished: bool
) -> None:
    rejected = plan.counts.rejected
    if rejected:
        on_rejects(plan.rejects())
        for reject, _ in zip(plan.rejects(), range(FIRST_REASONS), strict=False):
            report.first_rejects.append(f"row {reject.number}: {reject.reason.rstrip('.')}")
            log.warning("Row %d was refused: %s", reject.number, reject.reason)
        if rejected > FIRST_REASONS:
            log.warning("More rows that were refused: %s.", f"{rejected - FIRST_REASONS:,}")
    if plan.counts.opted_out_elsewhere:
        log.info("Opted out in another campaign, so not added: %s people.", f"{plan.counts.opted_out_elsewhere:,}")
    if not finished:
        raise LoadFailedError(
            "Some people could not be added for sure; those who were sent are in the campaign. Run it again.",
            report,
            permanent=False,
        )
    if rejected > max_rejected:
        others = "nothing was sent" if report.dry_run else f"the other rows are done in campaign {report.campaign_id}"
        raise LoadFailedError(
            f"{rejected:,} of {plan.counts.rows:,} rows refused, more than max_rejected={max_rejected}; {others}. "
            f"First: {'; '.join(report.first_rejects)}.",
            report,
            permanent=True,
        )
