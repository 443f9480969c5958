"""What the README and the docs show is true: their code runs, their names exist, their links lead somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from demo import airflow_home
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_dag_of_the_readme_adds_the_person_once_however_often_it_runs(
    sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    sandbox.add_campaign("Spring 2027", id="spring-2027")
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "welcome.py").write_text(code)
    dag = airflow_home.dags_of(tmp_path)["welcome"]

    assert [run_dag(dag).state for _ in range(2)] == ["success", "success"]
    assert [person.email for person in sandbox.people()] == ["gita@example.com"]


@pytest.mark.parametrize("shown", re.findall(r"export AIRFLOW_CONN_SALESBLINK_DEFAULT='(.*)'", README))
def test_the_connections_of_the_readme_make_a_client(shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SALESBLINK_DEFAULT", shown)

    assert repr(SalesBlinkHook().get_conn()) == "SalesBlinkClient(base_url='https://run.salesblink.io')"


def test_the_readme_names_every_extra_and_its_default() -> None:
    told = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", README, flags=re.MULTILINE)
    extras = {name: default for names, defaults in told for name, default in _each(names, defaults)}

    assert extras == {field.name: str(field.default).lower() for field in connection_form.FIELDS}


def _each(names: str, defaults: str) -> list[tuple[str, str]]:
    return list(zip(re.findall(r"\w+", names), [each.strip("` ") for each in defaults.split(",")], strict=True))


def test_the_readme_names_every_operator() -> None:
    from airflow_provider_salesblink.operators import campaigns, loads, prospects, team

    operators = {
        name
        for module in (campaigns, loads, prospects, team)
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__ and not name.startswith("_")
    }
    assert operators == set(re.findall(r"`(\w+Operator)\(", README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()

    for command in re.findall(r"make ([\w.-]+)$", README, flags=re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE)
