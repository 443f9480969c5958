"""A load that is planned and has not sent anything: what a person, or an approval, may look at before it begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.columns import EMAIL
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.loading.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.destination import Destination
    from airflow_provider_salesblink.loading.guards import Guards
    from airflow_provider_salesblink.loading.options import OptOutRules, RunOptions
    from airflow_provider_salesblink.loading.plan import Plan
    from airflow_provider_salesblink.loading.plan_steps import Action, Step
    from airflow_provider_salesblink.loading.report import Report
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations

_BATCH = 50_000
"""People in one question to the store of the reservations."""
_SAMPLES: dict[Action, int] = {"add": 5, "update": 3, "unsubscribe": 2, "opt_out": 2}
_COLUMNS_SHOWN, _LETTERS_SHOWN = 6, 30


@dataclass(frozen=True)
class PlannedLoad:
    """A load that has made its plan, and is about to send it.

    :param options: what decides, besides the rows, who is added where, and what is written.
    :param run: how the load waits, among others on which days it adds people.
    :param looks_up: whether the load looks people up in other campaigns before it adds them.
    """

    client: SalesBlinkClient
    destination: Destination
    plan: Plan
    report: Report
    guards: Guards
    reservations: RetryingReservations
    options: Mapping[str, object]
    run: RunOptions
    looks_up: bool

    def summary(self) -> dict[str, Any]:
        """Return what the load would do, in numbers, with a sample of the people and no addresses."""
        counts, estimate = asdict(self.plan.counts), self.estimate()
        counts.pop("subscribed")
        return {
            **counts,
            "list_id": self.list_of_adds(),
            "held_back": self.report.held_back,
            "held_by_others": self.held_by_others(),
            "writes": estimate.writes,
            "look_ups": estimate.look_ups,
            "hours": round(estimate.seconds / 3600, 2),
            "days": estimate.days,
            "stops": list(self.stops()),
            "sample": list(self.sample()),
        }

    def estimate(self) -> Estimate:
        """Return how many requests the load takes, and how long."""
        return Estimate.of(self.client, self.destination, self.plan, self.run, looks_up=self.looks_up)

    def list_of_adds(self) -> str | None:
        """Return the id of the list that people are added to; None if nobody is, or where there are no lists."""
        return self.destination.check_adds() if self.plan.to_send("add") else None

    def stops(self) -> Iterator[str]:
        """Yield why the load would fail, a sentence for each guard."""
        yield from self.guards.problems(self.plan, self.report)
        counts, allowed = self.plan.counts, self.guards.max_rejected
        if counts.rejected > allowed:
            yield (
                f"{counts.rejected:,} of {counts.rows:,} rows are refused, more than max_rejected={allowed}: the load "
                "sends the other rows, and then fails."
            )

    def held_by_others(self) -> int:
        """Return how many people to add another load is adding at this moment."""
        steps, found = self.plan.steps("add"), 0
        while people := {step.who for step in islice(steps, _BATCH)}:
            found += sum(holder.is_active for holder in self.reservations.holders(people).values())
        return found

    def sample(self) -> Iterator[dict[str, Any]]:
        """Yield some of the planned steps: what is done, the row, the masked address, and the names of the columns."""
        for action, most in _SAMPLES.items():
            for step in islice(self.plan.steps(action), most):
                yield _shown(step)


def options_of(
    client: SalesBlinkClient, report: Report, fill_empty: bool, opt_outs: OptOutRules, guards: Guards, run: RunOptions
) -> dict[str, object]:
    """Return what decides, besides the rows, who is added where, and what is written."""
    return {
        "connection": [client.shared.key_hash, client.api_version],
        "campaign_id": report.campaign_id,
        "mode": report.mode,
        "fill_empty": fill_empty,
        "opt_outs": opt_outs.in_campaign,
        "opt_out_scope": opt_outs.scope,
        **asdict(run.list_choice),
        **{name: str(value) for name, value in asdict(guards).items()},
    }


def _shown(step: Step) -> dict[str, Any]:
    names = [redacted(name)[:_LETTERS_SHOWN] for name in step.columns if name != EMAIL]
    more = ["..."] if len(names) > _COLUMNS_SHOWN else []
    return {
        "action": step.action,
        "row": step.number or None,
        "address": masked(step.columns[EMAIL]) if EMAIL in step.columns else None,
        "columns": names[:_COLUMNS_SHOWN] + more,
    }


def masked(address: str) -> str:
    """Return an address of which a person can recognize their own and learn nobody else's: ``a*** at e***.com``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}*** at {domain[:1]}***.{domain.rpartition('.')[2]}"
