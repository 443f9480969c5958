"""The files for contributors are well formed and name what exists."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_re*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9.-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _hooks() -> list[dict[str, Any]]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    return [hook for repo in config["repos"] for hook in repo["hooks"]]


def _checks() -> list[str]:
    found = re.search(r"^check: ([a-z ]+) ##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1].split()


def test_the_hooks_run_what_make_check_runs() -> None:
    assert [hook["entry"] for hook in _hooks()] == [f"make {target}" for target in _checks()]
    assert set(_checks()) <= TARGETS


@pytest.mark.parametrize("hook", _hooks(), ids=lambda hook: hook["id"])
def test_a_hook_needs_no_network(hook: dict[str, Any]) -> None:
    assert hook["language"] == "system"
    assert hook["pass_filenames"] is False


def test_there_are_two_issue_forms_and_no_blank_issue() -> None:
    config = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text(encoding="utf-8"))

    assert [form.name for form in FORMS] == ["bug_report.yml", "feature_request.yml"]
    assert config["blank_issues_enabled"] is False


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_complete_and_warns_of_private_data(path: Any) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    warning, *fields = form["body"]

    assert form["name"]
    assert form["description"]
    assert "Never paste an API key" in warning["attributes"]["value"]
    assert "SECURITY.md" in warning["attributes"]["value"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_a_text_for_contributors_names_targets_of_make_that_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z0-9.-]+)", text))

    assert named
    assert named <= TARGETS


def test_the_map_of_folders_names_folders_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/.]+)/` \|", text, re.MULTILINE)

    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_the_changelog_has_unreleased_and_dated_versions() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))

    assert first == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases)
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_contributing_names_what_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`", text.partition("## The map")[2]))
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("airflow_provider_salesblink", "tests", "docs")
        for path in (ROOT / folder).rglob("*.py")
    )
    known = {"Python", "make", "version", "dist", "XCom", "pytest"}

    assert names
    assert [
        name for name in sorted(names - known) if not re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", code)
    ] == []
