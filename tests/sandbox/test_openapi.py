"""Generated requests from two descriptions: the sandbox's own, and the project's description of the classic API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests  # noqa: TID251  # the tests are this server's client
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from airflow_provider_salesblink.sandbox import Sandbox
from airflow_provider_salesblink.sandbox.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "contract"
CLASSIC_API = Path(__file__).parents[2] / "docs" / "api" / "classic_api.openapi.yaml"
QUICKLY = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def seeded() -> Iterator[Sandbox]:
    with Sandbox(seed="demo", key=KEY) as sandbox:
        yield sandbox


# Loaded here, not in a fixture: Schemathesis 4 makes one test per operation only from module-level schemas.
own = schemathesis.openapi.from_dict(app.openapi())
documented = schemathesis.openapi.from_path(CLASSIC_API)
for description in (own, documented):
    description.config.update(headers={"Authorization": KEY})


def test_the_served_description_is_the_tested_one(seeded: Sandbox) -> None:
    assert requests.get(f"{seeded.url}/openapi.json", timeout=5).json() == app.openapi()


@own.parametrize()
@QUICKLY
def test_every_response_matches_the_description(case: schemathesis.Case, seeded: Sandbox) -> None:
    case.call_and_validate(base_url=seeded.url)


@documented.parametrize()
@QUICKLY
def test_no_documented_request_causes_a_server_error(case: schemathesis.Case, seeded: Sandbox) -> None:
    answered = case.call(base_url=f"{seeded.url}/api")

    assert answered.status_code < 500
    answered.json()
