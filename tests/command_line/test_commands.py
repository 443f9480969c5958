"""The commands test, plan, load and report, with a SalesBlink to talk to."""

from __future__ import annotations

import json
import os
import signal
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.command_line import definition, operator_run
from airflow_provider_salesblink.operators.base import SalesBlinkOperator
from airflow_provider_salesblink.operators.load_base import LoadOperator
from airflow_provider_salesblink.operators.loads import AddProspectsOperator
from airflow_provider_salesblink.operators.plans import PlanLoadOperator
from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from tests.apis import BOTH, Api
from tests.results.report_events import row, write_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.command_line.conftest import Ended
    from tests.conftest import CampaignUnderTest

    Run = Callable[..., Ended]
    Seated = Callable[[Callable[[], str]], None]

LEFT_OUT = {"rows", "sql", "sql_conn_id", "sql_parameters", "defer_after"}
"""Arguments of a load that a file at a terminal has no use for; a command waits in its own process."""


def emails(sandbox: Sandbox) -> list[str]:
    return sorted(person.email for person in sandbox.people())


# test


@pytest.mark.apis(*BOTH)
def test_a_connection_that_works(run: Run, api: Api) -> None:
    ended = run("test")

    assert ended.code == 0
    assert ended.out.startswith(
        f"Connection 'salesblink_default': SalesBlink accepted the key: its API '{api.version}' answers"
    )
    assert ended.err == ""


def test_a_key_that_is_wrong(run: Run, connection: Callable[..., None]) -> None:
    connection(password="wrong-key")

    ended = run("test")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: ")
    assert "401" in ended.err
    assert "wrong-key" not in ended.err


@pytest.mark.parametrize("command", [("test",), ("load", "leads.csv", "--campaign-name", "Spring", "--yes")])
def test_a_connection_that_does_not_exist(run: Run, leads: Path, command: tuple[str, ...]) -> None:  # noqa: ARG001
    ended = run(*command, "--conn-id", "elsewhere")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: There is no connection 'elsewhere'")
    assert "the environment variable AIRFLOW_CONN_ELSEWHERE" in ended.err


# plan


@pytest.mark.apis(*BOTH)
def test_a_plan_says_what_a_load_would_do_and_writes_nothing(
    run: Run,
    leads: Path,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    api: Api,
) -> None:
    leads.write_text(leads.read_text() + "kai(at)example.com,Kai\n")

    ended = run("plan", "leads.csv", "--campaign-name", campaign.name)

    assert ended.code == 0
    assert ended.out.splitlines()[:4] == [
        f"Campaign {campaign.id}, mode insert.",
        "People in the campaign: 0. Rows in the file: 3.",
        "          2  add",
        "          1  refuse, because the row cannot be loaded",
    ]
    assert "  add         row 2       g*** at e***.com     " in ended.out
    assert "The load would fail: 1 of 3 rows are refused, more than max_rejected=0" in ended.out
    assert "@" not in ended.out + ended.err
    assert api.writes() == []
    assert emails(sandbox) == []


def test_a_plan_for_machines_is_json_and_nothing_else(run: Run, leads: Path, campaign: CampaignUnderTest) -> None:
    ended = run("plan", "leads.csv", "--campaign-id", campaign.id, "--json", "--plan-path", "plans/today.txt")

    found = json.loads(ended.out)
    assert (found["outcome"], found["add"], found["stops"]) == ("planned", 2, [])
    assert found["plan_path"] == f"{leads.parent}/plans/today.txt"
    assert (leads.parent / "plans" / "today.txt").exists()


def test_a_plan_says_how_many_days_it_takes(run: Run, leads: Path, campaign: CampaignUnderTest) -> None:
    ended = run("plan", leads.name, "--campaign-id", campaign.id, "--daily-new-people", "1")

    assert "Adding takes at least 2 days, as daily_new_people says." in ended.out


def test_names_in_a_file_cannot_control_the_terminal(run: Run, leads: Path, campaign: CampaignUnderTest) -> None:
    leads.write_text("Email,Fir\x1b[2Jst\ngita@example.com,Gita\nno address,\x1b[2J\n")

    ended = run("plan", "leads.csv", "--campaign-id", campaign.id)

    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err


# load


@pytest.mark.apis(*BOTH)
def test_a_load_without_a_question(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    api: Api,  # noqa: ARG001
) -> None:
    ended = run("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--json")

    assert ended.code == 0
    assert json.loads(ended.out)["added"] == 2
    assert f"{campaign.id} holds 0 people; 2 rows: 2 to add" in ended.err
    assert emails(sandbox) == ["gita@example.com", "jun@example.com"]


def test_refused_rows_end_with_an_error_after_the_others_are_loaded(
    run: Run, leads: Path, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    leads.write_text(leads.read_text() + "kai(at)example.com,Kai\n")
    command = ("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--rejected-path", "rejected.jsonl")

    ended, with_json, allowed = run(*command), run(*command, "--json"), run(*command, "--max-rejected", "1")

    assert (ended.code, ended.out) == (1, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("Error: 1 of 3 rows refused, more than max_rejected=0; the other rows are done")
    assert last.endswith(f"All: {leads.parent}/rejected.jsonl")
    assert len((leads.parent / "rejected.jsonl").read_text().splitlines()) == 1
    assert (with_json.code, json.loads(with_json.out)["outcome"]) == (1, "failed")
    assert (allowed.code, allowed.out.splitlines()[0]) == (0, "Outcome: loaded")
    assert "  there: 2" in allowed.out.splitlines()
    assert emails(sandbox) == ["gita@example.com", "jun@example.com"]


def test_a_guard_stops_a_load_before_it_sends(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
) -> None:
    ended = run("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--max-adds", "1")

    assert ended.code == 1
    assert "more than max_adds=1 allows; nothing was sent" in ended.err
    assert emails(sandbox) == []


def test_columns_opt_outs_and_the_suppression_file_reach_the_load(
    run: Run, leads: Path, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    leads.write_text(
        "Mail,Out,Never,Extra\na@example.com,,,x\nb@example.com,yes,,x\nc@example.com,,yes,x\nd@example.com,,,x\n"
    )
    (leads.parent / "blocked.txt").write_text("d@example.com\n")

    ended = run(
        *("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--columns", '{"Mail": "Email"}'),
        *("--opt-out-columns", "Out", "--opt-out-columns", "Never", "--suppression-path", "blocked.txt"),
    )

    assert ended.code == 0, ended.err
    (added,) = sandbox.people()
    assert (added.email, added.fields) == ("a@example.com", {"Email": "a@example.com"})


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("leads.csv", "--campaign-id", "c"), 2, "Nobody can be asked whether to load"),
        (("leads.csv", "--yes"), 2, "Pass exactly one of --campaign-id or --campaign-name; got neither."),
        (("leads.csv", "--yes", "--campaign-id", "c", "--campaign-name", "n"), 2, "got both."),
        (("leads.csv", "--yes", "--approved-plan", "leads.csv", "--campaign-id", "c"), 2, "Pass either --yes or"),
        (("leads.csv", "--yes", "--campaign-id", "c", "--mode", "add"), 2, "invalid choice: 'add'"),
        (("leads.csv", "--yes", "--campaign-id", "c", "--columns", "{Email"), 2, "--columns: pass a JSON object"),
        (("leads.csv", "--yes", "--campaign-id", "c", "--csv-options", "[]"), 2, "--csv-options: pass a JSON object"),
        (("leads.csv", "--yes", "--campaign-id", "c", "--max-wait", "-1"), 2, "max_wait is -1.0"),
        (("leads.csv", "--yes", "--campaign-id", "c", "--api-key", "k"), 2, "unrecognized arguments: --api-key k"),
        (("none.csv", "--yes", "--campaign-id", "c"), 1, "There is no file or folder"),
        (("leads.csv", "--approved-plan", "none.txt", "--campaign-id", "c"), 1, "There is no file or folder"),
        (("leads.csv", "--yes", "--campaign-name", "Nope"), 1, "No campaign is called 'Nope'"),
    ],
)
def test_wrong_arguments_are_explained_and_write_nothing(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    ended = run("load", *arguments)

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert [request for request in sandbox.requests if request.method != "GET"] == []


# The question


def test_a_no_sends_nothing_and_leaves_the_files_alone(
    run: Run, leads: Path, sandbox: Sandbox, campaign: CampaignUnderTest, person: Seated
) -> None:
    earlier = leads.parent / "rejected.jsonl"
    earlier.write_text("of yesterday\n")
    for answer in ("\n", "", "no\n"):
        person(lambda answer=answer: answer)

        ended = run("load", "leads.csv", "--campaign-id", campaign.id, "--rejected-path", "rejected.jsonl")

        assert (ended.code, ended.out) == (1, "")
        assert "          2  add" in ended.err
        assert ended.err.endswith("Load? [y/N] Nothing was sent.\n")
    assert earlier.read_text() == "of yesterday\n"
    assert emails(sandbox) == []


def test_ctrl_c_at_the_question_says_that_nothing_was_sent(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    person: Seated,
) -> None:
    def answer() -> str:
        signal.raise_signal(signal.SIGINT)
        return "y\n"

    person(answer)

    ended = run("load", "leads.csv", "--campaign-id", campaign.id)

    assert (ended.code, ended.out) == (130, "")
    assert ended.err.endswith("Load? [y/N] \nNothing was sent.\n")
    assert emails(sandbox) == []


@pytest.mark.apis(*BOTH)
def test_a_yes_loads_what_was_shown(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    person: Seated,
    api: Api,  # noqa: ARG001
) -> None:
    person(lambda: "y\n")

    ended = run("load", "leads.csv", "--campaign-id", campaign.id)

    assert (ended.code, ended.out.splitlines()[0]) == (0, "Outcome: loaded")
    assert emails(sandbox) == ["gita@example.com", "jun@example.com"]


def test_a_yes_does_not_cover_people_who_come_into_the_file_later(
    run: Run, leads: Path, sandbox: Sandbox, campaign: CampaignUnderTest, person: Seated
) -> None:
    def answer() -> str:
        leads.write_text(leads.read_text() + "eve@example.com,Eve\n")
        return "y\n"

    person(answer)

    ended = run("load", "leads.csv", "--campaign-id", campaign.id)

    assert ended.code == 1
    assert "The load would do more than was approved: add 1 person (row 4)" in ended.err
    assert emails(sandbox) == []


def test_no_question_where_there_is_nothing_to_send(
    run: Run,
    leads: Path,  # noqa: ARG001
    campaign: CampaignUnderTest,
    person: Seated,
) -> None:
    run("load", "leads.csv", "--campaign-id", campaign.id, "--yes")
    person(lambda: pytest.fail("a question"))

    ended = run("load", "leads.csv", "--campaign-id", campaign.id)

    assert ended.code == 0
    assert "  there: 2" in ended.out.splitlines()


def test_a_load_is_held_to_a_plan_in_a_file(
    run: Run, leads: Path, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    load = ("load", "leads.csv", "--campaign-id", campaign.id, "--approved-plan", "plan.txt")
    assert run("plan", "leads.csv", "--campaign-id", campaign.id, "--plan-path", "plan.txt").code == 0
    wanted = leads.read_text()
    leads.write_text(wanted + "eve@example.com,Eve\n")

    more = run(*load)
    leads.write_text(wanted)
    same, again = run(*load), run(*load)

    assert more.code == 1
    assert "The load would do more than was approved" in more.err
    assert same.code == 0
    assert again.code == 1
    assert "The approval was used" in again.err
    assert emails(sandbox) == ["gita@example.com", "jun@example.com"]


# Waiting


def test_where_a_task_would_be_deferred_the_command_waits_and_goes_on(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    connection: Callable[..., None],
) -> None:
    connection(extra={"max_attempts": 1})
    sandbox.fault("prospect-add", "429", retry_after=1)

    ended = run("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--json")

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["added"] == 2
    assert "Waiting until " in ended.err
    assert emails(sandbox) == ["gita@example.com", "jun@example.com"]


def test_an_error_that_may_pass_says_that_the_command_can_go_on(
    run: Run,
    leads: Path,  # noqa: ARG001
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
) -> None:
    sandbox.fault("prospects", "429", retry_after=900, times=None)

    ended = run("load", "leads.csv", "--campaign-id", campaign.id, "--yes", "--max-wait", "0")

    assert ended.code == 1
    assert ended.err.endswith("Running the same command again continues, and mails nobody twice.\n")


# report


def test_a_report_of_a_folder_of_events(run: Run, leads: Path) -> None:
    write_events(leads.parent / "events", [row("sent", 1, person="ana"), row("opens", 2, person="ana")])

    ended = run("report", "events", "--output-path", "out/spring.html", "--campaign-id", "c1")

    assert ended.code == 0, ended.err
    assert {"Outcome: reported", "  sent: 1", "  opens: 1", f"  path: {leads.parent}/out/spring.html"} <= set(
        ended.out.splitlines()
    )
    assert "Spring" in (leads.parent / "out" / "spring.html").read_text()
    assert (leads.parent / "out" / "spring.csv").exists()


# Arguments


def arguments_of(*operators: Any) -> set[str]:
    return {
        name
        for operator in operators
        for name, parameter in signature(operator.__init__).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize(
    ("command", "operators", "own"),
    [
        ("plan", (PlanLoadOperator, AddProspectsOperator, LoadOperator), {"campaign_name", "json"}),
        ("load", (AddProspectsOperator, LoadOperator), {"campaign_name", "json", "yes"}),
        ("report", (CampaignReportOperator,), {"json"}),
    ],
)
def test_a_command_has_every_argument_of_its_operator(command: str, operators: Any, own: set[str]) -> None:
    (found,) = (each for each in definition.COMMANDS if each.name == command)
    offered = {argument.name for argument in found.arguments}

    expected = arguments_of(SalesBlinkOperator, *operators) - LEFT_OUT
    assert offered == (expected - {"approved_plan"} if command == "plan" else expected) | own
    # Else the defaults would be in two places.
    assert {argument.name for argument in found.arguments if argument.options.get("default")} == {"salesblink_conn_id"}


@pytest.mark.parametrize("command", [each.name for each in definition.COMMANDS])
def test_the_help_has_an_example_that_runs(run: Run, command: str) -> None:
    ended = run(command, "--help")

    assert ended.code == 0
    assert f"\nExample:\n  python -m airflow_provider_salesblink {command} " in ended.out
    (found,) = (each for each in definition.COMMANDS if each.name == command)
    assert max(map(len, definition.epilog(found, definition.PROGRAM).splitlines())) <= 120


def test_the_process_may_look_up_connections_in_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "of the user")

    operator_run.use_all_connections()

    assert os.environ["_AIRFLOW_PROCESS_CONTEXT"] == "of the user"
