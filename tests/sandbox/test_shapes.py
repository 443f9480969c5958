"""All shapes of responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import SandboxUsageError, Shapes

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

SPRING = {"campaignID": "spring", "name": "Spring", "paused": True}
NAMES = {"campaigns": "/api/campaigns", "campaign": "/api/campaign/spring", "prospects": "/api/prospects/spring"}


@pytest.fixture(autouse=True)
def _spring(sandbox: Sandbox) -> None:
    sandbox.add_campaign("Spring", id="spring", paused=True)


@pytest.fixture
def ana(sandbox: Sandbox) -> str:
    return sandbox.add_person("spring", {"email": "ana@example.com", "Company": "X", "prospectID": "forged"})


@pytest.mark.parametrize(
    ("shapes", "campaigns", "campaign"),
    [
        (
            Shapes(),
            {"success": True, "error": False, "data": [SPRING]},
            {"success": True, "error": False, "data": SPRING},
        ),
        (Shapes(envelope="bare"), [SPRING], SPRING),
        (Shapes(envelope="named"), {"campaigns": [SPRING]}, {"campaign": SPRING}),
        (Shapes(envelope="named", single="list"), {"campaigns": [SPRING]}, {"campaign": [SPRING]}),
        (Shapes(envelope="bare", single="list"), [SPRING], [SPRING]),
    ],
)
def test_envelopes(sandbox: Sandbox, call: Call, shapes: Shapes, campaigns: Any, campaign: Any) -> None:
    sandbox.shapes = shapes

    assert call("GET", "/api/campaigns").json() == campaigns
    assert call("GET", "/api/campaign?term=spr").json() == campaigns
    assert call("GET", "/api/campaign/spring").json() == campaign
    assert call("POST", "/api/campaign-status", json={"campaignID": "spring", "pause": True}).json() == campaign


def test_named_prospects_and_members(sandbox: Sandbox, call: Call, ana: str) -> None:
    sandbox.shapes = Shapes(envelope="named")

    assert list(call("GET", "/api/prospects/spring").json()) == ["prospects"]
    assert list(call("GET", "/api/prospect?term=ana@example.com").json()) == ["prospects"]
    assert call("GET", f"/api/prospect/{ana}").json()["prospect"]["prospectID"] == ana
    assert list(call("GET", "/api/my-team").json()) == ["members"]


@pytest.mark.parametrize(
    ("id_style", "own", "campaigns"),
    [("documented", "prospectID", "campaignID"), ("id", "id", "campaign_id"), ("_id", "_id", "campaign_id")],
)
def test_ids(sandbox: Sandbox, call: Call, ana: str, id_style: Any, own: str, campaigns: str) -> None:
    sandbox.shapes = Shapes(envelope="bare", id_style=id_style)

    person = call("GET", f"/api/prospect/{ana}").json()

    assert (person[own], person[campaigns]) == (ana, "spring")
    assert call("GET", "/api/campaign/spring").json()[own.replace("prospect", "campaign")] == "spring"


@pytest.mark.parametrize("email_key", ["Email", "email"])
def test_columns_flat_or_under_data(sandbox: Sandbox, call: Call, ana: str, email_key: Any) -> None:
    ids, columns = {"prospectID": ana, "campaignID": "spring"}, {email_key: "ana@example.com", "Company": "X"}

    sandbox.shapes = Shapes(envelope="bare", email_key=email_key)
    assert call("GET", f"/api/prospect/{ana}").json() == {**ids, **columns, "unsubscribed": False}

    sandbox.shapes = Shapes(envelope="bare", email_key=email_key, columns="data")
    assert call("GET", f"/api/prospect/{ana}").json() == {
        **ids,
        "data": {**columns, "prospectID": "forged"},
        "unsubscribed": False,
    }


@pytest.mark.parametrize("id_style", ["documented", "id", "_id"])
@pytest.mark.parametrize("state", ["paused", "status", "none"])
def test_a_column_with_the_name_of_one_of_the_api_s_keys(
    sandbox: Sandbox, call: Call, id_style: Any, state: Any
) -> None:
    names = {"documented": ("prospectID", "campaignID"), "id": ("id", "campaign_id"), "_id": ("_id", "campaign_id")}
    shared = [*names[id_style], *{"paused": ["unsubscribed"], "status": ["status"], "none": []}[state]]
    columns = {"Email": "bo@example.com", **dict.fromkeys(shared, "own"), "Plan": "Gold"}
    bo = sandbox.add_person("spring", columns)

    sandbox.shapes = Shapes(envelope="bare", id_style=id_style, state=state)
    kept = call("GET", f"/api/prospect/{bo}").json()
    sandbox.shapes = Shapes(envelope="bare", id_style=id_style, state=state, collision="column")
    hidden = call("GET", f"/api/prospect/{bo}").json()
    sandbox.shapes = Shapes(envelope="bare", id_style=id_style, state=state, collision="column", columns="data")
    apart = call("GET", f"/api/prospect/{bo}").json()

    assert {name: kept[name] for name in shared[:2]} == {shared[0]: bo, shared[1]: "spring"}
    assert [kept[name] for name in shared[2:]] == {"paused": [False], "status": ["active"], "none": []}[state]
    assert hidden == columns
    assert apart == {name: kept[name] for name in shared} | {"data": columns}


@pytest.mark.parametrize(
    ("state", "campaign", "person"),
    [
        ("paused", {"paused": True}, {"unsubscribed": False}),
        ("pause", {"pause": True}, {"unsubscribed": False}),
        ("status", {"status": "paused"}, {"status": "active"}),
        ("none", {}, {}),
    ],
)
def test_states(
    sandbox: Sandbox, call: Call, ana: str, state: Any, campaign: dict[str, Any], person: dict[str, Any]
) -> None:
    sandbox.shapes = Shapes(envelope="bare", state=state)

    assert call("GET", "/api/campaign/spring").json() == {"campaignID": "spring", "name": "Spring", **campaign}
    found = call("GET", f"/api/prospect/{ana}").json()
    assert {key: found[key] for key in ("unsubscribed", "status") if key in found} == person


def test_status_values_of_the_other_states(sandbox: Sandbox, call: Call, ana: str) -> None:
    sandbox.shapes = Shapes(envelope="bare", state="status")

    out = call("POST", "/api/prospect-unsubscribe", json={"prospectID": ana}).json()
    running = call("POST", "/api/campaign-status", json={"campaignID": "spring", "pause": False}).json()

    assert (out["status"], running["status"]) == ("unsubscribed", "running")


@pytest.mark.parametrize(
    ("envelope", "answer"),
    [("data", {"success": True, "error": False}), ("bare", {"success": True}), ("named", {"success": True})],
)
def test_plain_acknowledgements(sandbox: Sandbox, call: Call, ana: str, envelope: Any, answer: Any) -> None:
    sandbox.shapes = Shapes(envelope=envelope, acknowledgement="plain")
    new = {"campaignID": "spring", "data": {"Email": "ben@example.com"}}
    change = {"prospectID": ana, "key": "Company", "value": "Y"}

    assert call("POST", "/api/prospect-add", json=new).json() == answer
    assert call("POST", "/api/prospect", json=change).json() == answer
    assert call("POST", "/api/prospect-unsubscribe", json={"prospectID": ana}).json() == answer
    assert [(person.email, person.unsubscribed) for person in sandbox.people()] == [
        ("ana@example.com", True),
        ("ben@example.com", False),
    ]


def test_text_form() -> None:
    assert Shapes.parse("envelope=named, id_style=_id") == Shapes(envelope="named", id_style="_id")
    assert Shapes.parse("") == Shapes()


@pytest.mark.parametrize(
    ("text", "named"),
    [("colour=red", "id_style"), ("envelope=paper", "bare"), ("envelope", "no value")],
)
def test_an_error_lists_the_valid_values(text: str, named: str) -> None:
    with pytest.raises(SandboxUsageError, match=named):
        Shapes.parse(text)
