"""Parse the arguments, run a command, and show its errors as sentences."""

from __future__ import annotations

import argparse
import sys
import warnings
from textwrap import fill
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.command_line import terminal
from airflow_provider_salesblink.command_line.definition import COMMANDS, NOTES, PROGRAM, SUMMARY, WIDTH, epilog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAILED, MISUSED, STOPPED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return the exit code."""
    given = vars(_parser().parse_args(arguments))
    if not sys.warnoptions:
        # Airflow warns about its own modules and settings. It sets its own filters unless Python has this option.
        sys.warnoptions.append("ignore")
        warnings.simplefilter("ignore")
    return run_command(given.pop("command"), given)


def run_command(name: str, given: Mapping[str, Any]) -> int:
    """Run a command, and return the exit code.

    :param given: the values of the command's arguments by their names, and perhaps others.
    """
    with terminal.results_alone_on_stdout() as out:
        # Only now, because Airflow may print while it is imported.
        from airflow_provider_salesblink.command_line import commands
        from airflow_provider_salesblink.command_line.operator_run import use_all_connections

        use_all_connections()
        with terminal.log_on_stderr(), terminal.stopping_once(commands.CONTINUES if name == "load" else ""):
            try:
                return commands.COMMANDS[name](given, out)
            except commands.UsageError as error:
                terminal.show(f"{error}\nSee {name} --help.")
                return MISUSED
            except KeyboardInterrupt:
                return STOPPED
            except commands.EXPECTED_ERRORS as error:
                sentence = commands.sentence_of(error, name)
                terminal.show(f"Error: {sentence}")
                if given.get("json"):
                    terminal.print_json(out, {"outcome": "failed", "error": sentence})
                return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=f"{SUMMARY}.",
        epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        added = found.add_parser(
            command.name,
            help=command.help,
            description=fill(command.description, WIDTH),
            epilog=epilog(command, PROGRAM),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for argument in command.arguments:
            added.add_argument(*argument.flags, help=argument.help, **argument.options)
    return parser
