"""The commands for Airflow's own command line, ``airflow salesblink ...`` (Airflow 3.2 and later)."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

from airflow_provider_salesblink.command_line.definition import COMMANDS, SUMMARY, WIDTH, Argument, Command, epilog

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow.cli.cli_config import CLICommand

NAME = "salesblink"


def get_salesblink_commands() -> list[CLICommand]:
    """Return the group of commands. The provider's metadata leads Airflow here."""
    return [GroupCommand(name=NAME, help=SUMMARY, subcommands=tuple(map(_command, COMMANDS)))]


def _command(command: Command) -> ActionCommand:
    return ActionCommand(
        name=command.name,
        help=command.help,
        description=fill(command.description, WIDTH),
        epilog=epilog(command, f"airflow {NAME}"),
        func=_runner(command.name),
        args=tuple(map(_argument, command.arguments)),
    )


def _argument(argument: Argument) -> Arg:
    return Arg(flags=argument.flags, help=argument.help, **argument.options)  # type: ignore[no-untyped-call]


def _runner(name: str) -> Callable[[Namespace], None]:
    def run(given: Namespace) -> None:
        from airflow_provider_salesblink.command_line.main import run_command

        raise SystemExit(run_command(name, vars(given)))

    return run
