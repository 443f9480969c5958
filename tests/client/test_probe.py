"""Find out which of the two APIs accept a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import AuthenticationError, InvalidInputError, NotFoundError, ServerError
from airflow_provider_salesblink.client.probe import probe
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import Serve
    from tests.client.raw_server import Received


def test_one_api_accepts_the_key_and_the_other_does_not_exist(sandbox: Sandbox) -> None:
    classic, v1 = probe(sandbox.key, sandbox.url)

    assert (str(classic), classic.error) == ("classic answers", None)
    assert str(v1) == "v1 does not"
    assert isinstance(v1.error, NotFoundError)
    assert [request.path for request in sandbox.requests] == ["/api/my-team", "/api/public/v1.0.0/account/verify"]


def test_a_wrong_key(sandbox: Sandbox) -> None:
    classic, _ = probe("wrong", sandbox.url, key_name="the key of connection 'crm'")

    assert isinstance(classic.error, AuthenticationError)
    assert "the key of connection 'crm'" in str(classic.error)


def test_each_api_gets_one_request(serve: Serve) -> None:
    def script(request: Received) -> list[bytes]:
        return [answer({}, "503 Maintenance") if "public" in request.target else answer({"success": True})]

    server = serve(script)
    classic, v1 = probe("my-key", server.url)

    assert classic.error is None
    assert isinstance(v1.error, ServerError)
    assert len(server.requests) == 2


def test_invalid_arguments_send_nothing() -> None:
    with pytest.raises(InvalidInputError):
        probe("", "https://run.salesblink.io")
    with pytest.raises(InvalidInputError):
        probe("my-key", "http://run.salesblink.io")
