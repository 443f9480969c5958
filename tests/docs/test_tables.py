"""The tables of the pages list everything there is: operators, sensors, extras, exceptions, modules."""

from __future__ import annotations

import json
import re
from textwrap import dedent

import yaml

from airflow_provider_salesblink import client, connection_form
from airflow_provider_salesblink.sensors.campaigns import CampaignHealthSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.conftest import ROOT
from tests.docs.pages import DOCS, classes_of

WAITING = (DOCS / "waiting.md").read_text()


def test_the_page_on_the_connection_names_every_extra_and_its_default() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", (DOCS / "connection.md").read_text(), flags=re.MULTILINE)
    extras = {name: default for names, defaults in rows for name, default in _pairs(names, defaults)}

    assert extras == {field.name: str(field.default).lower() for field in connection_form.FIELDS}


def _pairs(names: str, defaults: str) -> list[tuple[str, str]]:
    return list(zip(re.findall(r"\w+", names), [each.strip("` ") for each in defaults.split(",")], strict=True))


def test_the_page_on_operators_names_every_operator() -> None:
    assert classes_of("operators") == set(re.findall(r"`(\w+Operator)\(", (DOCS / "operators.md").read_text()))


def test_the_page_on_waiting_names_every_sensor() -> None:
    assert classes_of("sensors") == set(re.findall(r"`(\w+Sensor)\(", WAITING))


def test_the_page_on_errors_names_every_exception_and_whether_it_is_permanent() -> None:
    rows = re.findall(r"^\| `(\w+Error)` \|[^|]*\| (yes )?\|", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    exceptions = {name: vars(client)[name] for name in client.__all__ if name.endswith("Error")}

    assert {name: bool(permanent) for name, permanent in rows} == {
        name: kind.permanent for name, kind in exceptions.items() if kind is not client.SalesBlinkError
    }


def test_the_page_on_the_apis_names_every_call_of_both_and_no_other() -> None:
    shown = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?]*)(?:\?[^`]*)?`", (DOCS / "apis.md").read_text()))

    # The path of a classic call may have its argument's name instead of the API's.
    assert {_without_names(call) for call in shown} == {
        _without_names(f"{method.upper()} {path}")
        for name in ("classic_api", "public_api_v1")
        for path, operations in yaml.safe_load((DOCS / "api" / f"{name}.openapi.yaml").read_text())["paths"].items()
        for method in operations.keys() - {"parameters"}
    }


def _without_names(call: str) -> str:
    return re.sub(r"{\w+}", "{}", call)


def test_the_page_on_the_apis_names_every_call_that_only_v1_has_and_no_other() -> None:
    shared, page = ("campaigns", "prospects", "team"), (DOCS / "apis.md").read_text()
    named = {call for call in re.findall(r"`(\w+)\.(\w+)\(", page) if call[0] not in shared}

    with client.SalesBlinkClient("my-key", api_version="v1") as v1:
        only_v1 = {name: type(each) for name, each in vars(v1).items() if _is_resource(each) and name not in shared}

    assert named == {(name, call) for name, kind in only_v1.items() for call in vars(kind) if call[0] != "_"}


def _is_resource(found: object) -> bool:
    return type(found).__module__.startswith("airflow_provider_salesblink.client.v1.")


def test_the_code_on_the_page_on_waiting_shows_a_sensor_and_a_payload() -> None:
    sensor_code, health_code, *_, payload, of_feed = re.findall(r"(?:^    .*\n)+", WAITING, flags=re.MULTILINE)

    health = eval(dedent(health_code), {"CampaignHealthSensor": CampaignHealthSensor})  # noqa: S307
    health.trigger().condition()
    sensor = eval(dedent(sensor_code), {"ProspectSensor": ProspectSensor})  # noqa: S307
    sensor.email = "ana@example.com"
    sensor.trigger().condition()
    assert json.loads(payload)["changes"][0].keys() == {"event", "prospect_id", "key"}
    assert json.loads(of_feed).keys() == {"event", "prospect_id", "key", "person"}


def test_every_module_named_on_the_page_on_design_exists() -> None:
    named = set(re.findall(r"`(?:\w+/)*(\w+\.py)`", (DOCS / "design.md").read_text()))

    assert (
        named
        - {
            path.name
            for folder in ("airflow_provider_salesblink", "benchmarks")
            for path in (ROOT / folder).rglob("*.py")
        }
        == set()
    )
