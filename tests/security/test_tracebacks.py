"""No log of a failure shows the key: no traceback, no cause, and no DEBUG record of a library."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.loading import LoadFailedError, load
from airflow_provider_salesblink.loading.rows import Row
from tests.client.documented_calls import EACH_API, Scene, each_api
from tests.client.raw_server import answer
from tests.client.test_privacy import in_full, shown

if TYPE_CHECKING:
    from airflow_provider_salesblink.loading.outcomes import Outcome
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Piece

KEY = "sk-Live_0123456789abcdef/+="
HASH_KEY = "the hash key of this test"
SECRETS = [KEY, quote(KEY, safe=""), quote(KEY), KEY[:12]]
GZIP = {"Content_Encoding": "gzip"}

ANSWERS: dict[str, list[Piece]] = {
    "reset": ["reset"],
    "close": ["close"],
    "slow": [0.5],
    "the key back": [answer({"success": False, "message": f"{KEY} is {quote(KEY, safe='')}"}, "401 Unauthorized")],
    "the key in a page": [answer(f"<html>{KEY}</html>", Content_Type="text/html")],
    "the key in the status line": [answer([], f"500 {KEY}")],
    "the key in headers": [answer([], "302 Found", Location=f"https://example.com/{KEY}", X_Key=KEY, Retry_After=KEY)],
    "the key in a broken head": [f"HTTP/1.1 200 {KEY}\r\nno header {KEY}\r\n\r\n".encode(), "close"],
    "the key in no head": [f"{KEY}\r\n\r\n".encode(), "close"],
    "the key in a chunk's size": [f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(), "close"],
    "the key in invalid gzip": [answer(KEY, **GZIP)],
    "half": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", "close"],
    "the key in half": [f'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n["{KEY}'.encode(), "close"],
    "the key as a column": [answer({"success": True, KEY: {KEY: KEY}})],
}


def variables(error: BaseException) -> str:
    """Return the client's local variables in an error's traceback, which debuggers and error reporters show."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("airflow_provider_salesblink")]
    assert ours
    return "".join(repr(frame.f_locals) for frame in ours)


@each_api
@pytest.mark.parametrize("kind", ANSWERS)
def test_no_log_of_a_failure_holds_the_key(
    serve: Serve,
    new_client: NewClient,
    said: list[logging.LogRecord],
    caplog: pytest.LogCaptureFixture,
    api_version: str,
    kind: str,
) -> None:
    server = serve(lambda _: ANSWERS[kind])
    client = new_client(api_key=KEY, base_url=server.url, timeout=0.1, policy=Policy(2, settling_time=0, backoff=0.001))

    for call in (each for each in EACH_API if each.api == api_version):
        try:
            call.make(client, Scene("c1", "p1"))
        except SalesBlinkError as error:
            logging.getLogger("somebody").exception("It failed: %s %r", error, error)
            # In that case the server chose the key as a name, so the variables contain it.
            seen = in_full(error) + ("" if kind == "the key as a column" else variables(error))
            if not error.__cause__:
                seen += in_full(pickle.loads(pickle.dumps(error)))  # noqa: S301  # our own
            assert [secret for secret in SECRETS if secret in seen] == []
    assert [secret for secret in [*SECRETS, "example.com"] if secret in shown(said) + caplog.text] == []
    assert all(request.headers["authorization"] == KEY for request in server.requests)


def test_no_log_of_a_failed_load_holds_the_hash_key_or_a_hashed_address(
    serve: Serve, new_client: NewClient, said: list[logging.LogRecord]
) -> None:
    server = serve(lambda _: [answer({"success": False, "message": "No."}, "400 Bad Request")])
    client = new_client(
        api_key=KEY, base_url=server.url, hash_key=HASH_KEY, policy=Policy(1, settling_time=0), dry_run=True
    )
    kept: list[Outcome] = []

    with pytest.raises(SalesBlinkError) as no_campaign:
        load(client, "c1", iter([Row(1, {"Email": "ana@example.com"})]), on_outcomes=kept.extend)
    server.script = lambda _: [answer([])]
    with pytest.raises(LoadFailedError) as refused:
        load(client, "c1", iter([Row(1, {"Email": "ana@example"})]), on_outcomes=kept.extend)

    assert [each.outcome for each in kept] == ["rejected"]
    for error in (no_campaign.value, refused.value):
        assert HASH_KEY not in variables(error)
    assert HASH_KEY not in shown(said)


@pytest.mark.parametrize("option", ["api_key", "base_url", "pacing_url", "timeout", "max_attempts", "reads_per_minute"])
def test_an_argument_that_is_the_key_by_mistake_is_not_recited(option: str, caplog: pytest.LogCaptureFixture) -> None:
    right: dict[str, Any] = {"api_key": "k", "base_url": "http://127.0.0.1:1"}
    for mistaken in (f" {KEY}", f"http://{KEY}@127.0.0.1 ", f"ftp://{KEY}\n"):
        with pytest.raises(SalesBlinkError) as caught:
            SalesBlinkClient(**{**right, option: mistaken})
        logging.getLogger("somebody").error("It failed", exc_info=caught.value)
        assert KEY[:12] not in in_full(caught.value) + caplog.text


def test_a_key_given_as_an_id_is_in_no_url(serve: Serve, new_client: NewClient, said: list[logging.LogRecord]) -> None:
    server = serve(lambda _: [answer([])])
    client = new_client(api_key=KEY, base_url=server.url)
    client.team.list()

    for call in (client.campaigns.get, client.campaigns.search, client.prospects.get, client.prospects.list):
        with pytest.raises(InvalidInputError, match="is the API key; nothing was sent") as caught:
            call(KEY)
        assert KEY[:12] not in in_full(caught.value)

    assert len(server.requests) == 1
    assert [secret for secret in SECRETS if secret in shown(said)] == []
