"""Log what a load is going to do, and about how long it takes, before the first write."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, get_args

from airflow_provider_salesblink.loading.plan_steps import Action
from airflow_provider_salesblink.loading.progress import in_words, seconds_for
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT

if TYPE_CHECKING:
    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.options import RunOptions
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.report import Report

log = logging.getLogger(__name__)


def log_plan(destination: Destination, plan: Plan, report: Report) -> None:
    """Log the plan."""
    counts = plan.counts
    log.info(
        "%s %s holds %s people; %s rows: %s to add, %s to update, %s to unsubscribe, %s there, %s opted out, "
        "%s repeats, %s refused.",
        destination.place.capitalize(),
        report.campaign_id,
        *(f"{number:,}" for number in (
            counts.in_campaign, counts.rows, counts.add, counts.update, counts.unsubscribe + counts.opt_out,
            counts.there, counts.opted_out, counts.repeats, counts.rejected,
        )),
    )  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """How many requests a load takes from here on.

    :param writes: requests that change something; each may add ``batch`` people.
    :param look_ups: reads that look people up in other campaigns.
    :param seconds: about how long they take at the rate limit; 0 without one.
    :param adds: requests among the writes that add people.
    :param days: on how many days people are added, if no other load adds any; 0 without a limit for a day.
    """

    writes: int
    look_ups: int
    seconds: float
    adds: int
    batch: int
    days: int

    @classmethod
    def of(
        cls, client: SalesBlinkClient, destination: Destination, plan: Plan, run: RunOptions, *, looks_up: bool
    ) -> Estimate:
        """Return the requests for what a plan has still to send."""
        people, batch = plan.to_send("add"), destination.batch_size
        adds = ceil(people / batch)
        writes = adds + sum(plan.calls_to_send(action) for action in get_args(Action) if action != "add")
        # With many people a call, opt-outs are read in bulk.
        look_ups = people if looks_up and batch == 1 else 0
        seconds = max(seconds_for(writes, client.writes_per_minute), seconds_for(look_ups, client.reads_per_minute))
        days = ceil(people / run.new_people_a_day) if run.new_people_a_day else 0
        return cls(writes, look_ups, seconds, adds, batch, days)


def log_duration(
    client: SalesBlinkClient, destination: Destination, plan: Plan, report: Report, run: RunOptions, *, looks_up: bool
) -> None:
    """Log how many requests the plan takes, and about how long."""
    found = Estimate.of(client, destination, plan, run, looks_up=looks_up)
    _log_schedule(plan.to_send("add"), found.days, run)
    writes, batch, seconds = found.writes, found.batch, found.seconds
    if client.dry_run or not writes:
        not_sent = " (dry run: not sent, and nobody is looked up in other campaigns)" if writes else ""
        log.info("Writes: %s%s. Reads of the campaign: %s.", f"{writes:,}", not_sent, report.reads)
        return
    details = [
        f"; {batch} people a call" * (batch > 1),
        f"; look-ups in other campaigns: {found.look_ups:,}, {_at(client.reads_per_minute)}" * bool(found.look_ups),
    ]
    log.info(
        "Writes to send: %s, %s%s: %s. Reads of the campaign: %s so far, %s more meanwhile, and %s.",
        f"{writes:,}",
        _at(client.writes_per_minute),
        "".join(details),
        f"about {in_words(seconds)}" if seconds else "no waiting for the limit",
        report.reads,
        int(seconds * found.adds / writes / LONGEST_UNSENT),
        "some to see that SalesBlink has imported everybody" if destination.settling_time
        else "one for each round of adds in which answers are lost",
    )  # fmt: skip


def _log_schedule(people: int, days: int, run: RunOptions) -> None:
    if people and run.sending_window:
        log.info("People are added only in the sending_window: %s.", run.window.text if run.window else "")
    if days:
        log.info(
            "New people to add: %s, at most %s a day (daily_new_people): at least %s.",
            f"{people:,}", f"{run.new_people_a_day:,}", f"{days:,} days" if days > 1 else "1 day",
        )  # fmt: skip


def _at(per_minute: int) -> str:
    return f"at {per_minute} a minute" if per_minute else "with no rate limit set"
