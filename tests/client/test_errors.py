"""Each status has its exception, and each exception a sentence that says what, where and what now."""

from __future__ import annotations

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
)
from airflow_provider_salesblink.client.error_messages import error, in_words
from airflow_provider_salesblink.client.retry import Answered, LostAnswer, NeverSent, Outcome, RefusedInBody, Unreadable
from tests.client.wire import answer

if TYPE_CHECKING:
    from tests.client.conftest import NewClient, Serve

GET, POST = ("GET", "/api/campaigns"), ("POST", "/api/prospect-add")

TABLE = [
    (400, InvalidRequestError, True, "SalesBlink cannot use the request", "Check the arguments of the call."),
    (401, AuthenticationError, True, "SalesBlink refused the key", "Create a key under Integrations in SalesBlink"),
    (403, PermissionDeniedError, True, "keeps this for administrators", "Use the key of an administrator."),
    (404, NotFoundError, True, "has nothing there", "Check the id"),
    (405, InvalidRequestError, True, "does not take this method there", "Check the root URL"),
    (406, InvalidRequestError, True, "another format than JSON was asked for", "changes the Accept header"),
    (418, InvalidRequestError, True, "refused the request", "The same request would be refused again."),
    (422, InvalidRequestError, True, "cannot use its content", "Check the arguments of the call."),
    (429, RateLimitedError, False, "asks to slow down", "a minute is usual"),
    (500, ServerError, False, "had a problem of its own", "Try again later."),
    (502, ServerError, False, "had a problem of its own", "Try again later."),
    (503, ServerError, False, "offline for maintenance", "Try again later."),
    (504, ServerError, False, "had a problem of its own", "Try again later."),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("status", "kind", "permanent", "what", "now"), TABLE)
def test_every_status_has_its_exception_and_its_sentence(
    serve: Serve,
    new_client: NewClient,
    status: int,
    kind: type[SalesBlinkError],
    permanent: bool,
    what: str,
    now: str,
    method: str,
) -> None:
    def script(request: object) -> list[bytes]:
        is_read_back = getattr(request, "target", "").startswith("/api/prospects/")
        return [answer([]) if is_read_back else answer({"success": False, "message": "Said so."}, f"{status} Status")]

    client = new_client(base_url=serve(script).url)
    path = "/api/campaigns" if method == "GET" else "/api/prospect-add"

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
            NeverSent("the server does not take connections"), ConnectionFailedError, False,
            "Nothing was sent (POST /api/prospect-add): the server does not take connections. "
            "Check the root URL (https://run.example), and the way to it from this machine.",
        ),
        (
            LostAnswer("no answer in time"), ConnectionFailedError, False,
            "SalesBlink was asked but did not answer (POST /api/prospect-add): no answer in time. "
            "Try again later, or check the root URL (https://run.example).",
        ),
        (
            Unreadable(200, "it is an HTML page"), UnreadableResponseError, False,
            "The answer is not SalesBlink's (200 on POST /api/prospect-add): it is an HTML page. "
            "Check the root URL (https://run.example), and for a proxy or maintenance page on the way.",
        ),
        (
            RefusedInBody("No such plan."), ApiRefusedError, True,
            "SalesBlink answered that the call failed (200 on POST /api/prospect-add): No such plan. "
            "Check the arguments.",
        ),
        (
            Answered(429, retry_after=3600.0), RateLimitedError, False,
            "SalesBlink asks to slow down (429 on POST /api/prospect-add). It asks for 3600 s.",
        ),
        (
            Answered(404), NotFoundError, True,
            "SalesBlink has nothing there (404 on POST /api/prospect-add). "
            "Check the id, that the key's user may see it, and the root URL (https://run.example).",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_every_outcome_is_a_sentence(
    outcome: Outcome, kind: type[SalesBlinkError], permanent: bool, sentence: str
) -> None:
    told = error(outcome, method="POST", path="/api/prospect-add", root_url="https://run.example")

    assert type(told) is kind
    assert str(told) == sentence
    assert (told.method, told.path, told.permanent) == ("POST", "/api/prospect-add", permanent)
    assert in_words(outcome)


def test_the_key_is_called_what_its_owner_calls_it(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({}, "401 Unauthorized")])

    with pytest.raises(AuthenticationError, match=r"SalesBlink refused the key of connection 'crm' \(401 on GET"):
        new_client(base_url=server.url, key_name="the key of connection 'crm'").campaigns.list()


@pytest.mark.parametrize(
    ("said", "told"),
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
def test_the_api_s_own_words_are_passed_on(serve: Serve, new_client: NewClient, said: object, told: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        new_client(base_url=serve(lambda _: [answer(said, "400 Bad Request")]).url).campaigns.list()

    assert told in str(caught.value)


def test_long_words_are_cut(serve: Serve, new_client: NewClient) -> None:
    said = {"message": "no " * 100_000}

    with pytest.raises(InvalidRequestError) as caught:
        new_client(base_url=serve(lambda _: [answer(said, "400 Bad Request")]).url).campaigns.list()

    assert len(str(caught.value)) < 400


def test_the_tree() -> None:
    kinds = (
        AuthenticationError, PermissionDeniedError, NotFoundError, InvalidRequestError, RateLimitedError, ServerError,
        ConnectionFailedError, UnreadableResponseError, ApiRefusedError, AmbiguousWriteError,
    )  # fmt: skip
    assert {kind.__bases__ for kind in kinds} == {(SalesBlinkError,)}
    assert issubclass(InvalidInputError, InvalidRequestError)
    assert issubclass(InvalidInputError, ValueError)
    assert {kind for kind in kinds if kind.permanent} == {
        AuthenticationError, PermissionDeniedError, NotFoundError, InvalidRequestError, ApiRefusedError
    }  # fmt: skip


def test_errors_survive_the_way_between_processes() -> None:
    told = error(Answered(429, retry_after=7.0), method="GET", path="/api/campaigns")

    copy = pickle.loads(pickle.dumps(told))  # noqa: S301

    assert type(copy) is RateLimitedError
    assert (str(copy), copy.status, copy.method, copy.path, copy.retry_after) == (
        str(told), 429, "GET", "/api/campaigns", 7.0
    )  # fmt: skip
