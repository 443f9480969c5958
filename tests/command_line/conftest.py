"""Run the commands in this process, as ``python -m airflow_provider_salesblink`` does, and see what they print."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.command_line.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEADS = "Email,First Name\ngita@example.com,Gita\njun@example.com,Jun\n"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Person:
    """Somebody at a terminal.

    :param answers: what they type, or a function that returns it.
    """

    def __init__(self, answers: Callable[[], str]) -> None:
        self._answers = answers

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answers()


@pytest.fixture
def leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of two people; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "leads.csv"
    path.write_text(LEADS)
    return path


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], str]], None]:
    """Return a function that puts somebody at the terminal."""
    return lambda answers: monkeypatch.setattr(sys, "stdin", Person(answers))


@pytest.fixture
def run(
    connection: Callable[..., None],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """Return a function that runs a command."""
    # The command sets them for its process.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    monkeypatch.setattr(sys, "warnoptions", ["ignore"])

    def run_command(*arguments: str) -> Ended:
        capfd.readouterr()
        try:
            code = main(arguments)
        except SystemExit as wrong:
            code = int(wrong.code or 0)
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        return Ended(code, printed.out, printed.err)

    return run_command
