"""What the commands do: each builds an operator of its arguments and runs it, as a task would."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_provider_salesblink.client import SalesBlinkError
from airflow_provider_salesblink.command_line import definition, terminal
from airflow_provider_salesblink.command_line.operator_run import run_to_the_end
from airflow_provider_salesblink.command_line.plan_text import plan_lines, result_lines
from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.loading import LoadFailedError
from airflow_provider_salesblink.operators.approvals import approval_in_person
from airflow_provider_salesblink.operators.campaigns import id_of_campaign
from airflow_provider_salesblink.operators.loads import AddProspectsOperator
from airflow_provider_salesblink.operators.plans import PlanLoadOperator
from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from airflow_provider_salesblink.task_mixins import permanent_error_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_salesblink.operators.base import SalesBlinkOperator

CONTINUES = "Running the same command again continues, and mails nobody twice."
_READ = ("rows_path", "suppression_path", "events_path", "approved_plan")
_WRITTEN_BY_LOAD = ("rejected_path", "outcomes_path")
_NOT_OF_OPERATORS = ("campaign_name", "approved_plan", "yes", "json")
_LONGEST_WAIT = 7 * 24 * 3600.0
"""Seconds that a load waits in the process, where a task would be deferred."""


class UsageError(Exception):
    """The arguments do not fit together."""


class CommandError(Exception):
    """The command cannot do its work, for a reason that is in the message."""


EXPECTED_ERRORS = (
    *(CommandError, AirflowFailException, AirflowNotFoundException, InvalidConnectionError, LoadFailedError, OSError),
    SalesBlinkError,
)
"""Errors to show as sentences. Any other error is a bug, and its traceback helps to find it."""


def sentence_of(error: BaseException, command: str) -> str:
    """Return an expected error as a person reads it."""
    if isinstance(error, OSError):
        return f"{error.filename or 'A file or connection'}: {error.strerror or type(error).__name__}."
    may_go_on = command == "load" and getattr(error, "permanent", True) is False
    return f"{error} {CONTINUES}" if may_go_on else str(error)


def test(given: Mapping[str, Any], out: TextIO) -> int:
    """Test a connection."""
    conn_id = given["salesblink_conn_id"]
    try:
        works, sentence = SalesBlinkHook(conn_id).test_connection()
    except AirflowNotFoundException as error:
        raise _no_connection(error, conn_id) from error
    if not works:
        raise CommandError(sentence)
    terminal.print_lines(out, [f"Connection {conn_id!r}: {sentence}"])
    return 0


def plan(given: Mapping[str, Any], out: TextIO) -> int:
    """Show what a load would do."""
    return _print(given, out, run_to_the_end(_operator(PlanLoadOperator, given, "plan")))


def load(given: Mapping[str, Any], out: TextIO) -> int:
    """Load a file, after a person has agreed."""
    is_agreed = given["yes"] or given["approved_plan"]
    if given["yes"] and given["approved_plan"]:
        raise UsageError("Pass either --yes or --approved-plan: a load of an approved plan does not ask.")
    if not is_agreed and not terminal.can_ask():
        raise UsageError(
            "Nobody can be asked whether to load, because the standard input is not a terminal; nothing was sent. "
            "Pass --approved-plan, or --yes to load without a question."
        )
    if given["yes"]:
        return _load(given, out, None)
    if given["approved_plan"]:
        return _load(given, out, approval_in_person(_whole_path("approved_plan", given["approved_plan"])))
    with TemporaryDirectory(prefix="salesblink-plan-") as folder:
        approved = _ask(given, Path(folder) / "plan")
        if approved:
            return _load(given, out, approved)
    terminal.show("Nothing was sent.")
    return 1


def report(given: Mapping[str, Any], out: TextIO) -> int:
    """Write a report."""
    return _print(given, out, run_to_the_end(_operator(CampaignReportOperator, given, "report")))


COMMANDS: dict[str, Callable[[Mapping[str, Any], TextIO], int]] = {
    "test": test,
    "plan": plan,
    "load": load,
    "report": report,
}


def _ask(given: Mapping[str, Any], plan_path: Path) -> dict[str, Any] | None:
    """Show the plan of a load, and return the approval if a person agrees to it; None after a no."""
    # The load writes these files; a plan that is not carried out leaves them alone.
    without_files = {**given, **dict.fromkeys(_WRITTEN_BY_LOAD)}
    made = run_to_the_end(_operator(PlanLoadOperator, without_files, "plan", plan_path=str(plan_path)))
    terminal.show("\n".join(["", *plan_lines({**made, "plan_path": None}), ""]))
    try:
        if made["writes"] and not terminal.ask("Load?"):
            return None
    except KeyboardInterrupt:
        terminal.show("\nNothing was sent.")
        raise
    return approval_in_person(str(plan_path))


def _load(given: Mapping[str, Any], out: TextIO, approved: dict[str, Any] | None) -> int:
    result = run_to_the_end(_operator(AddProspectsOperator, given, "load", approved_plan=approved))
    return _print(given, out, result)


def _print(given: Mapping[str, Any], out: TextIO, result: Mapping[str, Any]) -> int:
    if given["json"]:
        terminal.print_json(out, result)
    else:
        terminal.print_lines(out, plan_lines(result) if result["outcome"] == "planned" else result_lines(result))
    return 0


def _operator(
    kind: Callable[..., SalesBlinkOperator], given: Mapping[str, Any], name: str, **more: Any
) -> SalesBlinkOperator:
    """Return the operator with the arguments of a command.

    :raises UsageError: they do not fit together.
    """
    (command,) = (each for each in definition.COMMANDS if each.name == name)
    names = [each.name for each in command.arguments if each.name not in _NOT_OF_OPERATORS]
    arguments = {name: _value(name, given[name]) for name in names if given.get(name) is not None}
    if name != "report":
        arguments |= {"campaign_id": _campaign_id(given), "defer_after": _LONGEST_WAIT}
    try:
        return kind(task_id=name, **arguments, **more)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _value(name: str, given: Any) -> Any:  # noqa: ANN401
    if name.endswith("_path"):
        return _whole_path(name, given)
    # One name may be the JSON of several.
    return given[0] if name == "opt_out_columns" and len(given) == 1 else given


def _whole_path(name: str, path: str) -> str:
    """Return a path from the root: Airflow takes no others.

    :raises CommandError: the file is to be read, and there is none.
    """
    if "://" in path:
        return path
    whole = os.path.abspath(path)  # noqa: PTH100  # Path.absolute() keeps the dots
    if name in _READ and not Path(whole).exists():
        raise CommandError(f"There is no file or folder {whole}. Check the path.")
    return whole


def _campaign_id(given: Mapping[str, Any]) -> str:
    wanted, called, conn_id = given["campaign_id"], given["campaign_name"], given["salesblink_conn_id"]
    if (wanted is None) == (called is None):
        raise UsageError(
            f"Pass exactly one of --campaign-id or --campaign-name; got {'neither' if wanted is None else 'both'}."
        )
    if called is None:
        return str(wanted)
    try:
        return id_of_campaign(SalesBlinkHook(conn_id).get_conn(), called)
    except AirflowNotFoundException as error:
        raise _no_connection(error, conn_id) from error


def _no_connection(error: AirflowNotFoundException, conn_id: str) -> CommandError:
    return CommandError(permanent_error_message(error, conn_id))
