"""For any argument, SalesBlink gets the intended call or nothing.

The tests find all calls, operators, sensors and notifiers themselves, so that nobody can forget a new one.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,  # noqa: TID251  # whatever Airflow makes of a refusal
    BaseNotifier,
    BaseOperator,
    BaseSensorOperator,
)

import airflow_provider_salesblink
from airflow_provider_salesblink.client import SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.operators.load_base import LoadOperator
from airflow_provider_salesblink.operators.plans import ApproveLoadOperator
from airflow_provider_salesblink.operators.results import CampaignReportOperator, ExtractEventsOperator
from airflow_provider_salesblink.sensors.campaigns import CampaignHealthSensor
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Piece, RawServer, Received

ADDRESS = "ana@example.com"
MEANT: dict[str, Any] = {
    "campaign_id": "c1",
    "campaign_name": "Spring",
    "prospect_id": "p1",
    "email": ADDRESS,
    "term": "spring",
    "data": {"Email": ADDRESS},
    "fields": {"Company": "Acme"},
    "where": {"Company": "Acme"},
    "state": "paused",
    "rows": [{"Email": ADDRESS}],
    "people": [{"Email": ADDRESS}],
    "sql": "SELECT 'ana@example.com' AS Email",
    "sql_conn_id": "warehouse",
    "insert_sql": "INSERT INTO leads (email) VALUES (?)",
    "sql_parameters": [],
    "columns": {"Email": "Email"},
    "csv_options": {"delimiter": ","},
    "opt_out_columns": ["Unsubscribed"],
    "approved_plan": None,
    "max_adds": 1000,
    "max_updates": 0.5,
    "daily_new_people": 20,
    "sending_window": "00:00-24:00",
    "ignore_ids": (),
    "list_id": "l1",
    "list_name": "Spring",
    "lead_id": "p1",
    "sequence_id": "s1",
    "status": "paused",
    "name": "Summer",
    "settings": {"starred": True},
    "entries": ["example.org"],
    "entry": ADDRESS,
    "endpoint": "/lists",
    "query": {"search": "spring"},
    "body": {"name": "Spring"},
    "since": "2026-11-01T00:00:00+00:00",
    "until": "2026-11-02T00:00:00+00:00",
}
"""A valid value for each argument. Add one for each new argument."""

PATHS = (
    "email_path", "events_path", "outcomes_path", "output_path", "path", "paths", "plan_path", "previous_path",
    "receipt_path", "rejected_path", "rows_path", "suppression_path",
)  # fmt: skip
"""Paths of the user's files, which are never sent."""

INJECTIONS = [
    "\r\nX-Injected: 1", "c1\r\nX-Injected: 1\r\n\r\nGET /api/campaigns HTTP/1.1", "c1\n", "\nX", "c1\x00", "\x00",
    "\x7f", "/", "a/b", "../campaigns", "..", ".", "...", "..\\..", "%2f", "%2F..%2F", "%2e%2e", "%2e%2e%2fcampaigns",
    "%00", "%0d%0aX-Injected:%201", "?", "c1?key=1", "c1&pause=true", "c1;a=b", "#", "c1#x", "http://example.com/",
    "//example.com/", "@example.com", "c1@example.com", "\u2028", "c1\u2029X-Injected: 1", "\x85", "\u202e", "\ufeff",
    "\uff0f..\uff0f", "ü", "\ud800", "c1\udfff", "💣", " ", "", "\t", " c1 ", "{{ 1 }}", "${x}", "<script>", "None",
    "'; DROP TABLE campaigns; --", "x" * 1_000_000, "/" * 100_000,
]  # fmt: skip
OTHER_TYPES: list[Any] = [
    None, True, 0, -1, 10**30, 1.5, float("nan"), b"c1", b"\r\n", bytearray(b"c1"), [], ["c1"], ("c1",), {}, {"c1": 1},
    {"c1"}, object(), str, range(3), Exception("c1"),
]  # fmt: skip
KEY = "the-key-of-this-test"


def injected(argument: str) -> list[Any]:
    """Return all values to try for an argument."""
    match MEANT[argument]:
        case dict(meant):
            inside: list[Any] = []
            for each in [*INJECTIONS, *OTHER_TYPES]:
                inside += [{**meant, "X": each}, dict.fromkeys(meant, each)]
                if isinstance(each, str | int | bytes | tuple | None):
                    inside.append({**meant, each: "x"})
            return [*inside, *INJECTIONS, *OTHER_TYPES]
        case [dict(meant)]:
            return [
                *([{**meant, "X": each}, dict.fromkeys(meant, each)] for each in [*INJECTIONS, *OTHER_TYPES]),
                *OTHER_TYPES,
            ]
        case ():
            return [(each,) for each in INJECTIONS]
    return [*INJECTIONS, *OTHER_TYPES]


def shown(value: object) -> str:
    return ascii(value)[:60]


# Requests


def always_successful(request: Received) -> Iterator[Piece]:
    """Answer each call with success."""
    if request.method != "GET":
        yield answer({"success": True})
    else:
        found = {"id": "p1", "name": "Spring", "Email": ADDRESS, "email": ADDRESS, "paused": True, "lists": ["l9"]}
        yield answer({"success": True, "data": [found]})


SHAPES = {"campaigns": 2, "campaign": 3, "campaign-status": 2, "prospect": 3, "prospects": 3, "prospect-add": 2,
          "prospect-unsubscribe": 2, "my-team": 2}  # fmt: skip
"""The fixed segment of each documented path, and the most segments that such a path has."""
SHAPES_OF_V1 = {"analytics": 3, "lists": 4, "leads": 4, "contacts": 3, "replies": 2, "reports": 2, "sent": 2,
                "sequences": 4, "unsubscribe": 3}  # fmt: skip
"""The same below the root of API v1."""
NEVER_SENT = ("allow_other_campaigns", "learn", "list_id", "with_columns")
"""Arguments of calls that the classic API does not get."""
NOT_CALLED = (
    "block", "check_list", "check_list_alone", "each_opt_out", "in_campaigns_of", "in_other_campaigns", "is_done_with",
    "on_list", "remove", "reservation_scope", "send_to_list",
)  # fmt: skip
"""Methods of the classic API that send nothing."""
COMPARING = ("in_campaign", "look_up", "opted_out_elsewhere")
"""Calls that compare an argument with the answers, and need not send it."""
V1_ONLY = ("api", "blocklist", "leads", "lists", "reports", "results", "sequences")
"""The modules of the operators that need API v1."""
V1_SENSORS = (CampaignHealthSensor,)
HEADERS = {
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "authorization",
    "content-type",
    "content-length",
}


def assert_well_formed(server: RawServer, key: str) -> None:
    """Assert that every request is a documented one with this client's headers."""
    for request in server.requests:
        assert set(request.headers) <= HEADERS
        assert request.headers["authorization"] == key
        assert request.headers["host"] == urlsplit(server.url).netloc
        assert request.target.isascii()
        url = urlsplit(request.target)
        segments = url.path.split("/")[1:]
        assert segments[0] == "api"
        assert not {unquote(each) for each in segments} & {"", ".", ".."}
        assert url.fragment == ""
        names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
        if segments[1] == "public":
            assert_of_v1(request, segments[2:], names)
        else:
            assert_of_classic(request, segments[1:], names)


def assert_of_classic(request: Received, segments: list[str], query: list[str]) -> None:
    assert request.method in ("GET", "POST")
    assert len(segments) < SHAPES[segments[0]]
    assert query in ([], ["term"])
    if request.body is not None:
        assert set(request.body) <= {"campaignID", "data", "pause", "prospectID", "key", "value"}


def assert_of_v1(request: Received, segments: list[str], query: list[str]) -> None:
    assert request.method in ("GET", "POST", "PUT")
    assert segments[0] == "v1.0.0"
    # The user names the others.
    if segments[1] in SHAPES_OF_V1:
        assert len(segments) <= SHAPES_OF_V1[segments[1]]
        assert len(set(query)) == len(query)


# The client's calls


def calls() -> list[tuple[str, str, str]]:
    """Return each argument of each public method of the client's resources."""
    found = []
    with SalesBlinkClient("k", "http://127.0.0.1:1") as client:
        for name, resource in vars(client).items():
            if type(resource).__module__.startswith("airflow_provider_salesblink.client.classic"):
                for method, function in inspect.getmembers(resource, inspect.ismethod):
                    if not method.startswith("_") and method not in NOT_CALLED:
                        arguments = inspect.signature(function).parameters
                        found += [(name, method, each) for each in arguments if each not in NEVER_SENT]
    return found


def test_every_call_is_found() -> None:
    assert {(resource, method) for resource, method, _ in calls()} >= {
        ("campaigns", "search"), ("campaigns", "get"), ("campaigns", "pause"), ("campaigns", "unpause"),
        ("prospects", "search"), ("prospects", "list"), ("prospects", "each"), ("prospects", "get"),
        ("prospects", "add"), ("prospects", "send"), ("prospects", "update"), ("prospects", "unsubscribe"),
    }  # fmt: skip


@pytest.mark.parametrize(("resource", "method", "argument"), calls())
def test_no_argument_of_a_call_leaves_its_place(
    serve: Serve, new_client: NewClient, resource: str, method: str, argument: str
) -> None:
    server = serve(always_successful)
    client = new_client(api_key=KEY, base_url=server.url, policy=Policy(max_attempts=1))
    call = getattr(getattr(client, resource), method)
    others = {name: MEANT[name] for name in inspect.signature(call).parameters if name not in NEVER_SENT}

    def attempt(value: Any) -> tuple[int, str]:
        """Return how many requests a value made, and their shape."""
        server.requests.clear()
        try:
            result = call(**{**others, argument: value})
            list(result) if isinstance(result, Iterator) else result
        except SalesBlinkError:
            pass
        assert_well_formed(server, KEY)
        return len(server.requests), "".join(f"{each.method} {each.target.count('/')}" for each in server.requests)

    meant = attempt(MEANT[argument])
    assert meant[0] >= 1
    for value in injected(argument):
        made = attempt(value)
        # fields: one request for each field.
        assert made[0] == 0 or made[1].startswith(meant[1]) or meant[1].startswith(made[1]), shown(value)
        if isinstance(value, str) and made[0] and argument not in ("email", "state") and method not in COMPARING:
            assert value in carried(server.requests[0]), shown(value)


def carried(request: Received) -> list[str]:
    """Return the texts in a request."""
    url = urlsplit(request.target)
    texts = [unquote(each, errors="strict") for each in url.path.split("/")]
    texts += [value for _, value in parse_qsl(url.query, keep_blank_values=True, errors="strict")]
    return [*texts, *map(str, (request.body or {}).values())]


# Operators, sensors and notifiers


def tasks() -> list[tuple[type, str]]:
    """Return each templated argument of each operator, sensor and notifier."""
    found = []
    for part in ("operators", "sensors", "notifications"):
        package = importlib.import_module(f"{airflow_provider_salesblink.__name__}.{part}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, kind in vars(importlib.import_module(module.name)).items():
                is_ours = inspect.isclass(kind) and kind.__module__ == module.name and not name.startswith("_")
                if is_ours and issubclass(kind, BaseOperator | BaseNotifier) and kind not in CALLS_NOTHING:
                    arguments = set(kind.template_fields) - {"salesblink_conn_id", *PATHS}
                    found += [(kind, argument) for argument in sorted(arguments)]
    return found


CALLS_NOTHING = (LoadOperator, ApproveLoadOperator)
FROM_SQL = {"insert_sql", "sql", "sql_conn_id", "sql_parameters"}
PAIRS = [
    ("campaign_id", "campaign_name"), ("prospect_id", "email"), ("rows", "rows_path"), ("list_id", "list_name"),
    ("query", "body"),
]  # fmt: skip


def needed(kind: type, argument: str, folder: Path) -> dict[str, Any]:
    """Return its other required arguments, and options that make it fast."""
    options: dict[str, Any] = {} if issubclass(kind, BaseNotifier) else {"task_id": "t"}
    if issubclass(kind, BaseSensorOperator):
        options |= {"timeout": 0, "poke_interval": 0.001, "max_consecutive_failures": 1}
    if issubclass(kind, LoadOperator):
        options["settle"] = 0
    if argument == "body":
        options["method"] = "POST"
    if kind is ExtractEventsOperator:
        options |= {"feeds": ["sent"], "output_path": folder / "events"}
    if kind is CampaignReportOperator:
        options["output_path"] = folder / "report.html"
    taken = set(kind.template_fields) - {argument, *PATHS, "salesblink_conn_id"}
    for one, other in PAIRS:
        if argument in (one, other):
            taken -= {one, other}
        elif one in taken:
            taken.discard(other)
    # The rows come from a query only where one of its arguments is tried.
    taken -= {"rows", "csv_options"} if argument in FROM_SQL else FROM_SQL
    return options | {name: MEANT[name] for name in taken}


def test_every_operator_sensor_and_notifier_is_found() -> None:
    names = {kind.__name__ for kind, _ in tasks()}

    assert {"AddProspectOperator", "AddProspectsOperator", "CampaignSensor", "ProspectSensor"} <= names
    assert "PauseCampaignNotifier" in names
    assert len(names) >= 14


@pytest.mark.parametrize(("kind", "argument"), tasks(), ids=str)
def test_no_argument_of_a_task_leaves_its_place(
    serve: Serve,
    connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type,
    argument: str,
) -> None:
    server = serve(always_successful)
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/leads.sqlite"})
    )
    api = "v1" if kind.__module__.rpartition(".")[2] in V1_ONLY or kind in V1_SENSORS else "classic"
    extra = {"pacing_url": f"file://{tmp_path}/pace.sqlite", "max_attempts": 1, "deletes_per_minute": 0}
    connection(host=server.url, password=KEY, extra={**extra, "api_version": api})
    others = needed(kind, argument, tmp_path)

    def attempt(value: Any) -> None:
        task: Any
        try:
            task = kind(**{**others, argument: value})
            task.notify({}) if isinstance(task, BaseNotifier) else task.execute({})
        except (AirflowException, SalesBlinkError, ValueError):
            pass
        assert_well_formed(server, KEY)

    attempt(MEANT[argument])
    assert server.requests
    tried = injected(argument)
    # The content of mappings goes to the client, which is tested above.
    for value in tried if not isinstance(MEANT[argument], Mapping | list) else tried[:: len(tried) // 40]:
        attempt(value)
