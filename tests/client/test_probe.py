"""Find out which of the two APIs accept a key, and explain a first failure with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import (
    AuthenticationError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.probe import probe
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import RawServer, Received, Script


def test_one_api_accepts_the_key_and_the_other_does_not_exist(sandbox: Sandbox) -> None:
    sandbox.serves = {"classic"}

    classic, v1 = probe(sandbox.key, sandbox.url)

    assert (str(classic), classic.error) == ("classic answers", None)
    assert str(v1) == "v1 does not"
    assert isinstance(v1.error, NotFoundError)
    assert [request.path for request in sandbox.requests] == ["/api/my-team", "/api/public/v1.0.0/account/verify"]


def test_both_apis_accept_the_key(sandbox: Sandbox) -> None:
    classic, v1 = probe(sandbox.key, sandbox.url)

    assert (str(classic), str(v1)) == ("classic answers", "v1 answers")


def test_a_wrong_key(sandbox: Sandbox) -> None:
    for finding in probe("wrong", sandbox.url, key_name="the key of connection 'crm'"):
        assert isinstance(finding.error, AuthenticationError)
        assert "the key of connection 'crm'" in str(finding.error)


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


def test_a_key_that_is_not_an_administrators_is_known(serve: Serve) -> None:
    classic, _ = probe("my-key", serve(lambda _: [answer({}, "403 Forbidden")]).url)

    assert isinstance(classic.error, PermissionDeniedError)
    assert str(classic) == "classic answers"


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>No</html>"
MEMBERS_KEY = answer({"message": "For administrators."}, "403 Forbidden")
UNAUTHORIZED, MISSING = answer({"message": "No."}, "401 Unauthorized"), answer({"message": "No."}, "404 Not Found")
VERIFIED = answer({"success": True, "data": {"user": {"email": "ana@example.com"}}})
HINT = " SalesBlink's API {0!r} does accept this key. Set the connection's extra api_version to {0!r}."


def apis(classic: bytes, v1: bytes = VERIFIED) -> Script:
    """Each API answers all its calls in one way."""
    return lambda request: [v1 if request.target.startswith("/api/public/") else classic]


def failure(server: RawServer, new_client: NewClient) -> str:
    with pytest.raises(SalesBlinkError) as caught:
        new_client(base_url=server.url).campaigns.list()
    return str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [(UNAUTHORIZED, AuthenticationError), (MISSING, NotFoundError), (PAGE, UnreadableResponseError)],
)
@pytest.mark.parametrize(
    ("version", "other", "path"),
    [("classic", "v1", "/api/campaigns"), ("v1", "classic", "/api/public/v1.0.0/sequences")],
)
def test_a_first_failure_says_that_the_other_api_accepts_the_key(
    serve: Serve,
    new_client: NewClient,
    version: str,
    other: str,
    path: str,
    refusal: bytes,
    kind: type[SalesBlinkError],
) -> None:
    script = apis(refusal) if version == "classic" else apis(answer([]), refusal)
    client = new_client(base_url=serve(script).url, api_version=version)

    with pytest.raises(kind) as caught:
        client.campaigns.list()

    assert str(caught.value).endswith(HINT.format(other))
    assert (caught.value.method, caught.value.path) == ("GET", path)


@pytest.mark.parametrize(
    ("classic", "v1"),
    [
        (UNAUTHORIZED, UNAUTHORIZED),
        (UNAUTHORIZED, MISSING),
        (UNAUTHORIZED, PAGE),
        (UNAUTHORIZED, answer({}, "503 Maintenance")),
        (UNAUTHORIZED, answer({"success": False, "message": "No."})),
        (answer({}, "400 Bad Request"), VERIFIED),
        (answer({"success": False, "message": "No."}), VERIFIED),
        (answer(None, "302 Found", Location="https://example.com/"), VERIFIED),
        (answer("half a document"), VERIFIED),
    ],
)
def test_a_failure_that_the_other_api_does_not_explain_stays_as_it_is(
    serve: Serve, new_client: NewClient, classic: bytes, v1: bytes
) -> None:
    assert "api_version" not in failure(serve(apis(classic, v1)), new_client)


def test_a_key_that_both_apis_refuse_is_wrong_for_both(serve: Serve, new_client: NewClient) -> None:
    sentence = failure(serve(apis(UNAUTHORIZED, UNAUTHORIZED)), new_client)

    assert sentence.endswith("update the connection. SalesBlink's API 'v1' refuses this key, too.")


@pytest.mark.parametrize("known", [answer([]), MEMBERS_KEY, answer({}, "503 Maintenance")])
def test_an_id_that_is_missing_is_not_explained_where_the_api_in_use_knows_the_key_or_is_down(
    serve: Serve, new_client: NewClient, known: bytes
) -> None:
    def script(request: Received) -> list[bytes]:
        return [known if request.target == "/api/my-team" else MISSING]

    server = serve(script)

    assert "api_version" not in failure(server, new_client)
    assert [request.target for request in server.requests] == ["/api/campaigns", "/api/my-team"]


@pytest.mark.parametrize("v1", ["reset", "close", b"nonsense"])
def test_a_probe_that_fails_does_not_hide_the_first_error(serve: Serve, new_client: NewClient, v1: str | bytes) -> None:
    def script(request: Received) -> list[str | bytes]:
        return [v1, "close"] if request.target.startswith("/api/public/") else [UNAUTHORIZED]

    sentence = failure(serve(script), new_client)

    assert sentence.startswith("SalesBlink refused the key (401 on GET /api/campaigns)")
    assert sentence.endswith("and update the connection.")


def test_the_apis_are_asked_once_and_every_later_failure_says_the_same(serve: Serve, new_client: NewClient) -> None:
    server = serve(apis(UNAUTHORIZED))
    client = new_client(base_url=server.url)

    for _ in range(3):
        with pytest.raises(AuthenticationError, match="api_version"):
            client.campaigns.list()

    probes = [request for request in server.requests if request.target != "/api/campaigns"]
    assert [request.target for request in probes] == ["/api/my-team", "/api/public/v1.0.0/account/verify"]
    assert len({request.headers["authorization"] for request in server.requests}) == 1


def test_after_a_success_nothing_is_asked(serve: Serve, new_client: NewClient) -> None:
    answers = iter([answer([]), UNAUTHORIZED])
    server = serve(lambda _: [next(answers)])
    client = new_client(base_url=server.url)
    client.campaigns.list()

    with pytest.raises(AuthenticationError) as caught:
        client.campaigns.list()

    assert "api_version" not in str(caught.value)
    assert len(server.requests) == 2


def test_a_dry_run_is_explained_too(serve: Serve, new_client: NewClient) -> None:
    server = serve(apis(UNAUTHORIZED))

    with pytest.raises(AuthenticationError, match="api_version"):
        new_client(base_url=server.url, dry_run=True).campaigns.list()

    assert {request.method for request in server.requests} == {"GET"}


def test_threads_that_fail_together_ask_once(serve: Serve, new_client: NewClient) -> None:
    server = serve(apis(UNAUTHORIZED))
    client = new_client(base_url=server.url)

    def call(_: int) -> str:
        with pytest.raises(AuthenticationError) as caught:
            client.campaigns.list()
        return str(caught.value)

    with ThreadPoolExecutor(8) as threads:
        sentences = list(threads.map(call, range(8)))

    assert all(sentence.endswith(HINT.format("v1")) for sentence in sentences)
    assert len([request for request in server.requests if "account" in request.target]) == 1
