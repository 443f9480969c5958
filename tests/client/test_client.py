"""The client as a whole: its dependencies, its repr, and dry runs."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import airflow_provider_salesblink.client as package
from airflow_provider_salesblink.client import DEFAULT_BASE_URL, NotFoundError, SalesBlinkClient
from tests.client.documented_calls import (
    ANA,
    PREFIXES,
    Documented,
    Scene,
    every_call_of_each_api,
    every_read_of_each_api,
    every_write_of_each_api,
)
from tests.client.raw_server import answer
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve

WITHOUT = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import airflow_provider_salesblink.client, airflow_provider_salesblink.client.probe
from airflow_provider_salesblink.client import SalesBlinkClient
client = SalesBlinkClient(sys.argv[1], sys.argv[2], writes_per_minute=0, reads_per_minute=0)
print(len(client.campaigns.list()), sorted({refused!r} & sys.modules.keys()))
"""


@pytest.mark.parametrize("refused", [{"airflow"}, {"airflow", "redis", "fastapi", "uvicorn"}], ids=sorted)
def test_the_client_needs_no_airflow(sandbox: Sandbox, refused: set[str]) -> None:
    sandbox.add_campaign("Spring")

    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(refused=refused), sandbox.key, sandbox.url],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (ran.stdout, ran.stderr) == ("1 []\n", "")


def test_the_package_exports_the_contract() -> None:
    assert {
        "SalesBlinkClient", "SalesBlinkError", "AuthenticationError", "PermissionDeniedError", "NotFoundError",
        "InvalidRequestError", "RateLimitedError", "ServerError", "ConnectionFailedError", "UnreadableResponseError",
        "ApiRefusedError", "AmbiguousWriteError", "Campaign", "Prospect", "TeamMember",
    } <= set(package.__all__)  # fmt: skip
    assert all(hasattr(package, name) for name in package.__all__)
    assert DEFAULT_BASE_URL == "https://run.salesblink.io"


def test_the_repr_shows_only_the_server() -> None:
    client = SalesBlinkClient("my-key")

    assert repr(client) == str(client) == "SalesBlinkClient(base_url='https://run.salesblink.io')"


def test_a_client_may_be_used_in_a_with_statement(sandbox: Sandbox) -> None:
    with SalesBlinkClient(sandbox.key, sandbox.url) as client:
        assert client.campaigns.list() == []


# Dry run


@every_read_of_each_api
def test_a_dry_run_reads(
    sandbox: Sandbox, client: SalesBlinkClient, new_client: NewClient, scene: Scene, call: Documented
) -> None:
    assert call.make(new_client(dry_run=True), scene) == call.make(client, scene)
    dry, real = (sandbox.requests[start::2] for start in (0, 1))
    assert len(dry) == len(real)
    assert {request.method for request in sandbox.requests} == {"GET"}


@every_write_of_each_api
def test_a_dry_run_sends_no_write(
    sandbox: Sandbox, new_client: NewClient, scene: Scene, call: Documented, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = sandbox.people(), sandbox.campaigns(), sandbox.lists(), sandbox.blocked()

    answered = call.make(new_client(dry_run=True), scene)

    assert answered["dry_run"] is True
    assert {request.method for request in sandbox.requests} <= {"GET"}
    assert (sandbox.people(), sandbox.campaigns(), sandbox.lists(), sandbox.blocked()) == before
    assert f"Dry run, not sent: {call.method} {PREFIXES[call.api]}" in caplog.text
    assert "example.com" not in caplog.text


def test_a_dry_run_writes_nothing(serve: Serve, new_client: NewClient, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(lambda _: [answer([])])
    client = new_client(base_url=server.url, dry_run=True)
    caplog.set_level(logging.INFO)
    unknown: dict[str, Any] = {"unsubscribed": None, "raw": {}, "dry_run": True}

    for pausing in (client.campaigns.pause, client.campaigns.unpause):
        assert pausing("c1") == {"id": "c1", "name": None, "paused": None, "raw": {}, "dry_run": True}
    assert client.prospects.add("c1", {"Email": f" {ANA}", "Plan": "Gold"}) == {
        "id": None, "email": ANA, "campaign_id": "c1", "fields": {"Email": ANA, "Plan": "Gold"}, **unknown
    }  # fmt: skip
    changed = {"id": "p1", "email": None, "campaign_id": None, "fields": {}, **unknown}
    assert client.prospects.update("p1", {"Plan": "Gold", "Email": ANA}) == changed
    assert client.prospects.unsubscribe("p1") == changed

    assert server.connections == 0
    assert [record.getMessage() for record in caplog.records] == [
        "Dry run, not sent: POST /api/campaign-status with campaignID, pause.",
        "Dry run, not sent: POST /api/campaign-status with campaignID, pause.",
        "Dry run, not sent: POST /api/prospect-add with Email, Plan, campaignID, data.",
        "Dry run, not sent: POST /api/prospect with key, prospectID, value.",
        "Dry run, not sent: POST /api/prospect with key, prospectID, value.",
        "Dry run, not sent: POST /api/prospect-unsubscribe with prospectID.",
    ]


def test_a_dry_run_does_not_use_the_rate_limit(new_client: NewClient, tmp_path: Path) -> None:
    shared = {"writes_per_minute": 1, "pacing_url": f"file://{tmp_path}/count.sqlite"}
    dry, real = new_client(dry_run=True, **shared), new_client(**shared)
    for _ in range(5):
        dry.prospects.add("c1", {"Email": ANA})

    with pytest.raises(NotFoundError):
        real.prospects.add("c1", {"Email": ANA})


@every_call_of_each_api
def test_what_was_sent_is_not_marked_as_dry(client: SalesBlinkClient, scene: Scene, call: Documented) -> None:
    with suppress(NotFoundError):  # The blocklist has no entry with the id of this call.
        answered = call.make(client, scene)
        for record in answered if isinstance(answered, list) else [answered]:
            assert not isinstance(record, dict) or "dry_run" not in record
