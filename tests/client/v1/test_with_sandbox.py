"""The API v1's own resources against the sandbox, in all positions of what is not documented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError, NotFoundError
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.v1.documented_calls import ANA, SETTINGS

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.v1.conftest import Resources

BO = "bo@example.com"


def rules(name: str, *values: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rule", [{name: value} for value in values], ids=str)


every_lost_answer = pytest.mark.parametrize(
    "fault",
    [{"kind": "reset"}, {"kind": "close"}, {"kind": "status", "status": 500}, {"kind": "html"}, {"kind": "truncated"}],
    ids=lambda fault: fault["kind"],
)


def emails(found: Any) -> list[str]:
    return [each["email"] for each in found]


def test_a_list_from_creating_to_archiving(on_sandbox: Resources) -> None:
    made = on_sandbox.lists.create("Spring")
    assert on_sandbox.lists.update(made["id"], name="Autumn")["id"] == made["id"]
    assert [each["name"] for each in on_sandbox.lists.list("utum")] == ["Autumn"]
    assert isinstance(on_sandbox.lists.get(made["id"])["date_created"], datetime)

    assert on_sandbox.lists.archive(made["id"])["archived"] is True
    assert list(on_sandbox.lists.list()) == []
    assert [each["id"] for each in on_sandbox.lists.list(archived=True)] == [made["id"]]
    on_sandbox.lists.archive(made["id"], archived=False)
    assert [each["id"] for each in on_sandbox.lists.list()] == [made["id"]]


@rules("single_list", "object", "array")
def test_one_list(sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any]) -> None:
    sandbox.v1 = V1Rules(**rule)
    list_id = sandbox.add_list("Spring")

    assert on_sandbox.lists.get(list_id)["name"] == "Spring"
    with pytest.raises(NotFoundError):
        on_sandbox.lists.get("no-such-list")


@every_lost_answer
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_list_is_created_once_whatever_happens_to_the_answer(
    sandbox: Sandbox, on_sandbox: Resources, fault: dict[str, Any], when: str
) -> None:
    before = sandbox.add_list("Spring")
    sandbox.fault("v1.createList", **fault, when=when, times=1)

    made = on_sandbox.lists.create("Spring", ignore_ids=[before])

    assert [each.id for each in sandbox.lists()] == [before, made["id"]]


@rules("lead_columns", "flat", "custom_fields")
@pytest.mark.parametrize("lead_case", ["snake", "title"])
def test_a_lead_from_adding_to_moving(
    sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any], lead_case: Any
) -> None:
    sandbox.v1 = V1Rules(**rule, lead_case=lead_case)
    spring, autumn = sandbox.add_list("Spring"), sandbox.add_list("Autumn")

    assert on_sandbox.leads.add(spring, [{"Email": ANA, "First Name": "Ana", "Plan": "Gold"}, {"email": BO}]) == {
        "accepted": 2
    }
    sandbox.advance(60)
    ana, bo = on_sandbox.lists.leads(spring)
    assert (ana["email"], ana["first_name"], ana["plan"], bo["email"]) == (ANA, "Ana", "Gold", BO)

    on_sandbox.leads.update(ana["id"], {"Company": "Northwind", "Plan": "Silver"})
    (ana,) = on_sandbox.lists.leads(spring, search=ANA)
    assert (ana["company_name"], ana["plan"]) == ("Northwind", "Silver")
    on_sandbox.leads.move(ana["id"], autumn)
    assert emails(on_sandbox.lists.leads(autumn)) == [ANA]
    on_sandbox.leads.remove(spring, BO)
    assert list(on_sandbox.lists.leads(spring)) == []
    with pytest.raises(NotFoundError):
        on_sandbox.leads.remove(spring, BO)


@every_lost_answer
def test_removing_a_lead_succeeds_though_the_answer_is_lost(
    sandbox: Sandbox, on_sandbox: Resources, fault: dict[str, Any]
) -> None:
    spring = sandbox.add_list("Spring")
    sandbox.add_lead(spring, {"email": ANA})
    sandbox.fault("v1.removeContact", **fault, when="after", times=1)

    on_sandbox.leads.remove(spring, ANA)

    assert sandbox.leads(spring) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_add_whose_answer_is_lost_is_in_doubt(sandbox: Sandbox, on_sandbox: Resources, when: str) -> None:
    spring = sandbox.add_list("Spring")
    sandbox.fault("v1.addContacts", "reset", when=when, times=1)

    with pytest.raises(AmbiguousWriteError):
        on_sandbox.leads.add(spring, [{"email": ANA}])
    sandbox.advance(60)
    assert len(sandbox.leads(spring)) == (when == "after")
    assert len(sandbox.requests) == 1


@rules("archived_leads", "left_out", "included")
def test_archived_leads_are_found_if_asked_for(sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any]) -> None:
    sandbox.v1 = V1Rules(**rule)
    spring = sandbox.add_list("Spring")
    sandbox.add_lead(spring, {"email": ANA}, archived=True)
    sandbox.add_lead(spring, {"email": BO})

    assert ANA in emails(on_sandbox.lists.leads(spring, archived=True))
    assert BO in emails(on_sandbox.lists.leads(spring))


def test_unsubscribing_a_lead(sandbox: Sandbox, on_sandbox: Resources) -> None:
    campaign = sandbox.add_campaign("Spring")
    sandbox.add_person(campaign, {"Email": ANA})
    lead = on_sandbox.leads.activity(email=ANA).lead
    assert on_sandbox.blocklist.check(ANA) is False

    assert on_sandbox.leads.unsubscribe(lead["id"])["lead_id"] == lead["id"]

    assert on_sandbox.blocklist.check(ANA) is True
    assert [each["entry"] for each in on_sandbox.blocklist.list()] == [ANA]
    assert "Unsubscribed" in [each["message"] for each in on_sandbox.leads.activity(lead_id=lead["id"])]


@rules("check_shape", "data", "bare", "blocked", "exists", "array")
def test_checking_the_blocklist(sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any]) -> None:
    sandbox.v1 = V1Rules(**rule)
    sandbox.block(ANA)

    assert on_sandbox.blocklist.check(ANA) is True
    # An empty array says nothing: a colleague may have blocked the address.
    assert on_sandbox.blocklist.check(BO) is (None if rule["check_shape"] == "array" else False)


@rules("blocklist_shape", "data", "entries", "data.data")
def test_a_blocklist_of_many_pages(sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any]) -> None:
    sandbox.v1 = V1Rules(**rule)
    entries = ["example.org", *(f"p{number}@example.com" for number in range(249))]

    on_sandbox.blocklist.add(entries)

    found = list(on_sandbox.blocklist.list())
    assert sorted(each["entry"] for each in found) == sorted(entries)
    assert {each["kind"] for each in found} == {"email", "domain"}
    assert [each["entry"] for each in on_sandbox.blocklist.list("domain")] == ["example.org"]
    on_sandbox.blocklist.remove("example.org")
    assert sorted(sandbox.blocked()) == sorted(entries[1:])


def test_a_sequence_from_creating_to_archiving(sandbox: Sandbox, on_sandbox: Resources) -> None:
    spring = sandbox.add_list("Spring")
    sandbox.add_lead(spring, {"email": ANA})
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = on_sandbox.sequences.create(**{**SETTINGS, "name": "Spring", "lists": [spring], "scheduledAt": later})

    assert on_sandbox.sequences.get(made["id"])["lists"] == [spring]
    assert on_sandbox.sequences.get(made["id"])["paused"] is True
    assert on_sandbox.sequences.get(made["id"])["scheduledAt"] == later
    assert on_sandbox.sequences.set_status(made["id"], "active")["status"] == "ACTIVE"
    assert [(start.email, start.sequence_id) for start in sandbox.started] == [(ANA, made["id"])]
    assert emails(on_sandbox.sequences.leads(made["id"])) == [ANA]
    assert [each["id"] for each in on_sandbox.sequences.list(status="running")] == [made["id"]]
    assert on_sandbox.sequences.stats(made["id"])["leads"] == 1
    assert [row.get("email") for row in on_sandbox.sequences.export(made["id"])] == [ANA]

    copy = on_sandbox.sequences.clone(made["id"])["id"]
    assert on_sandbox.sequences.get(copy)["paused"] is True
    on_sandbox.sequences.archive(made["id"])
    assert [each["id"] for each in on_sandbox.sequences.list()] == [copy]
    assert [each["id"] for each in on_sandbox.sequences.list(archived=True)] == [made["id"]]


@every_lost_answer
@pytest.mark.parametrize("when", ["before", "after"])
def test_people_start_once_whatever_happens_to_the_answer(
    sandbox: Sandbox, on_sandbox: Resources, fault: dict[str, Any], when: str
) -> None:
    campaign = sandbox.add_campaign("Spring", paused=True)
    sandbox.add_person(campaign, {"Email": ANA})
    sandbox.fault("v1.setSequenceStatus", **fault, when=when, times=1)

    on_sandbox.sequences.set_status(campaign, "ACTIVE")

    assert [start.email for start in sandbox.started] == [ANA]


def test_the_leads_of_many_pages(sandbox: Sandbox, on_sandbox: Resources) -> None:
    campaign = sandbox.add_campaign("Spring")
    people = [f"p{number}@example.com" for number in range(501)]
    for email in people:
        sandbox.add_person(campaign, {"Email": email})
    (spring,) = sandbox.lists(campaign)

    assert emails(on_sandbox.lists.leads(spring.id)) == people
    assert sorted(emails(on_sandbox.sequences.leads(campaign))) == sorted(people)
    assert sorted(row["email"] for row in on_sandbox.sequences.export(campaign)) == sorted(people)


@rules("feed_envelope", True, False)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_events_of_a_window(sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any], order: Any) -> None:
    sandbox.v1 = V1Rules(**rule, feed_order=order)
    campaign = sandbox.add_campaign("Spring")
    lead = sandbox.add_person(campaign, {"Email": ANA})
    for message in ("Opened", "Clicked", "Replied", "Bounced"):
        sandbox.add_event(message, lead_id=lead, sequence_id=campaign)
    now = datetime.now(UTC)
    window = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}

    for read in (on_sandbox.events.opens, on_sandbox.events.clicks, on_sandbox.events.replies):
        (event,) = read(campaign, **window)
        assert window["since"] < event["time"] < window["until"]
        assert event["email"] == ANA
        assert list(read(campaign, until=window["since"])) == []
    assert [each["message"] for each in on_sandbox.events.reports("Bounced", campaign, **window)] == ["Bounced"]
    assert {each["id"] for each in on_sandbox.events.reports(email=BO)} == set()


def test_any_endpoint(sandbox: Sandbox, on_sandbox: Resources) -> None:
    for number in range(120):
        sandbox.add_list(f"List {number}")

    assert len(list(on_sandbox.endpoints.read("/lists", {"search": "List"}, paging="offset"))) == 120
    assert on_sandbox.endpoints.read("/lists", {"search": "List 7", "limit": 1})[0]["name"].startswith("List 7")
    made = on_sandbox.endpoints.write("POST", "/lists", {"name": "One more"})
    assert on_sandbox.lists.get(made["id"])["name"] == "One more"
    assert on_sandbox.account.verify()


@rules("activity_lead", "oldest", "newest")
@pytest.mark.parametrize("is_first", [True, False])
def test_an_opt_out_of_any_lead_of_a_person_counts(
    sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any], is_first: bool
) -> None:
    sandbox.v1 = V1Rules(**rule)
    for unsubscribed in (is_first, not is_first):
        sandbox.add_lead(sandbox.add_list("Spring"), {"email": ANA}, unsubscribed=unsubscribed)
    # A colleague's blocklist is not visible.
    on_sandbox.blocklist.remove(ANA)
    campaign_id = sandbox.add_campaign("Autumn")

    assert on_sandbox.prospects.look_up(campaign_id, ANA).opted_out is True
    assert on_sandbox.prospects.opted_out_elsewhere(campaign_id, ANA) is True
    assert on_sandbox.prospects.opted_out_elsewhere(campaign_id, BO) is False


@rules("check_domain", True, False)
@pytest.mark.parametrize("email", ["ana@bücher.example.org", "ana@xn--bcher-kva.example.org"])
@pytest.mark.parametrize(
    "blocked",
    ["bücher.example.org", "xn--bcher-kva.example.org", "ana@bücher.example.org", "ana@xn--bcher-kva.example.org"],
)
def test_an_opt_out_counts_in_each_spelling_of_a_domain(
    sandbox: Sandbox, on_sandbox: Resources, rule: dict[str, Any], email: str, blocked: str
) -> None:
    sandbox.v1 = V1Rules(**rule)
    sandbox.block(blocked)

    assert on_sandbox.prospects.look_up(sandbox.add_campaign("Spring"), email).opted_out is True


@pytest.mark.parametrize("email", ["ana@bücher.example.org", "ana@xn--bcher-kva.example.org"])
def test_an_opt_out_in_the_history_counts_in_each_spelling_of_a_domain(
    sandbox: Sandbox, on_sandbox: Resources, email: str
) -> None:
    stored = "ana@bücher.example.org" if "xn--" in email else "ana@xn--bcher-kva.example.org"
    sandbox.add_lead(sandbox.add_list("Spring"), {"email": stored}, unsubscribed=True)
    on_sandbox.blocklist.remove(stored)

    assert on_sandbox.prospects.opted_out_elsewhere(sandbox.add_campaign("Spring"), email) is True
