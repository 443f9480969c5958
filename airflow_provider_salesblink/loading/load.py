"""One load from its rows to its report."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_salesblink.client import inputs
from airflow_provider_salesblink.client.errors import RateLimitedError, SalesBlinkError
from airflow_provider_salesblink.loading.plan import Mode, Plan
from airflow_provider_salesblink.loading.report import FIRST_REASONS, LoadFailedError, Report
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT, reservations, wait_for_earlier_run
from airflow_provider_salesblink.loading.send import Sender
from airflow_provider_salesblink.loading.unclear import Unclear
from airflow_provider_salesblink.loading.unfinished import Fingerprinted, age, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
    from airflow_provider_salesblink.loading.rows import Reject, Row
    from airflow_provider_salesblink.loading.unfinished import Memory

__all__ = ["Mode", "load"]

log = logging.getLogger(__name__)

MOST_UNSUBSCRIBES = 0.1


@dataclass(frozen=True)
class CampaignOfClient:
    """A campaign that a client reaches, as a place where people go."""

    client: SalesBlinkClient
    campaign_id: str
    unclear: Unclear

    def people(self) -> Iterable[Prospect]:
        """Everybody in the campaign."""
        return self.client.prospects.each(self.campaign_id)

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
            self.client.prospects.doubts.confirm(prospect_id, who)


def load(
    client: SalesBlinkClient,
    campaign_id: str,
    source: Iterable[Row | Reject],
    *,
    mode: Mode = "insert",
    max_in_flight: int = 8,
    max_rejected: int = 0,
    max_unsubscribes: float = MOST_UNSUBSCRIBES,
    longest_wait: float = math.inf,
    owner: str | None = None,
    settle: float | None = None,
    on_rejects: Callable[[Iterable[Reject]], None] = lambda _: None,
    done_before: Mapping[str, Any] | None = None,
    memory: Memory | None = None,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251
) -> Report:
    """Bring the people of ``source`` into a campaign; nobody twice, whatever happens to the answers.

    The whole plan is made before anything is sent. Running it again finishes what an earlier run left.

    :param source: the rows, as the functions of :mod:`rows` give them. With a ``memory`` it may be read twice.
    :param mode: ``insert`` adds those who are not there; ``upsert`` also sets the fields that differ; ``mirror`` also
        unsubscribes those who are there but in no row.
    :param max_in_flight: how many calls at once at most.
    :param max_rejected: how many rows may be refused without the load being a failure; the others are sent anyway.
    :param max_unsubscribes: most unsubscribes of a mirror, as a share of those who are subscribed in the campaign.
    :param longest_wait: most seconds that a call waits for the shared budget.
    :param owner: a name for this load that stays the same when it is started again; a random one by default.
    :param settle: seconds for which the server may still be at work on what an earlier run sent before it was killed,
        or another load whose reservations were lost; by default as long as the client waits for an answer.
    :param on_rejects: called once with the rows that were refused, if there are any.
    :param done_before: what the ``report.done()`` of an earlier part of the same load said; it is counted in.
    :param memory: where an interrupted load keeps what is left to do, so that the next run need not read the campaign
        again as long as the last reading is young enough.
    :raises LoadFailedError: too many rows were refused, or a mirror would unsubscribe too many.
    :raises RateLimitedError: SalesBlink, or the budget for longer than ``longest_wait``, allows no more for now; its
        ``report`` says what is done.
    :raises SalesBlinkError: SalesBlink cannot be reached, or refuses. What was sent is found there by the next run.
    """
    inputs.whole_number("max_in_flight", max_in_flight, 1)
    inputs.whole_number("max_rejected", max_rejected, 0)
    # A percentage would switch the guard off, and there is no way back.
    inputs.number("max_unsubscribes", max_unsubscribes, 0, 1)
    inputs.number("longest_wait", longest_wait, 0, math.inf)
    unclear = Unclear(client, campaign_id)
    destination = CampaignOfClient(client, campaign_id, unclear)
    plan = Plan(mode)
    report = Report(campaign_id, mode, plan.counts, dry_run=client.dry_run)
    report.go_on(done_before or {})
    settle = client.timeout if settle is None else settle
    own = reservations(client.shared, campaign_id, owner or uuid4().hex, settle=settle, sleep=sleep)
    rows = Fingerprinted(source, f"{campaign_id}/{mode}") if memory else source

    def look(through: Callable[[Iterable[Prospect]], Iterable[Prospect]] = iter) -> None:
        report.reads += 1
        plan.compare_with(through(destination.people()))

    try:
        with client.waiting_at_most(longest_wait):
            if owner and not client.dry_run:
                wait_for_earlier_run(own, settle, sleep)
            looked_at = _gone_on(plan, report, rows, memory)
            if looked_at is None:
                looked_at = time.monotonic()
                look(unclear.learn)
                report.see_again()
                plan.decide(iter(rows), unclear.refuse)
                _guard(plan, report, max_unsubscribes)
            _tell(plan, report, client)
            finished = client.dry_run
            if not client.dry_run:
                sender = Sender(
                    plan,
                    destination,
                    report,
                    reservations=own,
                    # More would only wait for the budget, maybe until their reservations have ended.
                    max_in_flight=min(max_in_flight, client.writes_per_minute or max_in_flight),
                    look=look,
                    looked_at=looked_at,
                    sleep=sleep,
                    patient=longest_wait > LONGEST_UNSENT,
                )
                try:
                    # Nor may a single call wait for so long.
                    with client.waiting_at_most(min(longest_wait, LONGEST_UNSENT)):
                        finished = sender.add()
                    sender.change()
                except SalesBlinkError:
                    # An unclear id is compared with its person, whom the memory does not hold.
                    if not unclear.has_unclear_ids:
                        _leave(plan, report, rows, memory, sender)
                    raise
                finally:
                    if not sender.in_doubt:
                        own.finish()
        _conclude(plan, report, on_rejects, max_rejected, finished=finished)
    except RateLimitedError as error:
        error.report = report
        raise
    finally:
        plan.close()
    return report


def _gone_on(plan: Plan, report: Report, rows: Iterable[Row | Reject], memory: Memory | None) -> float | None:
    """Go on from what an earlier run left; when the campaign was read for that. None: nothing to go on from."""
    left = memory.take() if memory else None
    if left is None or not isinstance(rows, Fingerprinted) or (old := age(left)) > LONGEST_UNSENT:
        return None
    plan.go_on(rows, left)
    if rows.fingerprint != left["input"]:
        plan.forget()
        return None
    report.go_on(left["done"])
    log.info("Going on where this task was %.0f s ago, without reading the campaign again.", old)
    return time.monotonic() - old


def _leave(plan: Plan, report: Report, rows: Iterable[Row | Reject], memory: Memory | None, sender: Sender) -> None:
    # Who is in doubt has to be looked for.
    if memory and isinstance(rows, Fingerprinted) and not sender.in_doubt:
        left = kept(plan, report, rows, sender.looked_at)
        if left is not None:
            memory.keep(left)


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
    if counts.unreadable and counts.unsubscribe:
        # Somebody whose row cannot be read would be taken for somebody who is gone, and there is no way back.
        report.held_back = plan.drop("unsubscribe")
        counts.unsubscribe = 0
        log.warning(
            "%s people are in no row, but %s rows cannot be read: nobody is unsubscribed.",
            f"{report.held_back:,}", f"{counts.unreadable:,}",
        )  # fmt: skip
    elif counts.unsubscribe > max_unsubscribes * counts.subscribed:
        raise LoadFailedError(
            f"The mirror would unsubscribe {counts.unsubscribe:,} of {counts.subscribed:,} people, more than "
            f"max_unsubscribes={max_unsubscribes:g} allows; nothing was sent. Check the source, or allow more.",
            report,
            permanent=True,
        )


def _tell(plan: Plan, report: Report, client: SalesBlinkClient) -> None:
    counts = plan.counts
    log.info(
        "Campaign %s holds %s people; %s rows: %s to add, %s to update, %s to unsubscribe, %s there, %s opted out, "
        "%s repeats, %s refused.",
        report.campaign_id,
        *(f"{number:,}" for number in (
            counts.in_campaign, counts.rows, counts.add, counts.update, counts.unsubscribe, counts.there,
            counts.opted_out, counts.repeats, counts.rejected,
        )),
    )  # fmt: skip
    adds, updates, unsubscribes = (plan.to_send(action) for action in ("add", "update", "unsubscribe"))
    writes, pace = adds + updates + unsubscribes, client.writes_per_minute
    if client.dry_run or not writes:
        not_sent = " (dry run: not sent)" if writes else ""
        log.info("Writes: %s%s. Reads of the campaign: %s.", f"{writes:,}", not_sent, report.reads)
        return
    minutes = max(0, writes - pace) / pace if pace else 0.0
    log.info(
        "Writes to send: %s, %s. Reads of the campaign: %s so far, %s more meanwhile, and one for each round of adds "
        "in which answers are lost.",
        f"{writes:,}",
        f"at {pace} a minute: about {in_words(minutes)}" if pace else "with no budget set",
        report.reads,
        int(minutes * 60 * adds / writes / LONGEST_UNSENT),
    )


def in_words(minutes: float) -> str:
    """A length of time as people say it."""
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _conclude(
    plan: Plan, report: Report, on_rejects: Callable[[Iterable[Reject]], None], max_rejected: int, *, finished: bool
) -> None:
    rejected = plan.counts.rejected
    if rejected:
        on_rejects(plan.rejects())
        for reject, _ in zip(plan.rejects(), range(FIRST_REASONS), strict=False):
            report.first_rejects.append(f"row {reject.number}: {reject.reason}")
            log.warning("Row %d was refused: %s", reject.number, reject.reason)
    if not finished:
        raise LoadFailedError(
            "Some people could not be added for sure; those who were sent are in the campaign. Run it again.",
            report,
            permanent=False,
        )
    if rejected > max_rejected:
        others = "nothing was sent" if report.dry_run else f"the others are in campaign {report.campaign_id}"
        raise LoadFailedError(
            f"{rejected:,} of {plan.counts.rows:,} rows refused, more than max_rejected={max_rejected}; {others}. "
            f"First: {'; '.join(report.first_rejects)}",
            report,
            permanent=True,
        )
