"""The list that people of a campaign are added to, and the other sequences that would mail them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    NotFoundError,
    SalesBlinkClient,
    UnreadableResponseError,
)
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Received
    from tests.conftest import CampaignUnderTest

BO = {"Email": "bo@example.com"}

either_listing = pytest.mark.parametrize("lists_in_listing", [True, False])


@pytest.fixture
def shared(sandbox: Sandbox) -> str:
    """A list that two campaigns use, "spring" and "autumn", which both run."""
    list_id = sandbox.add_list("Leads")
    for name in ("spring", "autumn"):
        sandbox.add_campaign(name.title(), id=name, lists=[list_id])
    return list_id


def emails(sandbox: Sandbox, list_id: str) -> list[str]:
    return [lead.email for lead in sandbox.leads(list_id)]


def assert_nothing_sent(sandbox: Sandbox) -> None:
    assert {request.method for request in sandbox.requests} <= {"GET"}
    assert sandbox.started == []


def test_the_only_list_is_the_one(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    sandbox.add_list("Another")

    client.prospects.add(campaign.id, BO)

    (own,) = sandbox.lists(campaign.id)
    assert emails(sandbox, own.id) == [BO["Email"]]


def test_a_campaign_without_a_list_is_refused_at_once(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    sandbox.add_campaign("Spring", id="spring", lists=[])

    for add, given in ((client.prospects.add, BO), (client.prospects.send, [BO])):
        with pytest.raises(
            InvalidInputError, match=r"Campaign spring has no list.*Attach a list.*or pass list_id"
        ) as caught:
            add("spring", given)
        assert caught.value.permanent
    assert_nothing_sent(sandbox)


def test_a_list_can_be_given_for_a_campaign_without_one(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    sandbox.add_campaign("Spring", id="spring", lists=[])
    list_id = sandbox.add_list("Leads")

    client.prospects.add("spring", BO, list_id=list_id)

    assert emails(sandbox, list_id) == [BO["Email"]]


def test_several_lists_need_a_choice(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    first, second, other = (sandbox.add_list(name) for name in ("First", "Second", "Other"))
    sandbox.add_campaign("Spring", id="spring", lists=[first, second])

    with pytest.raises(InvalidInputError, match=f"has 2 lists: {first}, {second}. Pass the list_id") as caught:
        client.prospects.add("spring", BO)
    assert caught.value.permanent
    with pytest.raises(InvalidInputError, match=f"does not use list {other}; its lists: {first}, {second}"):
        client.prospects.add("spring", BO, list_id=other)
    assert_nothing_sent(sandbox)

    client.prospects.add("spring", BO, list_id=second)
    assert (emails(sandbox, first), emails(sandbox, second)) == ([], [BO["Email"]])


@either_listing
def test_a_list_that_another_running_campaign_uses_is_refused_by_name(
    sandbox: Sandbox, client: SalesBlinkClient, shared: str, lists_in_listing: bool
) -> None:
    sandbox.v1 = V1Rules(lists_in_listing=lists_in_listing)

    for add, given in ((client.prospects.add, BO), (client.prospects.send, [BO])):
        with pytest.raises(
            InvalidInputError, match=r"'Autumn' \(autumn\), which runs.*allow_other_campaigns=True"
        ) as caught:
            add("spring", given)
        assert caught.value.permanent
    assert_nothing_sent(sandbox)
    assert emails(sandbox, shared) == []


def test_a_list_that_a_paused_campaign_uses_too_is_allowed_with_a_warning(
    sandbox: Sandbox, client: SalesBlinkClient, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.v1 = V1Rules(import_delay=0, dedupe_delay=0)
    shared = sandbox.add_list("Shared")
    sandbox.add_campaign("Spring", id="spring", lists=[shared])
    sandbox.add_campaign("Later", id="later", lists=[shared], paused=True)

    for email in ("bo@example.com", "cy@example.com"):
        client.prospects.add("spring", {"Email": email})

    assert emails(sandbox, shared) == ["bo@example.com", "cy@example.com"]
    assert caplog.text.count("is used by sequence 'Later' (later), which is paused") == 1


def test_a_list_that_several_running_campaigns_use_names_all(
    sandbox: Sandbox, client: SalesBlinkClient, shared: str
) -> None:
    sandbox.add_campaign("Winter", id="winter", lists=[shared])

    with pytest.raises(InvalidInputError, match=r"(?s)'Winter' \(winter\) and .*'Autumn' \(autumn\)"):
        client.prospects.add("spring", BO)


@either_listing
def test_a_list_that_another_running_campaign_uses_can_be_allowed(
    sandbox: Sandbox, client: SalesBlinkClient, shared: str, lists_in_listing: bool
) -> None:
    sandbox.v1 = V1Rules(lists_in_listing=lists_in_listing, import_delay=0, dedupe_delay=0)

    client.prospects.add("spring", BO, allow_other_campaigns=True)

    assert emails(sandbox, shared) == [BO["Email"]]
    assert sorted(start.sequence_id for start in sandbox.started) == ["autumn", "spring"]


def test_leave_given_for_one_add_is_not_given_for_the_next(
    sandbox: Sandbox, client: SalesBlinkClient, shared: str
) -> None:
    client.prospects.add("spring", BO, allow_other_campaigns=True)

    with pytest.raises(InvalidInputError, match="'Autumn'"):
        client.prospects.add("spring", {"Email": "cy@example.com"})
    assert emails(sandbox, shared) == [BO["Email"]]


@either_listing
@pytest.mark.parametrize("state", ["paused", "archived"])
def test_a_campaign_that_does_not_run_is_no_obstacle(
    sandbox: Sandbox, client: SalesBlinkClient, shared: str, state: str, lists_in_listing: bool
) -> None:
    sandbox.v1 = V1Rules(lists_in_listing=lists_in_listing, import_delay=0, dedupe_delay=0)
    client.campaigns.pause("autumn") if state == "paused" else client.sequences.archive("autumn")

    client.prospects.add("spring", BO)

    assert emails(sandbox, shared) == [BO["Email"]]
    assert [start.sequence_id for start in sandbox.started] == ["spring"]


def test_a_campaign_on_the_second_page_is_seen(sandbox: Sandbox, client: SalesBlinkClient, shared: str) -> None:
    for number in range(120):
        sandbox.add_campaign(f"Later {number}")

    with pytest.raises(InvalidInputError, match="'Autumn'"):
        client.prospects.add("spring", BO)
    assert emails(sandbox, shared) == []


def sequence(**shown: object) -> dict[str, object]:
    return {"success": True, "data": shown}


@pytest.mark.parametrize("paused", [{}, {"paused": None}, {"paused": "no"}])
def test_a_campaign_that_does_not_show_whether_it_is_paused_counts_as_running(
    serve: Serve, new_client: NewClient, paused: dict[str, object]
) -> None:
    def script(request: Received) -> list[bytes]:
        if request.target.endswith("/sequences/spring"):
            return [answer(sequence(id="spring", lists=["l1"]))]
        return [answer({"success": True, "data": [{"id": "autumn", "name": "Autumn", "lists": ["l1"], **paused}]})]

    server = serve(script)

    with pytest.raises(InvalidInputError, match="'Autumn'"):
        new_client(base_url=server.url).prospects.add("spring", BO)
    assert server.sent("POST") == []


@pytest.mark.parametrize("shown", [{}, {"lists": None}, {"lists": "l1"}])
def test_lists_that_are_not_shown_are_not_taken_for_none(
    serve: Serve, new_client: NewClient, shown: dict[str, object]
) -> None:
    server = serve(lambda _: [answer(sequence(id="spring", **shown))])

    with pytest.raises(UnreadableResponseError, match="does not show which lists sequence spring uses"):
        new_client(base_url=server.url).prospects.add("spring", BO)
    assert server.sent("POST") == []


@pytest.mark.parametrize("lists", [["l1"], [{"id": "l1", "name": "Leads"}], [{"_id": "l1"}]])
def test_lists_may_be_ids_or_objects(serve: Serve, new_client: NewClient, lists: list[object]) -> None:
    def script(request: Received) -> list[bytes]:
        shown = sequence(id="spring", lists=lists) if request.target.endswith("/spring") else sequence() | {"data": []}
        return [answer(shown)]

    server = serve(script)

    new_client(base_url=server.url, dry_run=True).prospects.add("spring", BO)

    with pytest.raises(InvalidInputError, match="does not use list l2; its lists: l1"):
        new_client(base_url=server.url).prospects.add("spring", BO, list_id="l2")


@pytest.mark.parametrize("empty", ["", " ", "None"])
def test_a_list_id_from_an_empty_template_is_refused(empty: str, sandbox: Sandbox, client: SalesBlinkClient) -> None:
    sandbox.add_campaign("Without a list", id="bare", lists=[])

    with pytest.raises(InvalidInputError, match=r"^list_id is "):
        client.prospects.add("bare", BO, list_id=empty)
    assert_nothing_sent(sandbox)


def test_a_campaign_that_does_not_exist_is_not_found(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    with pytest.raises(NotFoundError):
        client.prospects.add("nothing", BO)
    assert_nothing_sent(sandbox)


def test_an_id_with_a_slash_is_one_part_of_the_path(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    list_id = sandbox.add_list("Leads", id="leads/1")
    sandbox.add_campaign("Spring", id="a/b c", lists=[list_id])

    added = client.prospects.add("a/b c", BO)

    assert [each["id"] for each in client.prospects.list("a/b c")] == [added["id"]]
    assert sandbox.requests[0].path.endswith("/v1.0.0/sequences/a%2Fb%20c")
    assert any("/lists/leads%2F1/leads" in request.path for request in sandbox.requests)


def test_running_sequences_of_a_list(sandbox: Sandbox, client: SalesBlinkClient, shared: str) -> None:
    sandbox.add_campaign("Winter", paused=True, lists=[shared])

    assert sorted(each["id"] for each in client.lists.running_sequences(shared)) == ["autumn", "spring"]
    assert client.lists.running_sequences(shared, besides=["spring"]) == [{"id": "autumn", "name": "Autumn"}]
    assert client.lists.running_sequences(sandbox.add_list("Another")) == []
