"""A client of the v1 API, and a list with its sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox.v1 import PREFIX

if TYPE_CHECKING:
    import requests  # noqa: TID251  # the tests are this server's client

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


@pytest.fixture
def v1(call: Call) -> Call:
    def send(method: str, path: str, **options: Any) -> requests.Response:
        return call(method, PREFIX + path, **options)

    return send


@pytest.fixture
def people(sandbox: Sandbox) -> str:
    """Return the id of a list that no sequence uses."""
    return sandbox.add_list("People")
