"""The claims of the page 'From a Python loop to this provider': the loop adds people twice, the provider does not."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo import airflow_home
from tests.docs.conftest import CAMPAIGN
from tests.docs.pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE = DOCS / "from-a-loop.md"
LOOP, SCRIPT, DAG_FILE, *_ = (block.text for block in blocks(PAGE, "python"))


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Return the names that the page's script defines, without running its last part."""
    names: dict[str, Any] = {}
    definitions, _, _ = SCRIPT.partition("\nfor way in")
    exec(definitions, names)  # noqa: S102
    return names


@pytest.fixture
def sandbox(script: dict[str, Any]) -> Iterator[Sandbox]:
    """Yield a sandbox with the faults of the page's bad day."""
    with Sandbox(faults=script["BAD_DAY"]) as sandbox:
        sandbox.add_campaign("Spring 2027", id=CAMPAIGN)
        yield sandbox


@pytest.fixture
def leads(script: dict[str, Any], tmp_path: Path) -> Path:
    """Return a file with the script's leads."""
    with (tmp_path / "leads.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["Email"])
        writer.writeheader()
        writer.writerows(script["LEADS"])
    return tmp_path / "leads.csv"


@pytest.fixture
def run_loop(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], bool]:
    """Return a function that runs the page's loop over a file and returns whether it succeeded."""
    monkeypatch.setenv("SALESBLINK_URL", sandbox.url)
    monkeypatch.setenv("SALESBLINK_KEY", sandbox.key)

    def run(leads: Path) -> bool:
        command = [sys.executable, "-c", LOOP]
        return subprocess.run(command, cwd=leads.parent, capture_output=True, timeout=120).returncode == 0

    return run


@pytest.fixture
def run_provider(run_dag: Callable[..., Any], tmp_path: Path) -> Callable[[Path], bool]:
    """Return a function that runs the page's DAG over a file and returns whether it succeeded."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "leads.py").write_text(DAG_FILE)

    def run(leads: Path) -> bool:
        (dag,) = airflow_home.dags_of(tmp_path / "dags").values()
        conf = {"leads": f"file://{leads}", "rejected": f"file://{tmp_path}/rejected.jsonl"}
        return bool(run_dag(dag, run_conf=conf).state == "success")

    return run


def figures(of: str) -> tuple[int, int]:
    """Return the numbers of people and of surplus adds from the page's table."""
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {of} |")]
    _, _, people, twice, _ = row.split("|")
    return _first_number(people), _first_number(twice)


def _first_number(cell: str) -> int:
    return int(re.findall(r"\d+", cell.replace(",", ""))[0])


def counted(sandbox: Sandbox) -> tuple[int, int]:
    """Return the numbers of people and of surplus adds in the campaign."""
    stored = Counter(person.email for person in sandbox.people(CAMPAIGN))
    return len(stored), sum(stored.values()) - len(stored)


def test_the_loop_stops_and_its_next_run_adds_the_first_ones_again(
    sandbox: Sandbox, run_loop: Callable[[Path], bool], leads: Path
) -> None:
    assert not run_loop(leads)
    people, twice = counted(sandbox)
    assert (people, twice) == figures("the loop without a retry")

    sandbox.clear_faults()

    assert run_loop(leads)
    assert counted(sandbox) == (1000, people)


def test_the_loop_with_a_retry_adds_people_twice(sandbox: Sandbox, script: dict[str, Any]) -> None:
    script["loop"](sandbox.url, sandbox.key)

    assert counted(sandbox) == figures("the loop with urllib3's `Retry`")


def test_the_hook_of_airflow_with_its_own_retry_adds_people_twice(
    sandbox: Sandbox, script: dict[str, Any], airflow_database: None, monkeypatch: pytest.MonkeyPatch  # noqa: ARG001
) -> None:  # fmt: skip
    from airflow.providers.http.hooks.http import HttpHook
    from tenacity import stop_after_attempt

    made = {"conn_type": "http", "host": sandbox.url, "extra": {"Authorization": sandbox.key}}
    monkeypatch.setenv("AIRFLOW_CONN_HTTP_DEFAULT", json.dumps(made))
    hook = HttpHook()
    for lead in script["LEADS"]:
        add = {"campaignID": CAMPAIGN, "data": lead}
        hook.run_with_advanced_retry({"stop": stop_after_attempt(6)}, "api/prospect-add", json=add)

    assert counted(sandbox) == figures("`HttpHook.run_with_advanced_retry`")


def test_this_provider_adds_everybody_once(
    sandbox: Sandbox, run_provider: Callable[[Path], bool], leads: Path
) -> None:  # fmt: skip
    assert run_provider(leads)
    assert counted(sandbox) == figures("`AddProspectsOperator`") == (1000, 0)


def test_the_loop_adds_people_who_opted_out_and_this_provider_does_not(
    sandbox: Sandbox, run_loop: Callable[[Path], bool], run_provider: Callable[[Path], bool], tmp_path: Path
) -> None:
    sandbox.clear_faults()
    sandbox.add_person(CAMPAIGN, {"Email": "eve@example.com"}, unsubscribed=True)
    (tmp_path / "leads.csv").write_text("Email\nEve@example.com\n")

    assert run_provider(tmp_path / "leads.csv")
    assert [person.unsubscribed for person in sandbox.people(CAMPAIGN)] == [True]
    assert run_loop(tmp_path / "leads.csv")
    assert [person.unsubscribed for person in sandbox.people(CAMPAIGN)] == [True, False]
