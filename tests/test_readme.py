"""The README tells of all there is, and its DAG may run again. tests/docs tries the code and links of all pages."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.provider_info import get_provider_info
from demo import airflow_home
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

README = (ROOT / "README.md").read_text()
WAITING = (ROOT / "docs" / "waiting.md").read_text()


def test_the_dag_of_the_readme_adds_the_person_once_however_often_it_runs(
    sandbox: Sandbox, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    sandbox.add_campaign("Spring 2027", id="spring-2027")
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "welcome.py").write_text(code)
    dag = airflow_home.dags_of(tmp_path)["welcome"]

    assert [run_dag(dag).state for _ in range(2)] == ["success", "success"]
    assert [person.email for person in sandbox.people()] == ["gita@example.com"]


def test_the_readme_names_every_extra_and_its_default() -> None:
    told = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", README, flags=re.MULTILINE)
    extras = {name: default for names, defaults in told for name, default in _each(names, defaults)}

    assert extras == {field.name: str(field.default).lower() for field in connection_form.FIELDS}


def _each(names: str, defaults: str) -> list[tuple[str, str]]:
    return list(zip(re.findall(r"\w+", names), [each.strip("` ") for each in defaults.split(",")], strict=True))


def test_the_readme_names_every_operator() -> None:
    assert _classes_of("operators") == set(re.findall(r"`(\w+Operator)\(", README))


def test_the_readme_and_the_page_on_waiting_name_every_sensor() -> None:
    for page in (README, WAITING):
        assert _classes_of("sensors") == set(re.findall(r"`(\w+Sensor)\(", page))


def _classes_of(kind: str) -> set[str]:
    modules = [import_module(name) for name in get_provider_info()[kind][0]["python-modules"]]
    return {
        name
        for module in modules
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__ and not name.startswith("_")
    }


def test_the_code_on_the_page_on_waiting_tells_what_a_sensor_and_a_payload_are() -> None:
    from airflow_provider_salesblink.sensors.prospects import ProspectSensor

    sensor_code, _, payload = re.findall(r"(?:^    .*\n)+", WAITING, flags=re.MULTILINE)

    sensor = eval(dedent(sensor_code), {"ProspectSensor": ProspectSensor})  # noqa: S307
    sensor.email = "ana@example.com"
    sensor.trigger().condition()
    assert ast.literal_eval(payload.strip())["changes"][0].keys() == {"event", "prospect_id", "key"}
