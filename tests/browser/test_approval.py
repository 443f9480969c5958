"""A person looks at the plan of a load in Airflow's UI, and approves it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo import browser
from demo.screenshots import APPROVED

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from demo.screenshots import Studio

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]


def test_a_person_approves_a_load_in_the_browser(page: Page, studio: Studio, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("Email,First Name,Unsubscribed\nzoe@example.org,Zoe,\nyan@example.org,Yan,yes\n")
    campaign_id = studio.sandbox.add_campaign("Approved")
    params = {"campaign_id": campaign_id, "people": f"file://{people}", "plans": f"file://{tmp_path}"}
    run_id = studio.airflow.trigger(APPROVED, params)
    studio.airflow.wait_until(
        "a person is asked",
        lambda: studio.airflow.tasks(APPROVED, run_id).get("approve", ("", 0))[0] == "awaiting_input",
        120,
    )

    browser.visit(page, studio.airflow, f"/dags/{APPROVED}/runs/{run_id}/tasks/approve/required_actions")
    page.get_by_text(f"Add 1 person to campaign {campaign_id}").first.wait_for()
    assert page.get_by_role("cell", name="z*** at e***.org").is_visible()
    assert "zoe@example.org" not in page.content()
    assert studio.sandbox.people(campaign_id) == []
    page.get_by_role("button", name="Approve ").click()

    studio.airflow.wait_until(
        "the load ends", lambda: studio.airflow.run_state(APPROVED, run_id) in {"success", "failed"}, 120
    )
    assert studio.airflow.run_state(APPROVED, run_id) == "success"
    assert [person.email for person in studio.sandbox.people(campaign_id)] == ["zoe@example.org"]
