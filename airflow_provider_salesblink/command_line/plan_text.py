"""Plans and results as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.operators.approvals import ACTIONS, DIGITS_SHOWN, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield a plan, without addresses."""
    yield f"Campaign {plan['campaign_id']}, mode {plan['mode']}."
    yield f"People in the campaign: {plan['in_campaign']:,}. Rows in the file: {plan['rows']:,}."
    yield from (f"  {plan[name]:>9,}  {words}" for name, words in ACTIONS.items() if plan.get(name))
    if (plan.get("days") or 0) > 1:
        yield f"Adding takes at least {plan['days']:,} days, as daily_new_people says."
    yield f"Requests: {plan['writes']:,} writes, {plan['look_ups']:,} look-ups; {duration(plan)}."
    if plan["sample"]:
        yield "Some of the people:"
        yield from map(_sample_line, plan["sample"])
    yield from (f"The load would fail: {sentence}" for sentence in plan["stops"])
    yield from (f"{name}: {plan[name]}" for name in ("rejected_path", "outcomes_path", "plan_path") if plan.get(name))
    yield f"Plan {plan['digest'][:DIGITS_SHOWN]}. Nothing was sent."


def _sample_line(step: Mapping[str, Any]) -> str:
    row = f"row {step['row']}" if step["row"] else ""
    return f"  {step['action']:<11} {row:<11} {step['address'] or '':<20} {', '.join(step['columns'])}".rstrip()


def result_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a task would leave in XCom, without what is empty or 0."""
    found = {name: value for name, value in result.items() if value not in (None, 0, [], {}) and name != "outcome"}
    yield f"Outcome: {result['outcome']}"
    for name, value in found.items():
        if isinstance(value, dict):
            yield from (f"  {name} {part}: {number:,}" for part, number in value.items() if number)
        else:
            yield f"  {name}: {value:,}" if isinstance(value, int) else f"  {name}: {value}"
