"""Each status has its exception, and each message says what happened, where, and what to do."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    ApiRefusedError,
    AuthenticationError,
    ConnectionFailedError,
    InvalidInputError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
    UnsupportedByApiError,
)
from airflow_provider_salesblink.client.classic.unsupported import Unsupported
from airflow_provider_salesblink.client.error_messages import describe, to_error
from airflow_provider_salesblink.client.retry import Answered, LostAnswer, NeverSent, Outcome, RefusedInBody, Unreadable
from tests.client.documented_calls import PREFIXES, each_api
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Received

PATHS = {
    "classic": {"GET": "/campaigns", "POST": "/prospect-add"},
    "v1": {"GET": "/sequences", "POST": "/contacts"},
}

TABLE = [
    (400, InvalidRequestError, True, "SalesBlink cannot use the request", "Check the arguments of the call."),
    (401, AuthenticationError, True, "SalesBlink refused the key", "Create a key under Integrations in SalesBlink"),
    (403, PermissionDeniedError, True, "allows this for administrators only", "Use the key of an administrator."),
    (404, NotFoundError, True, "did not find it", "Check the id"),
    (405, InvalidRequestError, True, "does not accept this method here", "Check the root URL"),
    (406, InvalidRequestError, True, "asked for a format other than JSON", "changes the Accept header"),
    (418, InvalidRequestError, True, "refused the request", "It would refuse the same request again."),
    (422, InvalidRequestError, True, "cannot use its content", "Check the arguments of the call."),
    (429, RateLimitedError, False, "asks to slow down", "a minute is usual"),
    (500, ServerError, False, "had an internal problem", "Try again later."),
    (502, ServerError, False, "had an internal problem", "Try again later."),
    (503, ServerError, False, "offline for maintenance", "Try again later."),
    (504, ServerError, False, "had an internal problem", "Try again later."),
]


@each_api
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("status", "kind", "permanent", "what", "now"), TABLE)
def test_every_status_has_its_exception_and_its_message(
    serve: Serve,
    new_client: NewClient,
    api_version: str,
    status: int,
    kind: type[SalesBlinkError],
    permanent: bool,
    what: str,
    now: str,
    method: str,
) -> None:
    path = PREFIXES[api_version] + PATHS[api_version][method]

    def script(request: Received) -> list[bytes]:
        if request.target.partition("?")[0] == path and request.method == method:
            return [answer({"success": False, "message": "Said so."}, f"{status} Status")]
        is_campaign = api_version == "v1" and request.target.endswith("/c1")
        return [answer({"success": True, "data": {"lists": ["l1"]}} if is_campaign else [])]

    client = new_client(base_url=serve(script).url)

    with pytest.raises(SalesBlinkError) as caught:
        client.campaigns.list() if method == "GET" else client.prospects.add("c1", {"Email": "ana@example.com"})

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.method, caught.value.path) == (status, method, path)
    assert caught.value.permanent is permanent
    sentence = str(caught.value)
    assert what in sentence
    assert f"({status} on {method} {path}): Said so. " in sentence
    assert now in sentence


@pytest.mark.parametrize(
    ("outcome", "kind", "permanent", "sentence"),
    [
        (
            NeverSent("the server does not accept connections"), ConnectionFailedError, False,
            "Nothing was sent (POST /api/prospect-add): the server does not accept connections. "
            "Check the root URL (https://run.example), and the network from this machine.",
        ),
        (
            LostAnswer("no answer in time"), ConnectionFailedError, False,
            "The request was sent, but SalesBlink did not answer (POST /api/prospect-add): no answer in time. "
            "Try again later, or check the root URL (https://run.example).",
        ),
        (
            Unreadable(200, "it is an HTML page"), UnreadableResponseError, False,
            "The answer is not SalesBlink's (200 on POST /api/prospect-add): it is an HTML page. "
            "Check the root URL (https://run.example), and whether a proxy or a maintenance page answered.",
        ),
        (
            RefusedInBody("No such plan."), ApiRefusedError, True,
            "SalesBlink answered that the call failed (200 on POST /api/prospect-add): No such plan. "
            "Check the arguments.",
        ),
        (
            Answered(429, retry_after=3600.0), RateLimitedError, False,
            "SalesBlink asks to slow down (429 on POST /api/prospect-add). It asks to wait 3600 s.",
        ),
        (
            Answered(404), NotFoundError, True,
            "SalesBlink did not find it (404 on POST /api/prospect-add). "
            "Check the id, whether the key's user may see it, and the root URL (https://run.example).",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_every_outcome_has_its_message(
    outcome: Outcome, kind: type[SalesBlinkError], permanent: bool, sentence: str
) -> None:
    raised = to_error(outcome, method="POST", path="/api/prospect-add", root_url="https://run.example")

    assert type(raised) is kind
    assert str(raised) == sentence
    assert (raised.method, raised.path, raised.permanent) == ("POST", "/api/prospect-add", permanent)
    assert describe(outcome)


def test_a_message_names_the_key_as_the_caller_does(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({}, "401 Unauthorized")])

    with pytest.raises(AuthenticationError, match=r"SalesBlink refused the key of connection 'crm' \(401 on GET"):
        new_client(base_url=server.url, key_name="the key of connection 'crm'").campaigns.list()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"message": "No such plan."}, ": No such plan. "),
        ({"error": "No such plan"}, ": No such plan. "),
        ({"error": {"message": "No such\n plan"}}, ": No such plan. "),
        ({"msg": "No such plan"}, ": No such plan. "),
        ({"error": True, "message": None}, " on GET /api/campaigns). "),
        ({"message": "{key_name} {0} %s"}, ": {key_name} {0} %s. "),
        ([1], " on GET /api/campaigns). "),
        (None, " on GET /api/campaigns). "),
    ],
    ids=str,
)
def test_the_api_s_message_is_shown(serve: Serve, new_client: NewClient, body: object, shown: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        new_client(base_url=serve(lambda _: [answer(body, "400 Bad Request")]).url).campaigns.list()

    assert shown in str(caught.value)


def test_a_long_message_is_cut(serve: Serve, new_client: NewClient) -> None:
    body = {"message": "no " * 100_000}

    with pytest.raises(InvalidRequestError) as caught:
        new_client(base_url=serve(lambda _: [answer(body, "400 Bad Request")]).url).campaigns.list()

    assert len(str(caught.value)) < 400


def test_the_class_hierarchy() -> None:
    kinds = (
        AuthenticationError, PermissionDeniedError, NotFoundError, InvalidRequestError, RateLimitedError, ServerError,
        ConnectionFailedError, UnreadableResponseError, ApiRefusedError, AmbiguousWriteError,
        UnsupportedByApiError,
    )  # fmt: skip
    assert {kind.__bases__ for kind in kinds} == {(SalesBlinkError,)}
    assert issubclass(InvalidInputError, InvalidRequestError)
    assert issubclass(InvalidInputError, ValueError)
    assert {kind for kind in kinds if kind.permanent} == {
        AuthenticationError, PermissionDeniedError, NotFoundError, InvalidRequestError, ApiRefusedError,
        UnsupportedByApiError,
    }  # fmt: skip


def test_errors_can_be_pickled() -> None:
    raised = to_error(Answered(429, retry_after=7.0), method="GET", path="/api/campaigns")

    read = pickle.loads(pickle.dumps(raised))  # noqa: S301

    assert type(read) is RateLimitedError
    assert (str(read), read.status, read.method, read.path, read.retry_after) == (
        str(raised), 429, "GET", "/api/campaigns", 7.0
    )  # fmt: skip


def test_a_sentence_can_be_added_to_an_error() -> None:
    raised = to_error(Answered(401), method="GET", path="/api/campaigns")
    before = str(raised)

    raised.append("Ask ana@example.com.")

    assert str(raised).startswith(f"{before} Ask ")
    assert "ana@example.com" not in str(raised)
    assert str(pickle.loads(pickle.dumps(raised))) == str(raised)  # noqa: S301


def test_what_the_classic_api_does_not_have_says_what_to_set() -> None:
    lists = Unsupported("lists")

    with pytest.raises(UnsupportedByApiError) as caught:
        lists.create("Leads")

    assert str(caught.value) == (
        "The connection uses SalesBlink's classic API, which does not have lists.create; nothing was sent. "
        "Set the connection's extra api_version to 'v1'."
    )
    assert caught.value.permanent


def test_what_the_classic_api_does_not_have_can_be_shown_and_copied() -> None:
    assert repr(copy.copy(Unsupported("lists"))) == "Unsupported('lists')"
