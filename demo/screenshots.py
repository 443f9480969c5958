"""``make screenshots``: take the screenshots in ``docs/images`` of a real Airflow and a sandbox, in a real browser.

Only times and ids differ from one run to the next.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.sandbox import History, Sandbox
from demo import browser, ui
from demo.real_airflow import AIRFLOW_3, RealAirflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("DEMO_STATE", ROOT / ".demo")) / "screenshots"
IMAGES = ROOT / "docs" / "images"
ATTEMPTS = 20

RUN_ID = "first_run"
LEADS = "leads_to_campaign"
REFUSED = "add_with_an_old_key"
ADDRESS = "gita@example.com"
OLD_KEY = "a-key-that-was-deleted"
FAILING_DAG = f"""
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_salesblink.operators.prospects import AddProspectOperator

with DAG("{REFUSED}", schedule=None, start_date=datetime(2026, 1, 1)):
    AddProspectOperator(
        task_id="add", campaign_id="spring-2027", data={{"Email": "{ADDRESS}"}}, salesblink_conn_id="old_account"
    )
"""
REPORT = "campaign_report"
CAMPAIGN = "spring-2027"
REPORT_DAG = f"""
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG, conf
from airflow_provider_salesblink.operators.results import CampaignReportOperator

with DAG("{REPORT}", schedule=None, start_date=datetime(2026, 1, 1)):
    CampaignReportOperator(
        task_id="write", campaign_id="{CAMPAIGN}", output_path=conf.get("salesblink", "reports_path") + "/spring.html",
        salesblink_conn_id="results",
    )
"""


@dataclass(frozen=True)
class Studio:
    """The running services that the screenshots show.

    :param airflow: a running Airflow.
    :param sandbox: the sandbox that Airflow connects to.
    :param other: a separate sandbox for the screenshot of the sandbox's page.
    """

    airflow: RealAirflow
    sandbox: Sandbox
    other: Sandbox

    def start(self, dag_id: str) -> None:
        """Start a run of a DAG, without waiting for its end."""
        self.airflow.api(f"dags/{dag_id}/dagRuns", {"dag_run_id": RUN_ID, "logical_date": None})

    def ended(self, dag_id: str) -> str | None:
        """Wait until the run ends, and return its state."""
        states = {"success", "failed"}
        self.airflow.wait_until(f"{dag_id} ends", lambda: self.airflow.run_state(dag_id, RUN_ID) in states, 120)
        return self.airflow.run_state(dag_id, RUN_ID)


@dataclass(frozen=True)
class Picture:
    """A screenshot for the docs.

    :param name: file name in ``docs/images``.
    :param arrange: opens what the screenshot shows, and returns the page or the part of it to capture.
    :param width: width of the browser window in pixels.
    :param height: height of the browser window in pixels.
    """

    name: str
    arrange: Callable[[Page, Studio], Page | Locator]
    width: int
    height: int

    def take(self, page: Page, studio: Studio, folder: Path) -> Path:
        """Take the screenshot, write it to ``folder``, and return its path. The page stays open."""
        subject = self.arrange(page, studio)
        page.mouse.move(0, 0)  # no tooltip of the last clicked element
        page.evaluate("document.activeElement?.blur()")
        path = folder / self.name
        path.write_bytes(_when_still(subject, page))
        return path


def main() -> int:
    """Take all screenshots. Return 2 if Airflow 3 or Chromium is missing."""
    if not AIRFLOW_3 or not browser.found():
        print(
            browser.MISSING if AIRFLOW_3 else "The screenshots show Airflow 3. Run this without AIRFLOW=2.11.",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(HOME, ignore_errors=True)
    IMAGES.mkdir(exist_ok=True)
    with open_studio(HOME) as there, browser.launched() as chromium:
        for picture in PICTURES:
            with browser.window(chromium, picture.width, picture.height) as page:
                path = picture.take(page, there, IMAGES)
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB", flush=True)
    return 0


@contextmanager
def open_studio(home: Path) -> Iterator[Studio]:
    """Run Airflow and the sandboxes, and start three DAGs: one fails because its key is wrong."""
    with Sandbox(seed="demo") as sandbox, Sandbox(seed="demo") as other, _airflow(home, sandbox) as airflow:
        ui.connect(airflow, sandbox)
        sandbox.fill_events(History(events=2_000, late=0, future=0))
        there = Studio(airflow, sandbox, other)
        for dag_id in (LEADS, REFUSED, REPORT):
            there.start(dag_id)
        yield there


def _airflow(home: Path, sandbox: Sandbox) -> RealAirflow:
    airflow = RealAirflow(home, {})
    for name in (f"{LEADS}.py", "leads.csv"):
        shutil.copy(ROOT / "dags_examples" / name, airflow.dags)
    for name, text in ((REFUSED, FAILING_DAG), (REPORT, REPORT_DAG)):
        (airflow.dags / f"{name}.py").write_text(text)
    airflow.environment |= {
        "AIRFLOW_CONN_OLD_ACCOUNT": _connection(sandbox.url, OLD_KEY),
        "AIRFLOW_CONN_RESULTS": _connection(sandbox.url, sandbox.key, api_version="v1", reads_per_minute=0),
        "AIRFLOW__SALESBLINK__REPORTS_PATH": f"file://{home}/reports",
    }
    return airflow


def _connection(url: str, key: str, **extra: Any) -> str:
    return json.dumps({"conn_type": "salesblink", "host": url, "password": key, "extra": extra})


def _connection_form(page: Page, studio: Studio) -> Locator:
    form = browser.new_connection(page, studio.airflow, ui.CONN_ID)
    form.get_by_label("API key").fill("0" * 24)
    return form


def _connection_extras(page: Page, studio: Studio) -> Locator:
    form = browser.new_connection(page, studio.airflow, ui.CONN_ID)
    browser.extras(form)
    return form


def _example_graph(page: Page, studio: Studio) -> Page:
    studio.ended(LEADS)
    browser.graph(page, studio.airflow, LEADS, RUN_ID)
    return page


def _failed_log(page: Page, studio: Studio) -> Page:
    studio.ended(REFUSED)
    log = browser.task_log(page, studio.airflow, REFUSED, RUN_ID, "add")
    # Tracebacks contain paths of this machine.
    log.locator("details").evaluate_all("tracebacks => tracebacks.forEach(each => each.open = false)")
    page.get_by_text("Log message source details").scroll_into_view_if_needed()
    return page


def _report(page: Page, studio: Studio) -> Page:
    studio.ended(REPORT)
    shown = browser.reports(page, studio.airflow)
    shown.get_by_role("link", name="Spring").click()
    shown.get_by_role("heading", name="Over time").wait_for()
    return page


def _sandbox_page(page: Page, studio: Studio) -> Locator:
    sandbox = studio.other
    for event in ("appear", "reply", "unsubscribe", "reply"):
        sandbox.happen(event)
    # A response is lost, so the client checks whether the person was added.
    sandbox.fault("prospect-add", "reset", when="after", times=1)
    with SalesBlinkClient(sandbox.key, sandbox.url, reads_per_minute=0) as client:
        client.prospects.add("spring-2027", {"Email": "mia@example.com", "First Name": "Mia", "Company": "Aperture"})
        client.team.list()
    page.goto(sandbox.url)
    page.get_by_role("table").first.wait_for()
    return page.locator("body")


def _when_still(subject: Page | Locator, page: Page) -> bytes:
    """Return a screenshot that does not change for half a second."""
    page.wait_for_load_state("networkidle")
    pictures = [b""]
    while len(pictures) < ATTEMPTS:
        pictures.append(subject.screenshot(animations="disabled"))
        if pictures[-1] == pictures[-2]:
            return pictures[-1]
        page.wait_for_timeout(500)
    raise AssertionError(f"{page.url} keeps changing.")


PICTURES = (
    Picture("connection-form.png", _connection_form, 1100, 800),
    Picture("connection-extras.png", _connection_extras, 1100, 1700),
    Picture("sandbox-page.png", _sandbox_page, 1120, 900),
    Picture("example-graph.png", _example_graph, 1440, 700),
    Picture("failed-task.png", _failed_log, 1280, 600),
    Picture("report.png", _report, 1280, 900),
)


if __name__ == "__main__":
    sys.exit(main())
