"""Every shape of an answer gives the same record. A missing value is None or an error, never invented."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client import (
    ApiRefusedError,
    NotFoundError,
    SalesBlinkClient,
    SalesBlinkError,
    UnreadableResponseError,
)
from airflow_provider_salesblink.client.classic import decoding
from airflow_provider_salesblink.sandbox import Sandbox, Shapes
from airflow_provider_salesblink.sandbox.shapes import choices
from tests.client.documented_calls import ANA, Documented, Scene, every_read
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.client.conftest import NewClient, Serve


def crossed(*names: str) -> list[Shapes]:
    """Return every combination of the values of these options."""
    combinations = itertools.product(*(choices()[name] for name in names))
    return [Shapes(**dict(zip(names, words, strict=True))) for words in combinations]


def worded(shapes: Shapes) -> str:
    return "-".join(asdict(shapes).values())


EVERY_SHAPE = crossed("envelope", "single", "id_style", "columns", "email_key", "state")
EVERY_ACKNOWLEDGEMENT = crossed("envelope", "single", "id_style", "columns", "acknowledgement")


def without_raw(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "raw"}


@pytest.mark.parametrize("shapes", EVERY_SHAPE, ids=worded)
def test_every_shape_of_an_answer_gives_the_same_records(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, shapes: Shapes
) -> None:
    sandbox.add_person(scene.campaign, {"Email": "eve@example.com", "status": "lead"}, unsubscribed=True)
    sandbox.shapes = shapes
    says = shapes.state != "none"
    # In a flat answer "status" may be a user's column: it counts only if it says that the person opted out.
    is_open = shapes.state == "status" and shapes.columns == "flat"
    status = {"status": "active"} if is_open else {}
    campaign = {"id": scene.campaign, "name": "Spring", "paused": False if says else None}
    ana = {
        "id": scene.prospect, "email": ANA, "campaign_id": scene.campaign,
        "unsubscribed": False if says and not is_open else None,
        "fields": {shapes.email_key: ANA, "First Name": "Ana", **status},
    }  # fmt: skip

    assert [without_raw(each) for each in client.campaigns.list()] == [campaign]
    assert [without_raw(each) for each in client.campaigns.search("Spring")] == [campaign]
    assert without_raw(client.campaigns.get(scene.campaign)) == campaign
    assert [without_raw(each) for each in client.prospects.search(ANA)] == [ana]
    assert without_raw(client.prospects.get(scene.prospect)) == ana
    first, eve = people = client.prospects.list(scene.campaign)
    assert list(client.prospects.each(scene.campaign)) == people
    assert without_raw(first) == ana
    assert (eve["email"], eve["unsubscribed"]) == ("eve@example.com", True if says else None)
    assert [each["name"] for each in client.team.list()] == [each["raw"]["user_name"] for each in client.team.list()]


@pytest.mark.parametrize("shapes", EVERY_ACKNOWLEDGEMENT, ids=worded)
def test_every_shape_of_an_acknowledgement_is_read(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, shapes: Shapes
) -> None:
    sandbox.shapes = shapes

    assert client.campaigns.pause(scene.campaign)["id"] == scene.campaign
    added = client.prospects.add(scene.campaign, {"Email": "bo@example.com", "Plan": "Gold"})
    assert added["email"] == "bo@example.com"
    assert added["campaign_id"] == scene.campaign
    assert added["fields"] == {"Email": "bo@example.com", "Plan": "Gold"}
    assert added["id"] == (sandbox.people()[1].id if shapes.acknowledgement == "record" else None)
    assert client.prospects.update(scene.prospect, {"Plan": "Gold"})["id"] == scene.prospect
    assert client.prospects.unsubscribe(scene.prospect)["id"] == scene.prospect


@pytest.mark.parametrize(
    "body",
    [
        {}, {"success": True}, {"success": True, "error": False, "message": "ok"}, {"message": "Hello"},
        {"data": None}, {"data": 5}, {"success": True, "data": "none"}, {"success": True, "data": {}},
        {"campaigns": {}, "prospects": {}, "members": {}}, {"campaign": {}, "prospect": {}, "team": {}},
        [1, 2], ["ana@example.com"], [None], [[]], {"data": [{}, 5]}, {"total": 3},
    ],
    ids=str,
)  # fmt: skip
@every_read
def test_an_answer_without_records_is_not_an_empty_list(
    serve: Serve, new_client: NewClient, body: Any, call: Documented
) -> None:
    server = serve(lambda _: [answer(body)])

    with pytest.raises(UnreadableResponseError) as caught:
        call.make(new_client(base_url=server.url), Scene("c1", "p1"))

    assert (caught.value.status, caught.value.method) == (200, "GET")
    assert caught.value.path == "/api" + call.path.format(campaign="c1", prospect="p1")


@pytest.mark.parametrize(
    "body",
    [
        {"status": "maintenance"}, {"success": True, "result": [{"id": "p1", "Email": ANA, "name": "Spring"}]},
        {"message": "hello"}, [{"foo": 1}], {"success": True, "data": [{"foo": 1}]}, {"data": {"status": "busy"}},
        {"success": True, "data": {"message": "none found"}}, {"success": True, "data": {"data": {"items": [1]}}},
        {"success": True, "data": {"p1": {"id": "p1", "Email": ANA, "name": "Spring"}}}, {"ok": True, "results": []},
        {"success": True, "data": {"total": 0, "prospects": None, "campaigns": None, "members": None}},
        {"prospects": {"foo": 1}, "campaigns": {"foo": 1}, "members": {"foo": 1}}, [{}], {"data": [{}]},
        {"success": True, "data": {"email": " ", "name": "", "id": ""}}, [{"id": "p1", "name": "a", "email": ANA}, {}],
        {"queue": "full", "retry": 5, "data": [{"position": 3}]},
    ],
    ids=str,
)  # fmt: skip
@every_read
def test_an_object_without_an_id_or_a_person_is_not_a_record(
    serve: Serve, new_client: NewClient, body: Any, call: Documented
) -> None:
    client = new_client(base_url=serve(lambda _: [answer(body)]).url)

    with pytest.raises(UnreadableResponseError):
        call.make(client, Scene("c1", "p1"))
    with pytest.raises(UnreadableResponseError):
        list(client.prospects.each("c1"))


@pytest.mark.parametrize(
    "notice",
    [
        {"id": "req-9", "status": "maintenance"}, {"success": True, "id": "req-9", "result": [{"Email": ANA}]},
        {"name": "SalesBlink API", "version": 2}, {"id": "req-9", "data": {"status": "busy"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_notice_with_an_id_or_a_name_is_not_a_list(
    serve: Serve, new_client: NewClient, notice: dict[str, Any]
) -> None:
    client = new_client(base_url=serve(lambda _: [answer(notice)]).url)

    for read in (
        client.team.list, lambda: client.prospects.list("c1"),
        lambda: client.prospects.search(ANA), lambda: list(client.prospects.each("c1")),
        lambda: client.campaigns.get("c1"), lambda: client.prospects.get("p1"),
    ):  # fmt: skip
        with pytest.raises(UnreadableResponseError):
            read()


def test_a_list_is_found_in_an_envelope_with_an_id(serve: Serve, new_client: NewClient) -> None:
    body = {"id": "req-9", "data": [{"_id": "p1", "Email": ANA}, {"_id": "p2", "Email": "bo@example.com"}]}

    found = new_client(base_url=serve(lambda _: [answer(body)]).url).prospects.list("c1")

    assert [each["id"] for each in found] == ["p1", "p2"]


@pytest.mark.parametrize("body", [[], {"data": []}, {"success": True, "data": None}, {"data": {"data": []}}], ids=str)
@every_read
def test_an_explicit_empty_list_is_empty(serve: Serve, new_client: NewClient, body: Any, call: Documented) -> None:
    client = new_client(base_url=serve(lambda _: [answer(body)]).url)

    if call.section in ("one campaign", "one prospect"):
        with pytest.raises(NotFoundError):
            call.make(client, Scene("c1", "p1"))
    else:
        assert call.make(client, Scene("c1", "p1")) == []


@pytest.mark.parametrize("found", [{"id": "other"}, [{"id": "other"}, {"id": "third"}], [{"_id": "other"}]])
def test_an_answer_with_another_object_is_an_error(serve: Serve, new_client: NewClient, found: Any) -> None:
    client = new_client(base_url=serve(lambda _: [answer({"success": True, "data": found})]).url)

    for get in (client.campaigns.get, client.prospects.get):
        with pytest.raises(UnreadableResponseError, match="answered with another"):
            get("wanted")


@pytest.mark.parametrize(
    ("state", "paused"),
    [
        ({"paused": True}, True), ({"paused": False}, False), ({"pause": True}, True),
        ({"status": "Paused"}, True), ({"status": "running"}, False), ({"status": "ACTIVE"}, False),
        ({"status": "draft"}, None), ({"status": 1}, None), ({"paused": "yes"}, None), ({"paused": 1}, None),
        ({}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_campaign_is_paused_only_if_the_answer_says_so(state: dict[str, Any], paused: bool | None) -> None:
    assert decoding.campaign({"id": "c1", **state})["paused"] is paused


@pytest.mark.parametrize(
    ("state", "unsubscribed"),
    [
        ({"unsubscribed": True}, True), ({"isUnsubscribed": False}, False), ({"status": "unsubscribed"}, True),
        ({"status": "Opted-out"}, True), ({"status": "active"}, None), ({"status": "lead"}, None),
        ({"unsubscribed": False, "status": "unsubscribed"}, False), ({"unsubscribed": True, "status": "active"}, True),
        ({"unsubscribed": "no"}, None), ({"unsubscribed": "false"}, None), ({"unsubscribed": 0}, None),
        ({"unsubscribed": "TRUE "}, True), ({"is_unsubscribed": 1}, True), ({"Unsubscribed": "yes"}, True),
        ({"Unsubscribed": False}, None), ({"unsubscribed": False, "Unsubscribed": "yes"}, False), ({}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_person_is_unsubscribed_only_if_the_answer_says_so(state: dict[str, Any], unsubscribed: bool | None) -> None:
    assert decoding.prospect({"id": "p1", "Email": ANA, **state})["unsubscribed"] is unsubscribed


@pytest.mark.parametrize(
    ("state", "column", "unsubscribed"),
    [
        ({"status": "active"}, "unsubscribed", False), ({"status": "unsubscribed"}, "active", True),
        ({"unsubscribed": True}, "active", True), ({}, "unsubscribed", None), ({"status": "lead"}, "active", None),
    ],
    ids=str,
)  # fmt: skip
def test_in_a_nested_answer_a_column_does_not_affect_the_state(
    state: dict[str, Any], column: str, unsubscribed: bool | None
) -> None:
    columns = {"Email": ANA, "status": column, "id": "CRM-1", "_id": "CRM-2", "campaignID": "CRM-3"}

    record = decoding.prospect({"id": "p1", "campaign_id": "c1", **state, "data": columns})

    assert record["unsubscribed"] is unsubscribed
    assert (record["id"], record["campaign_id"], record["fields"]) == ("p1", "c1", columns)


@pytest.mark.parametrize(
    ("keys", "prospect_id", "campaign_id", "own"),
    [
        ({"prospectID": "p1", "campaignID": "c1", "id": "7", "campaign_id": "8"}, "p1", "c1", ["id", "campaign_id"]),
        ({"id": "7", "_id": "p1", "campaign_id": "c1"}, "p1", "c1", ["id"]),
        ({"_id": "p1", "id": "p1", "campaignID": "c1", "campaign_id": "c1"}, "p1", "c1", []),
        ({"_id": 5, "id": "5"}, "5", None, []),
        ({"id": "p1"}, "p1", None, []),
        ({"prospectID": "p1", "status": "active", "unsubscribed": False}, "p1", None, ["status"]),
        ({"prospectID": "p1", "unsubscribed": "no"}, "p1", None, ["unsubscribed"]),
    ],
    ids=str,
)
def test_a_key_next_to_the_api_s_own_is_a_column(
    keys: dict[str, Any], prospect_id: str, campaign_id: str | None, own: list[str]
) -> None:
    record = decoding.prospect({**keys, "Email": ANA})

    assert (record["id"], record["campaign_id"]) == (prospect_id, campaign_id)
    assert record["fields"] == {"Email": ANA, **{name: keys[name] for name in own}}


def test_of_a_repeated_key_the_last_value_counts(serve: Serve, new_client: NewClient) -> None:
    body = b'{"success": true, "data": [{"id": "1", "id": "2", "name": "Spring"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    assert new_client(base_url=serve(lambda _: [head + body]).url).campaigns.list()[0]["id"] == "2"


def test_an_error_about_an_answer_does_not_show_its_content(serve: Serve, new_client: NewClient) -> None:
    body = {"x" * 100_000: 1, **{f"key{number}": 1 for number in range(1000)}, f"{ANA}": 2}

    with pytest.raises(UnreadableResponseError) as caught:
        new_client(base_url=serve(lambda _: [answer({"success": True, "data": [body, 5]})]).url).campaigns.list()
    assert len(str(caught.value)) < 1200

    with pytest.raises(UnreadableResponseError) as caught:
        decoding.campaign(body)
    assert len(str(caught.value)) < 1200
    assert ANA not in str(caught.value)


LONG = [{"id": str(number), "Email": f"p{number}@example.com", "notes": "x" * 1000} for number in range(5000)]
"""More than the client keeps in memory."""


@pytest.mark.parametrize(
    "body",
    [
        LONG, {"data": LONG}, {"success": True, "error": False, "data": LONG}, {"prospects": LONG},
        {"success": True, "data": {"total": 5000, "prospects": LONG}},
    ],
    ids=lambda body: "-".join(body) if isinstance(body, dict) else "bare",
)  # fmt: skip
def test_a_long_answer_is_read_piece_by_piece(serve: Serve, new_client: NewClient, body: Any) -> None:
    people = new_client(base_url=serve(lambda _: [answer(body)]).url).prospects.each("c1")

    assert [(each["id"], each["email"], each["campaign_id"]) for each in people] == [
        (each["id"], each["Email"], "c1") for each in LONG
    ]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda body: body[: len(body) // 2], UnreadableResponseError),
        (lambda body: body[:-1], UnreadableResponseError),
        (lambda body: body[:-2] + b", 5]}", UnreadableResponseError),
        (lambda body: b"<html>" + body, UnreadableResponseError),
        (lambda body: body.replace(b'"x', b'"\xff', 1), UnreadableResponseError),
        (lambda body: body.replace(b"{", b'{"success": false, ', 1), ApiRefusedError),
        (lambda body: b'{"other": ' + body + b"}", UnreadableResponseError),
        (lambda body: body[:-2] + b', {"queue": "full"}]}', UnreadableResponseError),
    ],
)
def test_a_damaged_long_answer_is_an_error(
    serve: Serve, new_client: NewClient, spoil: Callable[[bytes], bytes], error: type[SalesBlinkError]
) -> None:
    body = spoil(json.dumps({"data": LONG}).encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    people = new_client(base_url=serve(lambda _: [head + body]).url).prospects.each("c1")

    with pytest.raises(error) as caught:
        for _ in people:
            pass
    assert (caught.value.status, caught.value.path) == (200, "/api/prospects/c1")


NAMES = [
    "success", "error", "message", "data", "campaigns", "campaign", "prospects", "prospect", "members", "id", "_id",
    "campaignID", "prospectID", "name", "Email", "email", "status", "paused", "unsubscribed", "user_name",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_no_answer_is_too_strange_to_be_read_or_refused(body: Any) -> None:
    readers = [
        decoding.campaigns, decoding.prospects, decoding.team,
        lambda found: decoding.single_campaign(found, "7"), lambda found: decoding.single_prospect(found, "7"),
    ]  # fmt: skip
    for read in readers:
        try:
            read(body)
        except SalesBlinkError:
            continue
    assert isinstance(decoding.acknowledged(body, decoding.PROSPECT_NAMES), dict)
    if isinstance(body, dict):
        assert set(decoding.prospect(body)) == {"id", "email", "campaign_id", "unsubscribed", "fields", "raw"}


@pytest.mark.parametrize("depth", [100, 900, 990, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"data":', "}"), ('{"error":', "}"), ("[", "]")])
def test_a_deeply_nested_answer_is_read_or_refused(
    serve: Serve, new_client: NewClient, depth: int, opening: str, closing: str
) -> None:
    body = (opening * depth + "[]" + closing * depth).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    client = new_client(base_url=serve(lambda _: [head + body]).url)

    try:
        assert client.campaigns.list() == []
    except SalesBlinkError as error:
        assert len(str(error)) < 500  # noqa: PT017  # either is right, nothing else is
