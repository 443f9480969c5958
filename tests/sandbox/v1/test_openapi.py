"""Generated requests: every answer of the v1 API fits its description."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from airflow_provider_salesblink.sandbox import Sandbox
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from tests.sandbox.test_openapi import KEY, QUICKLY

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED = Path(__file__).parents[3] / "docs" / "api" / "public_api_v1.openapi.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# There are 47 operations: more examples of each take minutes.
FEW = settings(QUICKLY, max_examples=12)

documented = schemathesis.openapi.from_path(DOCUMENTED)
documented.config.update(headers={"Authorization": KEY})


@pytest.fixture(scope="module")
def seeded() -> Iterator[Sandbox]:
    with Sandbox(seed="demo", key=KEY) as sandbox:
        yield sandbox


@documented.parametrize()
@FEW
def test_every_answer_fits_the_description(case: schemathesis.Case, seeded: Sandbox) -> None:
    answer = case.call(base_url=f"{seeded.url}{PREFIX}")

    case.validate_response(answer, checks=CHECKS)


@documented.parametrize()
@FEW
def test_every_answer_about_what_exists_fits_the_description(case: schemathesis.Case, seeded: Sandbox) -> None:
    if "id" in (case.path_parameters or {}):
        sequence, lead = seeded.campaigns()[0].id, seeded.people()[0].id
        kind = case.path.split("/")[1]
        ids = {"lists": seeded.lists()[0].id, "leads": lead, "contacts": lead, "sequences": sequence}
        case.path_parameters = {"id": ids.get(kind, "x"), "leadId": lead}

    case.validate_response(case.call(base_url=f"{seeded.url}{PREFIX}"), checks=CHECKS)
