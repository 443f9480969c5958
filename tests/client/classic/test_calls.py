"""The twelve documented calls: the requests they send and the records they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import NotFoundError, PermissionDeniedError, SalesBlinkClient
from airflow_provider_salesblink.client.records import Campaign, Prospect, TeamMember
from airflow_provider_salesblink.sandbox import Shapes
from tests.client.documented_calls import ANA, Documented, Scene, every_call
from tests.client.raw_server import RawServer, Received, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve


def filled(value: Any, scene: Scene) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, scene) for key, each in value.items()}
    return value.format(campaign=scene.campaign, prospect=scene.prospect) if isinstance(value, str) else value


@every_call
def test_a_call_sends_exactly_what_is_documented(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene, call: Documented
) -> None:
    call.make(client, scene)

    (sent,) = sandbox.requests
    assert (sent.method, sent.path, sent.query) == (call.method, "/api" + filled(call.path, scene), call.query)
    assert sent.body == filled(call.body, scene)
    assert sent.authorized
    assert sent.headers["accept"] == "application/json"
    assert sent.headers.get("content-type") == ("application/json" if call.method == "POST" else None)
    assert sent.status == 200


def test_the_key_is_the_whole_authorization_header(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer([])])

    new_client(api_key="abc-DEF_123", base_url=server.url).campaigns.list()

    assert server.requests[0].headers["authorization"] == "abc-DEF_123"


def test_the_path_of_the_root_url_comes_first(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer([])])

    new_client(base_url=f"{server.url}/salesblink/").campaigns.list()

    assert server.requests[0].target == "/salesblink/api/campaigns"


def test_campaigns(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    spring, autumn = sandbox.add_campaign("Spring"), sandbox.add_campaign("Autumn", paused=True)

    assert [(each["id"], each["name"], each["paused"]) for each in client.campaigns.list()] == [
        (spring, "Spring", False),
        (autumn, "Autumn", True),
    ]
    assert [each["id"] for each in client.campaigns.search("aut")] == [autumn]
    assert client.campaigns.search("winter") == []
    assert client.campaigns.get(autumn)["paused"] is True


def test_pausing_and_unpausing(sandbox: Sandbox, client: SalesBlinkClient, scene: Scene) -> None:
    assert client.campaigns.pause(scene.campaign)["paused"] is True
    assert sandbox.campaigns()[0].paused
    assert client.campaigns.unpause(scene.campaign)["paused"] is False
    assert not sandbox.campaigns()[0].paused


def test_a_person_from_adding_to_unsubscribing(sandbox: Sandbox, client: SalesBlinkClient, scene: Scene) -> None:
    added = client.prospects.add(scene.campaign, {"first_name": "Bo", "e-mail": " Bo@Example.com ", "Plan": "Gold"})
    assert sandbox.people()[1].fields == {"First Name": "Bo", "Email": "Bo@Example.com", "Plan": "Gold"}
    assert added["id"] is not None

    client.prospects.update(added["id"], {"Plan": "Silver", "Seats": 5, "Trial": True})
    found = client.prospects.get(added["id"])
    assert found["fields"] == {
        "First Name": "Bo", "Email": "Bo@Example.com", "Plan": "Silver", "Seats": "5", "Trial": "true"
    }  # fmt: skip
    assert found["unsubscribed"] is False

    assert client.prospects.unsubscribe(added["id"])["unsubscribed"] is True
    assert client.prospects.get(added["id"])["unsubscribed"] is True


def test_an_address_finds_its_person_in_every_campaign(
    sandbox: Sandbox, client: SalesBlinkClient, scene: Scene
) -> None:
    autumn = sandbox.add_campaign("Autumn")
    sandbox.add_person(autumn, {"Email": "ANA@example.com"})

    assert [each["campaign_id"] for each in client.prospects.search(f" {ANA}")] == [scene.campaign, autumn]
    assert client.prospects.search("nobody@example.com") == []


def test_a_search_leaves_out_other_people(serve: Serve, new_client: NewClient) -> None:
    found = [{"id": "1", "Email": "jana@example.com"}, {"id": "2", "Email": "Ana@Example.com"}, {"id": "3"}]
    server = serve(lambda _: [answer({"success": True, "data": found})])

    assert [each["id"] for each in new_client(base_url=server.url).prospects.search(ANA)] == ["2"]


def test_what_does_not_exist_is_a_not_found_error(client: SalesBlinkClient, scene: Scene) -> None:
    for ask in (client.campaigns.get, client.campaigns.pause, client.prospects.list, client.prospects.get):
        with pytest.raises(NotFoundError):
            ask("nothing")
    for change in (
        lambda: client.prospects.add("nothing", {"Email": ANA}),
        lambda: client.prospects.update("nothing", {"Plan": "Gold"}),
        lambda: client.prospects.unsubscribe("nothing"),
    ):
        with pytest.raises(NotFoundError):
            change()
    assert client.campaigns.get(scene.campaign)["name"] == "Spring"


def test_only_administrators_see_the_team(sandbox: Sandbox, new_client: NewClient) -> None:
    assert new_client().team.list()
    with pytest.raises(PermissionDeniedError):
        new_client(api_key=sandbox.member_key).team.list()


CAMPAIGN = {"id", "name", "paused", "raw"}
PROSPECT = {"id", "email", "campaign_id", "unsubscribed", "fields", "raw"}
TEAM_MEMBER = {"name", "email", "raw"}


def test_records_have_the_keys_of_the_contract(client: SalesBlinkClient, scene: Scene) -> None:
    assert [set(each) for each in client.campaigns.list()] == [CAMPAIGN]
    assert [set(each) for each in client.campaigns.search("Spring")] == [CAMPAIGN]
    for campaign in (client.campaigns.get, client.campaigns.pause, client.campaigns.unpause):
        assert set(campaign(scene.campaign)) == CAMPAIGN
    assert [set(each) for each in client.prospects.list(scene.campaign)] == [PROSPECT]
    assert [set(each) for each in client.prospects.search(ANA)] == [PROSPECT]
    assert set(client.prospects.get(scene.prospect)) == PROSPECT
    assert set(client.prospects.add(scene.campaign, {"Email": "bo@example.com"})) == PROSPECT
    assert set(client.prospects.update(scene.prospect, {"Plan": "Gold"})) == PROSPECT
    assert set(client.prospects.unsubscribe(scene.prospect)) == PROSPECT
    assert all(set(each) == TEAM_MEMBER for each in client.team.list())
    assert set(Campaign.__annotations__) == {*CAMPAIGN, "dry_run"}
    assert set(Prospect.__annotations__) == {*PROSPECT, "dry_run"}
    assert set(TeamMember.__annotations__) == TEAM_MEMBER


def test_raw_is_the_api_s_own_object(serve: Serve, new_client: NewClient) -> None:
    campaign = {"_id": "7", "title": "Spring", "status": "running"}
    server = serve(lambda _: [answer({"success": True, "data": campaign})])
    client = new_client(base_url=server.url)

    assert client.campaigns.get("7") == {"id": "7", "name": None, "paused": False, "raw": campaign}
    assert client.campaigns.pause("7")["raw"] == campaign
    assert client.campaigns.list()[0]["raw"] == campaign


def test_a_team_member_s_picture_is_left_out(serve: Serve, new_client: NewClient) -> None:
    member = {"user_name": "Olu", "email": "olu@example.com", "user_picture": "data:image/png;base64,AAAA"}
    server = serve(lambda _: [answer({"success": True, "data": [member]})])

    (record,) = new_client(base_url=server.url).team.list()

    assert record == {
        "name": "Olu", "email": "olu@example.com", "raw": {"user_name": "Olu", "email": "olu@example.com"}
    }  # fmt: skip


def id_of(value: Any) -> RawServer | Any:
    def script(request: Received) -> Iterable[bytes]:
        one = request.target.startswith("/api/campaign/") or request.target.startswith("/api/prospect/")
        record = {"id": value, "Email": ANA}
        yield answer({"success": True, "data": record if one else [record]})

    return script


def test_a_numeric_id_becomes_text(serve: Serve, new_client: NewClient) -> None:
    client = new_client(base_url=serve(id_of(7)).url)

    assert client.campaigns.list()[0]["id"] == "7"
    assert client.campaigns.get("7")["id"] == "7"
    assert client.prospects.get("7")["id"] == "7"


@pytest.mark.parametrize("value", [True, None, "", 1.5, ["7"], {"id": "7"}])
def test_an_invalid_id_in_an_answer_is_not_used(serve: Serve, new_client: NewClient, value: Any) -> None:
    client = new_client(base_url=serve(id_of(value)).url)

    assert client.prospects.search(ANA)[0]["id"] is None
    with pytest.raises(Exception, match="has no campaigns"):
        client.campaigns.list()


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("ana@bücher.example", "ana@xn--bcher-kva.example"), ("ana@xn--bcher-kva.example", "ana@bücher.example"),
        ("ana@xn--bcher-kva.example", "Ana@BÜCHER.example"), ("ana@example.com", "ANA@example.com"),
        ("Ana@example.com", "mailto:Ana@example.com"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("search", ["folded", "exact"])
def test_a_search_finds_a_mailbox_in_each_of_its_spellings_once(
    stored: str, asked: str, search: Any, sandbox: Sandbox, client: SalesBlinkClient
) -> None:
    sandbox.shapes = Shapes(search=search)
    sandbox.add_person(sandbox.add_campaign("Spring"), {"Email": stored})

    assert [found["email"] for found in client.prospects.search(asked)] == [stored]
