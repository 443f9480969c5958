"""The connection form: one table makes the form of each generation of Airflow, and the validation."""

from __future__ import annotations

import jsonschema
import pytest

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.connection_form import FIELDS, FormField
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_fields_default_is_a_value_that_it_takes(field: FormField) -> None:
    schema = connection_form.conn_fields()[field.name]["schema"]

    jsonschema.validate(field.default, schema)
    if field.default != "":
        assert connection_form.settings({field.name: field.default}, conn_id="c") == {field.name: field.default}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_has_a_label_and_a_help(field: FormField) -> None:
    assert field.label
    assert field.description.endswith(".")


def test_the_clients_defaults_are_the_forms() -> None:
    import inspect

    from airflow_provider_salesblink.client import SalesBlinkClient

    parameters = inspect.signature(SalesBlinkClient).parameters

    assert {field.name: field.default for field in FIELDS} == {
        field.name: parameters[field.name].default for field in FIELDS
    }
    assert parameters["base_url"].default == connection_form.DEFAULT_ROOT_URL


def test_the_form_offers_both_apis_and_the_client_and_the_connection_test_know_them() -> None:
    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.client.probe import APIS

    schema = connection_form.conn_fields()["api_version"]["schema"]

    assert schema["enum"] == ["classic", "v1"] == [api.version for api in APIS]
    for version in schema["enum"]:
        SalesBlinkClient("my-key", api_version=version).close()


def test_what_is_left_empty_is_left_to_the_client() -> None:
    assert connection_form.settings({"timeout": None, "pacing_url": ""}, conn_id="c") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("1", True), ("0", False), ("on", True), ("no", False)],
)
def test_a_truth_value_may_be_a_text(text: str, value: bool) -> None:
    assert connection_form.settings({"dry_run": text}, conn_id="c") == {"dry_run": value}


def test_an_extras_value_is_not_shown_for_it_may_be_a_secret() -> None:
    with pytest.raises(connection_form.InvalidConnectionError) as refused:
        connection_form.settings({"timeout": "s3cr3t"}, conn_id="c")

    assert "s3cr3t" not in str(refused.value)


@pytest.mark.generation(2)  # Airflow 3.2 and later read the form from the provider info
def test_the_older_form_has_the_same_fields() -> None:
    from flask import Flask
    from wtforms import Form

    widgets = SalesBlinkHook.get_connection_form_widgets()
    with Flask("form").test_request_context():
        form = type("ConnectionForm", (Form,), dict(widgets))()
        shown = {field.name: field.data for field in form}

    assert shown == {field.name: field.default for field in FIELDS}


def test_the_older_forms_standard_fields_are_the_newer_ones() -> None:
    behaviour = SalesBlinkHook.get_ui_field_behaviour()

    assert behaviour["relabeling"] == {"host": "Root URL", "password": "API key"}
    assert set(behaviour) == {"hidden_fields", "relabeling", "placeholders"}
