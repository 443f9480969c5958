"""The key is sent encrypted to the configured server, or not at all."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    ConnectionFailedError,
    InvalidInputError,
    SalesBlinkError,
    UnreadableResponseError,
    validation,
)
from airflow_provider_salesblink.client.retry import Policy
from tests.client.documented_calls import Documented, Scene, every_call_of_each_api
from tests.client.raw_server import answer
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.client.conftest import NewClient, Serve

ONCE = Policy(max_attempts=1, settling_time=0)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.evil.example", "127.0.0.1.evil.example.", "localhost.evil", "localhost.localdomain", "localhost.",
        "127.0.0.1.", "[::ffff:8.8.8.8]", "[::]", "[fe80::1]", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1",
        "2130706433", "127.1", "127.0.1", "0", "0.0.0.0", "128.0.0.1", "\uff11\uff12\uff17.0.0.1", "127.0.0.1_",  # noqa: S104
        "127\u30020\u30020\u30021", "xn--localhost-.example", "loc\u0430lhost", "l\u03bfcalhost", "localhost\u200b",
        "\u24dbocalhost", "127.0.0.1%00.evil.example", "127.0.0.1%2eevil.example", "%31%32%37.0.0.1",
    ],
)  # fmt: skip
def test_no_host_that_only_looks_like_this_machine_gets_the_key_unencrypted(new_client: NewClient, host: str) -> None:
    with pytest.raises(InvalidInputError):
        new_client(base_url=f"http://{host}")


@pytest.mark.parametrize(
    "url",
    [
        "https://good@evil.example/", "https://good:x@evil.example/", "https://good%40evil.example@evil.example/",
        "https://run.salesblink.io\\@evil.example/", "https://run.salesblink.io@evil.example",
        "https://@evil.example", "http://127.0.0.1\\.evil.example", "http://127.0.0.1;evil.example",
        "https://run.salesblink.io?@evil.example", "https://run.salesblink.io#@evil.example", "http:127.0.0.1",
        "http:/127.0.0.1", "https:\\\\run.salesblink.io", "javascript:alert(1)", "http+unix://%2ftmp%2fx",
        "HTTP://evil.example",
    ],
)  # fmt: skip
def test_no_url_says_one_host_and_means_another(new_client: NewClient, url: str) -> None:
    with pytest.raises(InvalidInputError):
        new_client(base_url=url)


def test_an_ipv4_address_as_ipv6_is_this_machine_only_where_it_is() -> None:
    # Python versions differ here. Both are correct, because the address cannot leave this machine.
    try:
        validation.root_url("http://[::ffff:127.0.0.1]")
    except InvalidInputError as error:
        assert "unencrypted" in str(error)  # noqa: PT017


def test_tls_is_checked_unless_it_is_switched_off(serve: Serve, new_client: NewClient, tls: Any) -> None:
    server = serve(lambda _: [answer([{"id": "1"}])], tls=tls[0])

    for options in ({}, {"verify_tls": True}):
        with pytest.raises(ConnectionFailedError, match="the server's certificate is not trusted"):
            new_client(base_url=server.url, policy=ONCE, **options).campaigns.list()
    assert server.requests == []


def test_a_certificate_of_another_host_is_none(
    serve: Serve, new_client: NewClient, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    server = serve(lambda _: [answer([{"id": "1"}])], tls=tls[0])

    with pytest.raises(ConnectionFailedError, match="the server's certificate is not trusted"):
        new_client(base_url=server.url.replace("127.0.0.1", "localhost"), policy=ONCE).campaigns.list()
    assert server.requests == []
    assert new_client(base_url=server.url, policy=ONCE).campaigns.list()


def test_that_tls_is_not_checked_is_said(
    serve: Serve, new_client: NewClient, tls: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(lambda _: [answer([{"id": "1"}])], tls=tls[0])

    with caplog.at_level(logging.WARNING), pytest.warns(Warning, match="Unverified HTTPS request"):
        new_client(base_url=server.url, verify_tls=False).campaigns.list()

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"verify_tls is off: anybody between this machine and {server.url} can read the key."]


def test_a_plain_server_behind_an_https_url_gets_no_key(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer([])])

    with pytest.raises(ConnectionFailedError):
        new_client(base_url=server.url.replace("http://", "https://"), policy=ONCE, timeout=0.3).campaigns.list()
    assert not any("authorization" in request.headers for request in server.requests)


@every_call_of_each_api
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
def test_no_redirect_is_followed_on_the_same_host_either(
    serve: Serve, new_client: NewClient, call: Documented, status: int
) -> None:
    server = serve(lambda _: [answer(status=f"{status} Elsewhere", Location="/api/campaigns")])

    with pytest.raises(SalesBlinkError):
        call.make(new_client(base_url=server.url, policy=ONCE), Scene("c1", "p1"))

    # After the redirect, an add is read back on its usual path. On the API v1, some writes read first.
    begins = server.requests[0].method == call.method
    assert [request.method for request in server.requests].count(call.method) == (1 if begins else 0)
    assert all("/api/campaigns" not in request.target or call.path == "/campaigns" for request in server.requests)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://key@127.0.0.1:{port}/"]
)
def test_no_redirect_leads_out_of_tls(
    serve: Serve, new_client: NewClient, tls: Any, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    plain = serve(lambda _: [answer([])])
    there = location.format(port=plain.server_address[1])
    server = serve(lambda _: [answer(status="307 Elsewhere", Location=there, Refresh=f"0; url={there}")], tls=tls[0])

    with pytest.raises(UnreadableResponseError, match="it is a redirect, which the client does not follow"):
        new_client(base_url=server.url, policy=ONCE).campaigns.list()

    assert len(server.requests) == 1
    assert plain.connections == 0


@pytest.mark.parametrize("header", ["Alt_Svc", "Link", "Content_Location", "Refresh", "Location", "Upgrade"])
def test_no_other_header_leads_elsewhere(serve: Serve, new_client: NewClient, header: str) -> None:
    elsewhere = serve(lambda _: [answer([])])
    server = serve(lambda _: [answer([{"id": "1"}], **{header: f"{elsewhere.url}/"})])
    client = new_client(base_url=server.url)

    assert [client.campaigns.list()[0]["id"] for _ in range(2)] == ["1", "1"]
    assert elsewhere.connections == 0


SECURE_BY_DEFAULT = """
import inspect
from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.client.probe import probe
for each in (SalesBlinkClient, probe):
    assert inspect.signature(each).parameters["verify_tls"].default is True, each
(field,) = [field for field in connection_form.FIELDS if field.name == "verify_tls"]
assert field.default is True
assert connection_form.DEFAULT_ROOT_URL.startswith("https://")
"""


def test_tls_is_checked_by_default() -> None:
    subprocess.run([sys.executable, "-c", SECURE_BY_DEFAULT], check=True, cwd=ROOT, timeout=60)
