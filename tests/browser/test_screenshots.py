"""The screenshots of the docs can be retaken, and show no secrets and no paths of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo import browser
from demo.screenshots import IMAGES, LEADS, OLD_KEY, PICTURES, Picture
from tests.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from demo.screenshots import Studio

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]

LARGEST = 500_000


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_screenshot_shows_no_secret_and_no_path(
    chromium: Browser, studio: Studio, tmp_path: Path, picture: Picture
) -> None:
    with browser.window(chromium, picture.width, picture.height) as page:
        taken = picture.take(page, studio, tmp_path).read_bytes()
        seen = page.locator("body").inner_text()

    assert taken.startswith(b"\x89PNG")
    assert len(taken) < LARGEST
    for secret in (studio.sandbox.key, studio.other.key, OLD_KEY):
        assert secret not in seen
    for folder in (ROOT, studio.airflow.home, Path.home()):
        assert str(folder) not in seen


def test_the_example_in_the_screenshots_succeeded(studio: Studio) -> None:
    assert studio.ended(LEADS) == "success"


def test_the_docs_contain_exactly_the_screenshots_that_are_taken() -> None:
    assert {path.name for path in IMAGES.iterdir()} == {picture.name for picture in PICTURES}
