"""The hook: an Airflow connection becomes a client, or an error that says which field is wrong."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import NotFoundError
from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.sandbox import Sandbox


def test_a_connection_becomes_a_client_that_talks_to_its_host_with_its_key(
    sandbox: Sandbox, connection: Callable[..., None]
) -> None:
    connection()
    sandbox.add_campaign("Spring")

    assert [found["name"] for found in SalesBlinkHook().get_conn().campaigns.list()] == ["Spring"]
    assert sandbox.requests[-1].authorized


def test_the_client_of_a_hook_is_made_once(connection: Callable[..., None]) -> None:
    connection()
    hook = SalesBlinkHook()

    assert hook.get_conn() is hook.get_conn()


def test_a_connection_that_is_there_already_becomes_a_client_of_the_callers_own(
    sandbox: Sandbox, connection: Callable[..., None]
) -> None:
    connection()
    hook = SalesBlinkHook()
    fetched = hook.get_connection("salesblink_default")
    campaign_id = sandbox.add_campaign("Spring")

    with hook.client_of(fetched, dry_run=True) as client:
        assert client.campaigns.pause(campaign_id).get("dry_run") is True
    with hook.client_of(fetched) as client:
        client.campaigns.pause(campaign_id)

    assert sandbox.campaigns()[0].paused
    assert client is not hook.get_conn()


def test_a_connection_that_is_there_already_and_cannot_work_says_why(connection: Callable[..., None]) -> None:
    connection(host="ftp://run.salesblink.io")
    hook = SalesBlinkHook()

    with pytest.raises(InvalidConnectionError, match="Connection 'salesblink_default': The root URL is not an http"):
        hook.client_of(hook.get_connection("salesblink_default"))


def test_a_uri_has_texts_for_extras_and_they_count(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    host = sandbox.url.removeprefix("http://").rstrip("/")
    extras = "timeout=2.5&max_attempts=1&reads_per_minute=0&writes_per_minute=0&dry_run=true"
    monkeypatch.setenv("AIRFLOW_CONN_SALESBLINK_DEFAULT", f"salesblink://:{sandbox.key}@{host}/http?{extras}")
    campaign_id = sandbox.add_campaign("Spring")

    client = SalesBlinkHook().get_conn()

    assert client.campaigns.pause(campaign_id).get("dry_run") is True
    assert not sandbox.campaigns()[0].paused


@pytest.mark.parametrize(
    ("fields", "root"),
    [
        ({}, "https://run.salesblink.io"),
        ({"host": ""}, "https://run.salesblink.io"),
        ({"host": "crm.example.com"}, "https://crm.example.com"),
        ({"host": "crm.example.com", "port": 8443}, "https://crm.example.com:8443"),
        ({"host": "https://crm.example.com/"}, "https://crm.example.com"),
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "127.0.0.1", "port": 8080, "schema": "http"}, "http://127.0.0.1:8080"),
    ],
)
def test_a_host_is_written_in_any_of_airflows_ways(
    fields: dict[str, Any], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "salesblink", "password": "key-of-nobody", **fields}
    monkeypatch.setenv("AIRFLOW_CONN_SALESBLINK_DEFAULT", json.dumps(connection))

    assert repr(SalesBlinkHook().get_conn()) == f"SalesBlinkClient(base_url={root!r})"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"password": None}, "Connection 'salesblink_default' has no API key: create one under Integrations"),
        ({"password": ""}, "has no API key"),
        ({"password": "abc\n"}, "The API key contains a blank, a line break"),
        ({"password": "clé"}, "The API key contains a blank, a line break or another character"),
        ({"host": "http://run.salesblink.io"}, "http:// to run.salesblink.io: the key would travel unencrypted"),
        ({"host": "http://127.0.0.1.example.com"}, "the key would travel unencrypted"),
        ({"host": "ftp://run.salesblink.io"}, "The root URL is not an http"),
        (
            {"host": "https://run.salesblink.io/api/public/v1.0.0"},
            "The root URL contains /api/public, which the client adds",
        ),
        ({"host": "https://user:pass@run.salesblink.io"}, "has a user, a query or a fragment"),
        ({"extra": {"read_per_minute": 3}}, "unknown extra 'read_per_minute'. Known: api_version, deletes_per_minute"),
        ({"extra": {"timeout": "soon"}}, "extra 'timeout' takes a number"),
        ({"extra": {"timeout": 0}}, "extra 'timeout' must be at least 1"),
        ({"extra": {"max_attempts": 0}}, "extra 'max_attempts' must be at least 1"),
        ({"extra": {"writes_per_minute": -1}}, "extra 'writes_per_minute' must be at least 0"),
        ({"extra": {"reads_per_minute": 1.5}}, "extra 'reads_per_minute' takes a whole number"),
        ({"extra": {"dry_run": "perhaps"}}, "extra 'dry_run' takes true or false"),
        ({"extra": {"api_version": "v2"}}, "extra 'api_version' takes 'classic' or 'v1'"),
        ({"extra": {"pacing_url": "memcached://x"}}, "pacing_url is neither redis://"),
    ],
)
def test_a_connection_that_cannot_work_says_why_before_anything_is_sent(
    changed: dict[str, Any], sentence: str, connection: Callable[..., None], sandbox: Sandbox
) -> None:
    connection(**changed)

    with pytest.raises(InvalidConnectionError) as refused:
        SalesBlinkHook().get_conn()

    assert sentence in str(refused.value)
    assert "salesblink_default" in str(refused.value)
    assert not sandbox.requests


@pytest.mark.parametrize(("version", "other"), [("classic", "v1"), ("v1", "classic")])
def test_a_task_with_the_wrong_api_version_says_which_one_to_set(
    sandbox: Sandbox, connection: Callable[..., None], version: str, other: str
) -> None:
    sandbox.serves = {other}
    connection(extra={"api_version": version})

    with pytest.raises(NotFoundError, match=rf"Set the connection's extra api_version to '{other}'\.$"):
        SalesBlinkHook().get_conn().campaigns.list()

    connection(extra={"api_version": other})
    assert SalesBlinkHook().get_conn().campaigns.list() == []


def test_a_good_key_shows_which_api_answers(sandbox: Sandbox, connection: Callable[..., None]) -> None:
    sandbox.serves = {"classic"}
    connection()

    assert SalesBlinkHook().test_connection() == (
        True,
        "SalesBlink accepted the key: its API 'classic' answers (v1 does not).",
    )


def test_a_wrong_key_is_reported(connection: Callable[..., None]) -> None:
    connection(password="wrong-key")

    good, sentence = SalesBlinkHook().test_connection()

    assert not good
    # The connection's id is not shown: Airflow's UI tests a temporary connection with a random id.
    assert sentence.startswith("SalesBlink refused the key (401 on GET /api/my-team)")
    assert sentence.endswith("and update the connection.")
    assert "wrong-key" not in sentence


def test_a_members_key_is_reported_as_not_an_administrators(connection: Callable[..., None], sandbox: Sandbox) -> None:
    connection(password=sandbox.member_key)

    good, sentence = SalesBlinkHook().test_connection()

    assert not good
    assert "allows this for administrators only (403 on GET /api/my-team)" in sentence


def test_an_address_without_a_server_is_reported(connection: Callable[..., None]) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    connection(host=f"http://127.0.0.1:{port}")

    good, sentence = SalesBlinkHook().test_connection()

    assert not good
    assert "the server does not accept connections" in sentence


ACCOUNT = {"success": True, "data": {"account": {"name": "Ana Ruiz"}, "user": {"email": "ana@example.com"}}}


class _Apis(BaseHTTPRequestHandler):
    """Answers as both APIs; the paths of ``missing`` do not exist."""

    missing: tuple[str, ...] = ()

    def do_GET(self) -> None:
        content = json.dumps(ACCOUNT).encode()
        self.send_response(404 if self.path in self.missing else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class _OnlyV1(_Apis):
    missing = ("/api/my-team",)


class _OnlyClassic(_Apis):
    missing = ("/api/public/v1.0.0/account/verify",)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<html>It works!</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def some_web_server(request: pytest.FixtureRequest) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), getattr(request, "param", _Page)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("some_web_server", "version", "start", "end"),
    [
        (
            _OnlyV1, "classic", "SalesBlink did not find it (404 on GET /api/my-team)",
            " Its API 'v1' does answer. Set the connection's extra api_version to 'v1'.",
        ),
        (
            _OnlyClassic, "v1", "SalesBlink did not find it (404 on GET /api/public/v1.0.0/account/verify)",
            " Its API 'classic' does answer. Set the connection's extra api_version to 'classic'.",
        ),
        (_OnlyClassic, "classic", "SalesBlink accepted the key: its API 'classic' answers", "(v1 does not)."),
        (_OnlyV1, "v1", "SalesBlink accepted the key: its API 'v1' answers", "(classic does not)."),
        (
            _Apis, "classic", "SalesBlink accepted the key: its API 'classic' answers (v1 answers).",
            " This connection uses 'classic'. To use the other API, set its extra api_version to 'v1'.",
        ),
        (
            _Apis, "v1", "SalesBlink accepted the key: its API 'v1' answers (classic answers).",
            " This connection uses 'v1'. To use the other API, set its extra api_version to 'classic'.",
        ),
    ],
    indirect=["some_web_server"],
)  # fmt: skip
def test_the_connection_test_says_which_api_answers_and_what_to_set(
    connection: Callable[..., None], some_web_server: str, version: str, start: str, end: str
) -> None:
    connection(host=some_web_server, extra={"api_version": version})

    good, sentence = SalesBlinkHook().test_connection()

    assert good is start.startswith("SalesBlink accepted")
    assert sentence.startswith(start)
    assert sentence.endswith(end)
    assert "ana" not in sentence.lower(), "names the key's owner"


def test_a_server_that_is_not_salesblink_is_reported(connection: Callable[..., None], some_web_server: str) -> None:
    connection(host=some_web_server)

    good, sentence = SalesBlinkHook().test_connection()

    assert not good
    assert "The answer is not SalesBlink's (200 on GET /api/my-team): it is an HTML page" in sentence


def test_the_connection_test_shows_no_traceback_for_a_connection_that_cannot_work(
    connection: Callable[..., None],
) -> None:
    connection(password=None)

    assert SalesBlinkHook().test_connection()[0] is False


def test_a_broken_extra_is_an_error_rather_than_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import Connection

    hook = SalesBlinkHook()
    broken = Connection(conn_id="salesblink_default", conn_type="salesblink", password="key-of-nobody")
    broken._extra = "[1]"  # as an old database may hold it
    broken.extra = "[1]"
    monkeypatch.setattr(SalesBlinkHook, "get_connection", lambda *_: broken)

    with pytest.raises(InvalidConnectionError, match="the extra is not a JSON object"):
        hook.get_conn()
