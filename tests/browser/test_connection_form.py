"""The connection form: its fields, what it saves, and the Test button in the list of connections."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.connection_form import FIELDS, FormField
from demo import browser

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from demo.screenshots import Studio

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]

NUMBERS = ("integer", "number")


def test_the_form_shows_the_key_and_the_root_url_and_hides_unused_fields(page: Page, studio: Studio) -> None:
    form = browser.new_connection(page, studio.airflow, "new")

    for name, label in connection_form.RELABELING.items():
        field = form.get_by_label(label, exact=True)
        assert field.is_visible()
        assert field.get_attribute("name") == name
        assert field.get_attribute("placeholder") == connection_form.PLACEHOLDERS[name]
    for name in connection_form.HIDDEN_FIELDS:
        assert form.locator(f"[name='{name}']").count() == 0, name


def test_the_form_shows_every_extra_with_its_help_and_its_default(page: Page, studio: Studio) -> None:
    shown = browser.extras(browser.new_connection(page, studio.airflow, "new"))

    for field in FIELDS:
        line = _line(shown, field)
        assert line.get_by_text(field.label, exact=True).is_visible(), field.name
        assert line.get_by_text(field.description, exact=True).is_visible(), field.name
        assert _value(line, field) == field.default, field.name


def test_a_key_is_masked_while_typing_and_is_never_returned(page: Page, studio: Studio) -> None:
    form = browser.new_connection(page, studio.airflow, "masked")
    key = form.get_by_label("API key")
    key.fill(studio.sandbox.key)
    assert key.get_attribute("type") == "password"
    assert studio.sandbox.key not in page.locator("body").inner_text()

    answers: list[str] = []
    page.on("response", lambda answer: answers.append(answer.text()) if "/api/v2/" in answer.url else None)
    _save(form)
    _row(page, "masked").get_by_role("button", name="Edit Connection").click()
    form.get_by_label("API key").wait_for()

    assert key.input_value() == "***"
    assert studio.sandbox.key not in page.content()
    assert any('"masked"' in answer for answer in answers)
    assert not [answer for answer in answers if studio.sandbox.key in answer]


def test_the_hook_accepts_what_the_form_saves(page: Page, studio: Studio) -> None:
    form = browser.new_connection(page, studio.airflow, "changed")
    form.get_by_label("API key").fill("any-key")
    shown = browser.extras(form)
    for field in FIELDS:
        if field.kind in NUMBERS:
            _line(shown, field).get_by_role("spinbutton").fill("7")
        elif field.kind == "boolean":
            _line(shown, field).get_by_text(field.label, exact=True).click()
    _save(form)

    extras = json.loads(_stored(studio, "changed")["extra"])

    settings = connection_form.settings(extras, conn_id="changed")
    assert settings == {field.name: _changed(field) for field in FIELDS if _changed(field) != ""}


@pytest.mark.parametrize("good", [True, False], ids=["good", "wrong"])
def test_the_button_shows_whether_salesblink_accepts_the_key(page: Page, studio: Studio, good: bool) -> None:
    conn_id = "good" if good else "wrong"
    key = studio.sandbox.key if good else "a-wrong-key"
    form = browser.new_connection(page, studio.airflow, conn_id)
    form.get_by_label("Root URL").fill(studio.sandbox.url)
    form.get_by_label("API key").fill(key)
    form.get_by_label("Port").fill("443")
    _save(form)

    _row(page, conn_id).get_by_role("button", name="Test Connection").click()

    notification = page.get_by_role("region", name=re.compile("Notifications")).get_by_text(re.compile("^SalesBlink "))
    notification.wait_for()
    sentence = notification.inner_text()
    if good:
        assert sentence.startswith("SalesBlink accepted the key: its API 'classic' answers")
    else:
        assert re.match(r"SalesBlink refused the key \(.*Create a key under Integrations in SalesBlink", sentence)
    assert key not in page.content()


# The form


def _line(shown: Locator, field: FormField) -> Locator:
    """Return a field with its label and its help text."""
    return shown.get_by_role("group").filter(has=shown.page.get_by_text(field.label, exact=True))


def _value(line: Locator, field: FormField) -> Any:
    if field.kind in NUMBERS:
        return float(line.get_by_role("spinbutton").input_value())
    if field.kind == "boolean":
        return line.get_by_role("checkbox").is_checked()
    if field.choices:
        return next((each for each in field.choices if line.get_by_text(each, exact=True).is_visible()), None)
    # A password field has no role.
    return line.locator("input").input_value() if field.is_secret else line.get_by_role("textbox").input_value()


def _changed(field: FormField) -> Any:
    if field.kind in NUMBERS:
        return 7
    return not field.default if field.kind == "boolean" else field.default


def _save(form: Locator) -> None:
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")


# The list of connections


def _row(page: Page, conn_id: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=conn_id, exact=True))


def _stored(studio: Studio, conn_id: str) -> dict[str, Any]:
    stored: dict[str, Any] = studio.airflow.api(f"connections/{conn_id}")
    return stored
