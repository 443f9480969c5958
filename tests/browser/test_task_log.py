"""The log of a failed task shows our error message and no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo import browser
from demo.screenshots import ADDRESS, OLD_KEY, REFUSED, RUN_ID

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from demo.screenshots import Studio

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]


def test_the_log_reports_a_refused_key_without_the_key_or_the_address(page: Page, studio: Studio) -> None:
    assert studio.ended(REFUSED) == "failed"

    log = browser.task_log(page, studio.airflow, REFUSED, RUN_ID, "add").inner_text()

    assert "SalesBlink refused the key of connection 'old_account' (401 on GET /api/prospect)" in log
    assert "Create a key under Integrations in SalesBlink and update the connection." in log
    for secret in (OLD_KEY, studio.sandbox.key, ADDRESS):
        assert secret not in page.content()
