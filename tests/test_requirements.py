"""The pinned requirements of the two Airflows."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

PINS = {
    version: dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / f"requirements/airflow-{version}.txt").read_text(), re.MULTILINE)
    )
    for version in ("2.11", "3.3", "3.3-celery")
}


@pytest.mark.parametrize("library", [
    "requests", "urllib3", "certifi", "charset-normalizer", "idna", "tenacity", "redis", "pyrate-limiter", "filelock",
    "pyarrow", "jinja2", "fsspec", "email-validator",
])  # fmt: skip
def test_the_layers_without_airflow_use_the_same_libraries_next_to_both_airflows(library: str) -> None:
    """``.ci/run`` runs the tests of these layers next to one of them only."""
    assert PINS["2.11"][library] == PINS["3.3"][library]


def test_the_cluster_has_what_the_other_tests_run_with() -> None:
    assert PINS["3.3"].items() < PINS["3.3-celery"].items()


@pytest.mark.xdist_group("one")
def test_pytest_xdist_groups_tests(request: pytest.FixtureRequest) -> None:
    """Otherwise several real Airflows run at once, which is too much for a small machine."""
    groups = getattr(request.config.option, "loadgroup", False)

    assert request.node.nodeid.endswith("@one") is groups
