"""The description of the v1 API that the sandbox serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.operations import OPERATIONS
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules, choices

if TYPE_CHECKING:
    from tests.sandbox.conftest import Call

DESCRIPTION = Path(__file__).parents[3] / "docs" / "api" / "public_api_v1.openapi.yaml"


def test_it_is_the_projects_description_with_the_sandbox_as_server(call: Call) -> None:
    served = call("GET", "/openapi-v1.json").json()

    assert served.pop("servers")[0]["url"] == PREFIX
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    described.pop("servers")
    assert served == described, "Write the YAML file as JSON to sandbox/v1/public_api_v1.openapi.json again"


def test_every_described_operation_is_known(call: Call) -> None:
    paths = call("GET", "/openapi-v1.json").json()["paths"]

    operations = {
        call["operationId"]: f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, call in methods.items()
        if method != "parameters"
    }
    assert operations == OPERATIONS


def test_the_docs_list_every_rule_with_its_values_and_default() -> None:
    text = (DESCRIPTION.parents[1] / "sandbox.md").read_text(encoding="utf-8")
    table = text.partition("### Rules of the v1 API")[2].partition("## Faults")[0]
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("| `")]

    documented = {name.strip("`"): values for _, name, values, *_ in rows}
    assert documented == {name: _values(name, words) for name, words in choices().items()}


def _values(name: str, words: tuple[Any, ...]) -> str:
    default = getattr(V1Rules(), name)
    if not words:
        return f"{default:g}"
    return " ".join(f"`{str(word).lower()}`" for word in (default, *(word for word in words if word != default)))
