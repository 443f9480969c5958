"""Plans and approvals as they travel through XCom: read them, show them to a person, and hold a load to them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.files import open_bytes, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.loading.planned_load import PlannedLoad

DIGITS_SHOWN = 12
"""Hexadecimal digits of a digest that a person sees."""
_VALID_IN_PERSON = timedelta(hours=1)
"""The load begins right after the approval."""
_OUTCOMES = {"plan": "planned", "approved_plan": "approved"}
ACTIONS = {
    "add": "add",
    "update": "update",
    "unsubscribe": "unsubscribe, because they have no row in the mirror",
    "opt_out": "unsubscribe, because the source says that they opted out",
    "there": "leave as they are",
    "opted_out": "leave out, because they opted out",
    "missing": "leave out, because they are not in the campaign",
    "repeats": "leave out, because an earlier row has the same person",
    "rejected": "refuse, because the row cannot be loaded",
    "held_by_others": "wait for, because another load is adding them now (part of those to add)",
    "held_back": "keep, because refused or unclear rows may be theirs",
}
"""The counts of a plan, and what the load would do with these people."""


def run_of(context: Context) -> str | None:
    """Return the name of the DAG run; None outside a run."""
    task = context.get("ti")
    return f"{task.dag_id}/{task.run_id}" if task else None


def from_xcom(argument: str, value: object) -> dict[str, Any]:
    """Return what the plan or the approve task left in XCom, also as the text that a template makes of it.

    :param argument: ``plan`` or ``approved_plan``.
    :raises AirflowFailException: it is something else. Nothing was sent.
    """
    found = _parsed(value) if isinstance(value, str) else value
    wanted = _OUTCOMES[argument]
    outcome = found.get("outcome") if isinstance(found, dict) else None
    if isinstance(found, dict) and outcome == wanted:
        return found
    if outcome == "planned":
        raise AirflowFailException(
            f"{argument} is a plan that nobody has approved; nothing was sent. Pass the output of ApproveLoadOperator."
        )
    source = "PlanLoadOperator" if argument == "plan" else "ApproveLoadOperator"
    raise AirflowFailException(
        f"{argument} is not what {source} leaves in XCom; nothing was sent. Pass the task's .output, and see whether "
        "that task ran in this run."
    )


def _parsed(text: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


@dataclass(frozen=True)
class Approval:
    """What somebody approved: one plan, for one run.

    :param run: the DAG run, as :func:`run_of` names it.
    """

    digest: str
    plan_path: str
    planned_at: str
    approved_by: str
    approved_at: str
    expires_at: str
    run: str | None

    @classmethod
    def of(cls, value: object) -> Approval:
        """Return the approval in the argument ``approved_plan``.

        :raises AirflowFailException: it holds none.
        """
        found = from_xcom("approved_plan", value)
        parts = {each.name: found.get(each.name) for each in fields(cls)}
        wrong = [name for name, part in parts.items() if not isinstance(part, str) and (name, part) != ("run", None)]
        if wrong:
            raise AirflowFailException(
                f"approved_plan has no valid {wrong[0]}; nothing was sent. Plan and approve again."
            )
        return cls(**parts)  # type: ignore[arg-type]  # checked above

    def check(self, run: str | None, now: datetime, *, has_begun: bool) -> None:
        """Check that the approval is for this run, and still valid.

        :param has_begun: whether an earlier part of the same load began while it was valid.
        :raises AirflowFailException: it is not.
        """
        if run != self.run:
            raise AirflowFailException(
                f"approved_plan was approved for the run {self.run!r}, and this is {run!r}; nothing was sent. Plan and "
                "approve in the same run as the load."
            )
        if not has_begun and now >= _time(self.expires_at):
            raise AirflowFailException(
                f"The approval expired at {self.expires_at}; nothing was sent. Plan and approve again in a new run, or "
                "set a longer valid_for in ApproveLoadOperator."
            )

    def check_plan(self, planned: PlannedLoad, options: Mapping[str, object]) -> None:
        """Check that a load does no more than what was approved.

        :raises LoadFailedError: it does more.
        """
        from airflow_provider_salesblink.loading.plan_fingerprints import ApprovedPlan

        with open_bytes(self.plan_path, "plan_path") as file:
            # Not iterated over: on Airflow 2, the file of an object storage cannot be.
            lines = (line.decode(errors="replace") for line in iter(file.readline, b""))
            ApprovedPlan(lines, self.digest, self.planned_at).check(planned, options)

    def mark_used(self, now: datetime) -> None:
        """Note in the plan file that the load has finished, so that no other load begins with this approval.

        :raises AirflowFailException: the file cannot be written.
        """
        from airflow_provider_salesblink.loading.plan_fingerprints import head

        first = head(self.planned_at, used_at=now.isoformat(timespec="seconds"))
        try:
            write_lines(self.plan_path, [first], "plan_path")
        except AirflowFailException as error:
            raise AirflowFailException(
                f"The load is done, but its approval could not be marked as used: {error}"
            ) from None


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise AirflowFailException("expires_at of approved_plan is not a time: plan and approve again.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def approval_in_person(plan_path: str) -> dict[str, Any]:
    """Return the approval of the plan in a file by the person who runs a load by hand, outside a DAG run.

    Its digest is that of the file as it is now: the person who passes the file vouches for it.

    :raises AirflowFailException: the file cannot be read.
    """
    from airflow_provider_salesblink.loading.plan_fingerprints import planned_at_and_digest

    with open_bytes(plan_path, "approved_plan") as file:
        planned_at, digest = planned_at_and_digest(iter(file.readline, b""))
    now = datetime.now(UTC)
    return {
        "outcome": _OUTCOMES["approved_plan"],
        "digest": digest,
        "plan_path": plan_path,
        "planned_at": planned_at,
        "approved_by": "the person who runs the load",
        "approved_at": now.isoformat(),
        "expires_at": (now + _VALID_IN_PERSON).isoformat(),
        "run": None,
    }


# What a person sees.


def subject(plan: Mapping[str, Any]) -> str:
    """Return the headline of a plan."""
    adds, changes = plan.get("add", 0), sum(plan.get(name) or 0 for name in ("update", "unsubscribe", "opt_out"))
    people = "1 person" if adds == 1 else f"{adds:,} people"
    return (
        f"Add {people} to campaign {plan.get('campaign_id')}, and change {changes:,}? "
        f"(plan {plan['digest'][:DIGITS_SHOWN]})"
    )


def body(plan: Mapping[str, Any], valid_for: str) -> str:
    """Return a plan in Markdown, without addresses."""
    return "\n".join(_lines(plan, valid_for))


def _lines(plan: Mapping[str, Any], valid_for: str) -> Iterator[str]:
    yield from (f"**The load would fail:** {_escaped(each)}\n" for each in plan.get("stops", ()))
    to_list = f", list {_code(plan['list_id'])}" if plan.get("list_id") else ""
    place = f"Campaign {_code(plan.get('campaign_id'))}{to_list}"
    yield f"{place}, mode {_code(plan.get('mode'))}, {plan.get('rows', 0):,} rows.\n"
    yield "| people | what the load would do |\n|---:|---|"
    yield from (f"| {plan[name]:,} | {words} |" for name, words in ACTIONS.items() if plan.get(name))
    if (plan.get("days") or 0) > 1:
        yield f"\nAdding takes at least {plan['days']:,} days, as daily_new_people says.\n"
    yield f"\nRequests: {plan.get('writes', 0):,} writes, {plan.get('look_ups', 0):,} look-ups; {duration(plan)}.\n"
    if plan.get("sample"):
        yield "Some of the people:\n\n| action | row | person | columns |\n|---|---:|---|---|"
        yield from map(_sample_row, plan["sample"])
    yield f"\nPlan {_code(plan['digest'])} of {plan['planned_at']}. An approval is valid for {valid_for}, in this run."


def duration(plan: Mapping[str, Any]) -> str:
    """Return about how long a planned load takes."""
    hours = plan.get("hours") or 0
    return f"about {hours:,} hours at the rate limit" if hours else "no waiting for the rate limit"


def _sample_row(step: Mapping[str, Any]) -> str:
    columns = ", ".join(_code(name) for name in step.get("columns", ()))
    return f"| {_code(step['action'])} | {step.get('row') or ''} | {_code(step.get('address'))} | {columns} |"


def _code(text: object) -> str:
    """Return a text that Markdown shows as it is."""
    shown = " ".join(str(text or "").replace("`", "'").replace("|", "/").split())
    return f"`{shown}`" if shown else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("_", "\\_").replace("*", "\\*")
