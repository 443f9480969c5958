"""The key is not in the list of processes, and not in the sandbox's pages and request log."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests  # noqa: TID251  # somebody who looks

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.sandbox import Sandbox
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "airflow_provider_salesblink.sandbox"]
PAGES = ["/", "/docs", "/openapi.json", "/sandbox/state", "/sandbox/faults", "/sandbox", "/favicon.ico", "/x"]


def command_lines() -> list[bytes]:
    """Return the command lines of all processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(process.read_bytes())
    return found


@contextmanager
def sandbox_process(*arguments: str, key: str) -> Iterator[list[str]]:
    """Run a sandbox as a process with its key in the environment, and give the words of its first line."""
    environment = {**os.environ, "SALESBLINK_SANDBOX_KEY": key}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()
        finally:
            process.terminate()


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")


@needs_proc
def test_these_tests_would_see_a_key_on_a_command_line() -> None:
    key = secrets.token_urlsafe(24)
    with subprocess.Popen([*COMMAND, "--key", key], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.readline()
        seen = any(key.encode() in line for line in command_lines())
        process.terminate()
    assert seen


@needs_proc
def test_a_sandbox_s_key_is_in_no_command_line() -> None:
    key = secrets.token_urlsafe(24)
    with sandbox_process("--seed", "demo", key=key) as greeting:
        assert greeting[-1] == key
        SalesBlinkClient(key, greeting[-3], reads_per_minute=0).campaigns.list()

        assert not any(key.encode() in line for line in command_lines())


@needs_proc
def test_the_demo_s_key_is_in_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from demo import __main__ as demo

    monkeypatch.setattr(demo, "STATE", tmp_path)
    with demo.sandbox() as (url, key):
        SalesBlinkClient(key, url, reads_per_minute=0).campaigns.list()

        assert len(key) >= 24
        assert not any(key.encode() in line for line in command_lines())


def test_the_help_says_how_to_keep_the_key_off_the_command_line() -> None:
    text = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout

    assert "$SALESBLINK_SANDBOX_KEY" in text
    assert "$SALESBLINK_SANDBOX_KEY" in (ROOT / "docs/sandbox.md").read_text()


def test_a_sandbox_makes_a_key_that_nobody_guesses() -> None:
    with Sandbox() as one, Sandbox() as other:
        keys = {one.key, one.member_key, other.key, other.member_key}

    assert len(keys) == 4
    assert all(len(key) >= 24 for key in keys)


def test_a_sandbox_listens_to_this_machine_only() -> None:
    with Sandbox() as sandbox:
        port = f"{int(sandbox.url.rpartition(':')[2]):04X}"
        table = Path("/proc/net/tcp")
        if not table.exists():
            pytest.skip("there is no /proc here")
        listening = [line.split()[1] for line in table.read_text().splitlines() if line.split()[3] == "0A"]

        assert [address for address in listening if address.endswith(f":{port}")] == [f"0100007F:{port}"]
        six = Path("/proc/net/tcp6")
        assert not six.exists() or f":{port} " not in six.read_text()


@pytest.mark.parametrize("path", PAGES)
def test_no_page_of_the_sandbox_shows_a_key(path: str) -> None:
    with Sandbox(seed="demo") as sandbox:
        for key in (sandbox.key, sandbox.member_key):
            client = SalesBlinkClient(key, sandbox.url, reads_per_minute=0, writes_per_minute=0)
            client.campaigns.list()
            client.campaigns.pause("spring-2027")
        sandbox.happen("reply")
        for headers in ({}, {"Authorization": sandbox.key}, {"Accept": "application/json"}):
            for method in ("GET", "POST", "DELETE", "PUT"):
                shown = requests.request(method, sandbox.url + path, headers=headers, timeout=5)
                for key in (sandbox.key, sandbox.member_key):
                    assert key not in shown.text
                    assert key not in str(shown.headers)
        kept = repr(sandbox.requests) + repr(sandbox.happened) + repr(sandbox.people()) + repr(sandbox)
        assert sandbox.key not in kept
        assert sandbox.member_key not in kept
