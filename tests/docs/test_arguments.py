"""The tables of arguments have the arguments and defaults of their operators, and the table of columns their order."""

from __future__ import annotations

import ast
import json
import re
from importlib.resources import files
from inspect import Parameter, signature
from typing import Any

import pytest

from airflow_provider_salesblink.operators.base import SalesBlinkOperator
from airflow_provider_salesblink.operators.load_base import LoadOperator
from airflow_provider_salesblink.operators.loads import LEFT_OUT, AddProspectsOperator
from airflow_provider_salesblink.operators.results import ExtractEventsOperator
from airflow_provider_salesblink.results.events import COLUMNS
from tests.docs.pages import DOCS


def documented(page: str) -> dict[str, Any]:
    """Return the arguments of the page's first table and their defaults."""
    table = page.split("| argument | default | |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in table.splitlines()]
    return {
        name: ast.literal_eval(default.strip("`")) if default.strip("`")[:1] in tuple('"0123456789FT') else None
        for names, default in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def test_the_table_has_each_argument_and_its_default() -> None:
    page = (DOCS / "loading.md").read_text()
    accepted = {
        name: None if parameter.default in (Parameter.empty, LEFT_OUT) else parameter.default
        for operator in (SalesBlinkOperator, LoadOperator, AddProspectsOperator)
        for name, parameter in signature(operator.__init__).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }

    assert documented(page) == accepted


def test_the_table_of_an_extraction_has_each_argument_and_its_default() -> None:
    page = (DOCS / "results.md").read_text()
    accepted = {
        name: None if parameter.default is Parameter.empty else parameter.default
        for operator in (SalesBlinkOperator, ExtractEventsOperator)
        for name, parameter in signature(operator.__init__).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }

    assert documented(page) == accepted


@pytest.mark.parametrize(
    ("page", "operator"), [("loading.md", AddProspectsOperator), ("results.md", ExtractEventsOperator)]
)
def test_the_templated_ones_are_named(page: str, operator: Any) -> None:
    line = re.search(r"^Templated: (.*)\.$", (DOCS / page).read_text(), re.MULTILINE)

    assert line is not None
    assert tuple(line[1].replace("`", "").split(", ")) == tuple(operator.template_fields)


def test_the_table_of_columns_has_the_order_of_the_files_and_of_the_schema() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", (DOCS / "results.md").read_text().partition("## The columns")[2], re.MULTILINE)
    schema = files("airflow_provider_salesblink.results").joinpath("event.schema.json").read_text()

    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(COLUMNS)
    assert list(json.loads(schema)["properties"]) == list(COLUMNS)
