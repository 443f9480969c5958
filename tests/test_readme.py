"""The README: its DAG runs, it names everything there is, and a package index can show it.

``tests/docs`` runs the code and checks the links of all pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from demo import airflow_home
from tests.conftest import ROOT
from tests.docs.pages import DOCS, classes_of, links

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

PAGE = ROOT / "README.md"
README = PAGE.read_text()


def test_the_dag_of_the_readme_adds_each_person_once_however_often_it_runs(
    sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    sandbox.add_campaign("Spring 2027", id="spring-2027")
    (tmp_path / "today.csv").write_text("Email,First Name\ngita@example.com,Gita\njun@example.com,Jun\n")
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "leads.py").write_text(code)
    dag = airflow_home.dags_of(tmp_path / "dags")["leads"]

    runs = [run_dag(dag, run_conf={"leads": f"file://{tmp_path}/today.csv"}) for _ in range(2)]

    assert [run.state for run in runs] == ["success", "success"]
    assert sorted(person.email for person in sandbox.people()) == ["gita@example.com", "jun@example.com"]


def test_the_readme_names_every_operator() -> None:
    assert classes_of("operators") == set(re.findall(r"`(\w+Operator)`", README))


def test_the_readme_names_every_sensor() -> None:
    assert classes_of("sensors") == set(re.findall(r"`(\w+Sensor)`", README))


def test_the_readme_names_every_page() -> None:
    named = set(re.findall(r"`docs/([\w-]+)\.md`", README))

    assert named == {page.stem for page in DOCS.glob("*.md")} - {
        "index",
        "reference",
        "changelog",
        "contributing",
        "security",
    }


def test_the_readme_has_no_relative_links() -> None:
    """A package index shows the README without the repository's files."""
    assert [link for link in links(PAGE) if not link.startswith("https://")] == []
