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
    answers = [case.call(base_url=f"{seeded.url}{PREFIX}")]
    if case.path_parameters:
        case.path_parameters = existing(case.path.split("/")[1], seeded)
        answers.append(case.call(base_url=f"{seeded.url}{PREFIX}"))

    for answer in answers:
        case.validate_response(answer, checks=CHECKS)


def existing(resource: str, sandbox: Sandbox) -> dict[str, str]:
    """Return ids that exist: random ones only test that nothing is found."""
    lead = sandbox.people()[0].id
    ids = {"lists": sandbox.lists()[0].id, "leads": lead, "contacts": lead, "sequences": sandbox.campaigns()[0].id}
    return {"id": ids.get(resource, "x"), "leadId": lead}
