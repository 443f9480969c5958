"""The site has what users import, and all examples."""

from __future__ import annotations

import runpy
from importlib import import_module

import pytest

from airflow_provider_salesblink.provider_info import get_provider_info
from tests.conftest import ROOT
from tests.docs.pages import DOCS, blocks, headings

PUBLIC: set[str] = runpy.run_path(str(DOCS / "conf.py"))["PUBLIC"]
CONTENTS = (DOCS / "reference.md").read_text()


def test_all_classes_that_airflow_lists_are_in_the_reference() -> None:
    told = get_provider_info()
    listed = {name for kind in ("operators", "sensors", "hooks") for name in told[kind][0]["python-modules"]}
    missing = {name for module in listed for name in _classes_of(module)} - {
        name for module in PUBLIC for name in vars(import_module(module))
    }

    assert not missing


def _classes_of(module: str) -> set[str]:
    return {
        name
        for name, thing in vars(import_module(module)).items()
        if isinstance(thing, type) and thing.__module__ == module and not name.startswith("_")
    }


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_each_module_is_there_is_documented_and_in_the_contents(module: str) -> None:
    assert import_module(module).__doc__
    assert f"<reference/{module.replace('.', '/')}/index>" in CONTENTS


def test_each_example_is_on_the_page_of_the_examples() -> None:
    page = DOCS / "examples.md"
    files = {path.stem for path in (ROOT / "dags_examples").glob("*.py")}

    assert set(headings(page)[1:]) == files
    assert [block.language.rpartition("/")[2] for block in blocks(page)] == [
        f"{name}.py" for name in headings(page)[1:]
    ]
