"""The site documents everything that users import, and all examples."""

from __future__ import annotations

import runpy
from importlib import import_module

import pytest

from tests.conftest import ROOT
from tests.docs.pages import DOCS, blocks, classes_of, headings

PUBLIC: set[str] = runpy.run_path(str(DOCS / "conf.py"))["PUBLIC"]
CONTENTS = (DOCS / "reference.md").read_text()


def test_all_classes_that_airflow_lists_are_in_the_reference() -> None:
    listed = {name for kind in ("operators", "sensors", "hooks") for name in classes_of(kind)}
    documented = {name for module in PUBLIC for name in vars(import_module(module))}

    assert not listed - documented


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_each_public_module_has_a_docstring_and_is_in_the_contents(module: str) -> None:
    assert import_module(module).__doc__
    assert f"<reference/{module.replace('.', '/')}/index>" in CONTENTS


def test_each_example_is_on_the_page_of_the_examples() -> None:
    page = DOCS / "examples.md"
    files = {path.stem for path in (ROOT / "dags_examples").glob("*.py")}

    assert set(headings(page)[1:]) == files
    shown = [
        block.language.rpartition("/")[2] for block in blocks(page) if block.language.startswith("{literalinclude}")
    ]
    assert shown == [f"{name}.py" for name in headings(page)[1:]]
