"""No log record, error or repr shows the key or an address, whatever fails."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airflow_provider_salesblink.client import InvalidInputError, NotFoundError, SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.client.http_transport import Call
from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Answer, Requestor
from airflow_provider_salesblink.client.retry import Answered, Attempt, Done, Policy
from tests.client.documented_calls import EACH_API, Documented, Scene, each_api, every_call_of_each_api
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve

KEY = "sk-Live_0123456789abcdef/+="
PEOPLE = ["ana@example.com", "bo@example.com", "o'brien+x@example.com"]
PRIVATE = [KEY, quote(KEY, safe=""), *PEOPLE, *map(quote, PEOPLE), *(quote(each, safe="@") for each in PEOPLE)]

FAULTS = [
    ("reset", {}), ("close", {}), ("cut", {}), ("html", {}), ("truncated", {}), ("garbage", {}), ("refused", {}),
    ("slow", {"seconds": 1}), ("redirect", {"location": f"https://example.com/?key={KEY}&mail={PEOPLE[0]}"}),
    ("redirect", {"location": "http://[bad"}), ("429", {}), ("429", {"retry_after": 3600}),
    *(("status", {"status": status}) for status in (400, 401, 403, 404, 422, 500, 503, 504)),
]  # fmt: skip


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[logging.LogRecord] = []
        self.emit = self.heard.append  # type: ignore[method-assign]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """All log records of all loggers, from DEBUG up."""
    listener = Listener()
    logging.getLogger().addHandler(listener)
    for name in ("", "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests"):
        caplog.set_level(logging.DEBUG, name)
    yield listener.heard
    logging.getLogger().removeHandler(listener)
    assert listener.heard


def in_full(error: BaseException) -> str:
    """Return everything that an error shows: itself, its traceback, its causes, and its hidden contexts."""
    texts: list[str] = []
    left: list[BaseException | None] = [error]
    while left:
        if each := left.pop():
            texts += [str(each), repr(each), repr(each.args), repr(vars(each)), *traceback.format_exception(each)]
            left += [each.__cause__, each.__context__]
    return "\n".join(texts)


def shown(records: list[logging.LogRecord]) -> str:
    return "\n".join(f"{record.getMessage()} {record.msg} {record.args!r} {vars(record)!r}" for record in records)


def assert_private(text: str) -> None:
    for secret in PRIVATE:
        assert secret.casefold() not in text.casefold()


@every_call_of_each_api
@pytest.mark.parametrize(("kind", "options"), FAULTS, ids=str)
def test_no_fault_makes_the_client_talk(
    sandbox: Sandbox,
    new_client: NewClient,
    said: list[logging.LogRecord],
    scene: Scene,
    call: Documented,
    kind: str,
    options: dict[str, object],
) -> None:
    for target in (call.operation, "prospects", "v1.listListLeads"):
        sandbox.fault(target, kind, times=None, when="after", **options)
    client = new_client(
        timeout=0.05, policy=Policy(max_attempts=2, settling_time=0, backoff=0.001, rate_limit_window=0)
    )

    try:
        call.make(client, scene)
    except SalesBlinkError as error:
        seen = in_full(error)
    else:
        seen = ""

    text = seen + shown(said) + repr(client)
    assert sandbox.key not in text
    assert_private(text)


@each_api
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized", "429 Too Many", "500 Oops"])
@pytest.mark.parametrize("before", [0, 150, 180, 190, 199, 1000])
def test_what_the_api_says_is_passed_on_without_what_is_private(
    serve: Serve, new_client: NewClient, said: list[logging.LogRecord], api_version: str, status: str, before: int
) -> None:
    words = "x" * before + " " + " ".join(PRIVATE)
    server = serve(lambda _: [answer({"success": False, "message": words}, status)])
    client = new_client(api_key=KEY, base_url=server.url)

    for call in (each for each in EACH_API if each.api == api_version):
        with pytest.raises(SalesBlinkError) as caught:
            call.make(client, Scene("c1", "p1"))
        seen = in_full(caught.value)
        assert_private(seen)
        # Not the beginning of the key either, if a long message is cut.
        assert KEY[:8] not in seen
    assert_private(shown(said))


@each_api
@pytest.mark.parametrize("address", PEOPLE)
def test_an_address_given_as_an_id_is_not_shown(
    sandbox: Sandbox, client: SalesBlinkClient, said: list[logging.LogRecord], api_version: str, address: str
) -> None:
    with pytest.raises(InvalidInputError, match="pass an address as email") as caught:
        client.prospects.get(address)
    assert_private(in_full(caught.value))

    for operation in {"classic": ["campaign"], "v1": ["v1.getSequence", "v1.listSequences"]}[api_version]:
        sandbox.fault(operation, "reset", times=None)
    for call in (client.campaigns.get, client.campaigns.search):
        with pytest.raises(SalesBlinkError) as caught:
            call(address)
        assert_private(in_full(caught.value))
    assert_private(shown(said))


@each_api
def test_refused_arguments_are_not_recited(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    ana = PEOPLE[0]
    for call in (
        lambda: client.prospects.add("c1", {ana: "x"}),
        lambda: client.prospects.add("c1", {"Email": f"{ana} "[:-1] + " x"}),
        lambda: client.prospects.add("c1", {"Email": ana, "since": {ana}}),
        lambda: client.prospects.add("c1", {"Email": ana, "name": f"{ana}\ud800"}),
        lambda: client.prospects.update("p1", {ana: None}),
        lambda: client.prospects.update("p1", {"Email": f"{ana} {ana}"}),
        lambda: client.prospects.search(f"{ana}\n{ana}"),
        lambda: client.prospects.search(f"{ana}\ud800"),
        lambda: client.campaigns.get(f"{ana}\ud800"),
        lambda: SalesBlinkClient(f"{KEY}\n", sandbox.url),
        lambda: SalesBlinkClient(KEY, f"http://{KEY}@example.com"),
        lambda: SalesBlinkClient(KEY, sandbox.url, pacing_url=f"mysql://{KEY}@example.com"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert_private(in_full(caught.value))


def test_a_hash_key_is_not_shown(sandbox: Sandbox) -> None:
    secret = "of-this-test"
    with SalesBlinkClient(KEY, sandbox.url, hash_key=secret) as client:
        shown_of_it = f"{client!r} {client.addresses!r} {client.address_hash(PEOPLE[0])}"
    with pytest.raises(InvalidInputError) as refused:
        SalesBlinkClient(KEY, sandbox.url, hash_key=[secret])  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError) as no_address:
        client.address_hash(f"{PEOPLE[0]} and {PEOPLE[0]}")

    for text in (shown_of_it, in_full(refused.value), in_full(no_address.value)):
        assert secret not in text
        assert_private(text)


def test_nothing_shows_what_it_holds(new_client: NewClient) -> None:
    requestor = Requestor("http://127.0.0.1", "/api", KEY, policy=Policy(), rate_limiter=NoLimit(), timeout=1)
    ana = {"Email": PEOPLE[0]}
    call = Call("GET", f"/api/prospect/{quote(PEOPLE[0])}", query=quote(PEOPLE[0]), body=PEOPLE[1].encode())
    attempt = Attempt(Answered(200, body=ana), Done(), str(call))
    client = new_client(api_key=KEY)

    for each in (requestor, call, attempt, Answer(call, ana), client, client.campaigns, client.prospects, client.team):
        assert_private(f"{each} {each!r}")
    assert repr(call) == "<GET /api/prospect/<address>>"


@every_call_of_each_api
def test_the_http_library_logs_only_the_path(
    client: SalesBlinkClient, said: list[logging.LogRecord], scene: Scene, call: Documented
) -> None:
    # There is no entry with the id of this call.
    with suppress(NotFoundError):
        call.make(client, scene)

    lines = [record.getMessage() for record in said if record.name == "urllib3.connectionpool"]
    assert any("/api/" in line for line in lines)
    assert not any("?" in line or "term" in line for line in lines)
    assert_private(shown(said))


def test_other_users_of_the_http_library_are_logged_as_before(
    sandbox: Sandbox, client: SalesBlinkClient, said: list[logging.LogRecord]
) -> None:
    import requests  # noqa: TID251  # somebody else's

    client.campaigns.list()
    requests.get(f"{sandbox.url}/api/campaign?term=others", timeout=5)

    assert "/api/campaign?term=others" in shown(said)
