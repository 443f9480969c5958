"""What is waited for, without a wire: when it has come, and when it never will."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.client.classic import decoding
from airflow_provider_salesblink.waiting.conditions import CampaignIs, Hopeless, Met, ProspectIs, Where, matches

FIELDS = {
    "First Name": "Ana", "Email": "ana@example.com", "Score": 5, "Ratio": 0.5, "Hot": True, "Cold": False, "Notes": "",
    "Nothing": None, "Stage": "Won", "Replied": "2027-03-01T12:00:00+00:00", "Visits": "12", "0": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({}, True),
        ({"Stage": "Won"}, True), ({"Stage": "won"}, False), ({"Stage": "Won "}, False), ({"Stage": ""}, False),
        ({"Notes": ""}, True), ({"Nothing": ""}, False), ({"Absent": ""}, False), ({"Nothing": "None"}, False),
        ({"Score": 5}, True), ({"Score": "5"}, True), ({"Score": 6}, False), ({"Visits": 12}, True),
        ({"Ratio": 0.5}, True), ({"Ratio": "0.5"}, True), ({"0": 0}, True),
        ({"Hot": True}, True), ({"Hot": "true"}, True), ({"Hot": "True"}, False), ({"Hot": 1}, False),
        ({"Cold": False}, True), ({"Cold": 0}, False),
        ({"Stage": {"in": ["Lost", "Won"]}}, True), ({"Stage": {"in": ("Won",)}}, True), ({"Stage": {"in": []}}, False),
        ({"Score": {"in": ["4", 5]}}, True), ({"Visits": {"in": [12]}}, True), ({"Hot": {"in": [True]}}, True),
        ({"Nothing": {"in": ["", "None"]}}, False), ({"Absent": {"in": [""]}}, False),
        ({"Stage": {"in": ["Wo"]}}, False),
        ({"Stage": {"exists": True}}, True), ({"Stage": {"exists": False}}, False),
        *(({name: {"exists": False}}, True) for name in ("Absent", "Nothing", "Notes")),
        *(({name: {"exists": True}}, False) for name in ("Absent", "Nothing", "Notes")),
        *(({name: {"exists": True}}, True) for name in ("0", "Cold", "Score")),
        ({"Score": {"gte": 5}}, True), ({"Score": {"gte": "5.0"}}, True), ({"Score": {"gte": 5.1}}, False),
        ({"Visits": {"gte": 9}}, True), ({"Visits": {"gte": "9"}}, True), ({"Visits": {"gte": 100}}, False),
        ({"Visits": {"gte": " 9 "}}, True), ({"Score": {"gte": -1}}, True),
        ({"Replied": {"gte": "2027-03-01"}}, True), ({"Replied": {"gte": "2027-02-28T23:59:59+00:00"}}, True),
        ({"Replied": {"gte": "2027-03-02"}}, False), ({"Notes": {"gte": "2027-03-02"}}, False),
        ({"Stage": {"gte": 5}}, False), ({"Replied": {"gte": 5}}, False), ({"Score": {"gte": "2027-03-01"}}, True),
        ({"Absent": {"gte": 0}}, False), ({"Nothing": {"gte": ""}}, False), ({"Score": {"gte": "nan"}}, False),
        ({"first_name": "Ana"}, True), ({"firstName": "Ana"}, True), ({"FIRST NAME": {"exists": True}}, True),
        ({"email": "ana@example.com"}, True), ({"stage": "Won"}, False), ({"last_name": {"exists": False}}, True),
        ({"Stage": "Won", "Score": 5}, True), ({"Stage": "Won", "Score": 6}, False),
        ({"Stage": "x", "Score": 5}, False),
        ({"Score": {"gte": 5, "in": [5, 6]}}, True), ({"Score": {"gte": 6, "in": [5, 6]}}, False),
    ],
    ids=str,
)  # fmt: skip
def test_where(where: Where, holds: bool) -> None:
    verdict = ProspectIs(where).judge(decoding.prospect({"prospectID": "p1", "data": FIELDS}))

    assert isinstance(verdict, Met) is holds
    assert not isinstance(verdict, Hopeless)


def test_a_field_spelled_exactly_wins_over_another_spelling() -> None:
    fields = {"email": "a@example.com", "Email": "b@example.com"}

    assert matches(fields, {"email": "a@example.com"})
    assert matches(fields, {"Email": "b@example.com"})


@given(st.integers(), st.integers())
def test_numbers_are_compared_as_numbers_however_they_are_written(found: int, least: int) -> None:
    for field in (found, str(found), f" {found}.0"):
        assert matches({"n": field}, {"n": {"gte": least}}) is (found >= least)


@given(st.datetimes(), st.datetimes())
def test_dates_of_one_form_are_compared_in_time(found: Any, least: Any) -> None:
    known, wanted = (each.isoformat(timespec="microseconds") for each in (found, least))

    assert matches({"at": known}, {"at": {"gte": wanted}}) is (found >= least)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False)))
def test_everybody_matches_what_they_are(fields: dict[str, Any]) -> None:
    assert matches(fields, fields)


@given(st.text(), st.text() | st.none() | st.lists(st.text()), st.text())
def test_no_value_is_too_strange_to_compare(name: str, found: Any, least: str) -> None:
    assert matches({name: found}, {name: {"gte": least}}) in (True, False)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("Stage", ["where is a str", "mapping"]),
        ([("Stage", "Won")], ["where is a list"]),
        ({"": "x"}, ["field without a name"]), ({" ": "x"}, ["field without a name"]), ({5: "x"}, ["without a name"]),
        ({"Stage": None}, ["'Stage'", "NoneType", '"in"', '"exists"']),
        ({"Stage": ["Won"]}, ["'Stage'", "list", '"in"']),
        ({"Stage": {}}, ["'Stage'", "empty", "in, exists, gte"]),
        ({"Stage": {"lt": 5}}, ["'Stage'", "'lt'", "in, exists, gte"]),
        ({"Stage": {"gte": 5, 7: 5}}, ["'Stage'", "7", "in, exists, gte"]),
        ({"Stage": {"exists": "yes"}}, ["'Stage'", "'exists'", "true or false"]),
        ({"Stage": {"exists": 1}}, ["'Stage'", "'exists'", "true or false"]),
        ({"Stage": {"in": "Won"}}, ["'Stage'", "'in'", "list"]), ({"Stage": {"in": {"Won"}}}, ["'Stage'", "list"]),
        ({"Stage": {"in": ["Won", None]}}, ["'Stage'", "'in'"]), ({"Stage": {"in": 5}}, ["'Stage'", "'in'"]),
        ({"Stage": {"gte": None}}, ["'Stage'", "'gte'", "number"]), ({"Stage": {"gte": [1]}}, ["'Stage'", "'gte'"]),
        ({"Score": 5, "Stage": {"lt": 5}}, ["'Stage'"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_where_names_its_field(where: Any, words: list[str]) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        ProspectIs(where)

    assert all(word in str(refusal.value) for word in words), str(refusal.value)


ANA = "ana.maria@example.com"


@pytest.mark.parametrize(
    "where",
    [{ANA: None}, {ANA: {"lt": ANA}}, {"a": {ANA: 1}}, {"a": {"in": {ANA}}}, {ANA: {"gte": [ANA]}}, {"Email": [ANA]}],
    ids=str,
)
def test_a_wrong_where_shows_no_address(where: Any) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        ProspectIs(where)

    assert "ana" not in str(refusal.value).casefold()
    assert "@" not in str(refusal.value)


# A prospect


@pytest.mark.parametrize(
    ("shown_state", "wanted", "outcome"),
    [
        (True, True, "met"), (False, True, "not yet"), (True, False, "not yet"), (False, False, "met"),
        (True, None, "met"), (False, None, "met"), (None, None, "met"),
        (None, True, "hopeless"), (None, False, "hopeless"),
    ],
)  # fmt: skip
def test_an_opt_out_that_is_not_shown_is_hopeless_where_it_matters(
    shown_state: bool | None, wanted: bool | None, outcome: str
) -> None:
    shown = {"prospectID": "p1", "campaignID": "c1", "Email": ANA} | (
        {} if shown_state is None else {"unsubscribed": shown_state}
    )

    verdict = ProspectIs(unsubscribed=wanted).judge(decoding.prospect(shown))

    assert {Met: "met", Hopeless: "hopeless", type(None): "not yet"}[type(verdict)] == outcome


def test_what_is_found_of_a_prospect_is_ids_and_states() -> None:
    person = decoding.prospect({"prospectID": "p1", "campaignID": "c1", "unsubscribed": False, "data": FIELDS})

    assert ProspectIs({"Stage": "Won"}).judge(person) == Met(
        {"outcome": "found", "prospect_id": "p1", "campaign_id": "c1", "unsubscribed": False}
    )


def test_a_state_that_is_not_shown_names_the_fields_that_are_and_no_value() -> None:
    long_address = f"{'ana.maria.' * 5}x@example.com"
    shown = {"prospectID": "p1", "Email": ANA, "Stage": "Won", long_address: "secret"}

    verdict = ProspectIs(unsubscribed=True).judge(decoding.prospect(shown))

    assert isinstance(verdict, Hopeless)
    assert all(name in verdict.reason for name in ("prospectID", "Email", "Stage"))
    assert not any(hidden in verdict.reason for hidden in ("@", "ana", "Won", "secret", "p1"))


# A campaign


def campaign(id_: str, name: str | None = None, **state: Any) -> Any:
    return decoding.campaign({"campaignID": id_, "name": name, **state})


@pytest.mark.parametrize(
    ("shown_state", "wanted", "met"),
    [
        ({"paused": True}, "paused", True), ({"paused": False}, "paused", False),
        ({"paused": True}, "running", False), ({"paused": False}, "running", True),
        ({"status": "running"}, "running", True), ({"status": "Paused"}, "paused", True),
    ],
    ids=str,
)  # fmt: skip
def test_a_campaign_is_what_is_waited_for_or_not_yet(shown_state: dict[str, Any], wanted: Any, met: bool) -> None:
    verdict = CampaignIs(wanted, campaign_id="c1").judge([campaign("c1", **shown_state)])

    assert verdict == (Met({"outcome": wanted, "campaign_id": "c1"}) if met else None)


@pytest.mark.parametrize("shown_state", [{}, {"status": "draft"}, {"paused": "yes"}, {"paused": None}], ids=str)
def test_a_campaign_whose_state_is_not_shown_is_hopeless(shown_state: dict[str, Any]) -> None:
    verdict = CampaignIs("paused", "c1").judge([campaign("c1", "Spring", owner=ANA, **shown_state)])

    assert isinstance(verdict, Hopeless)
    assert all(word in verdict.reason for word in ("c1", "'paused'", "campaignID", "owner", *shown_state))
    assert not any(hidden in verdict.reason for hidden in ("@", "Spring", "draft", "yes"))


def test_an_unknown_campaign_is_hopeless() -> None:
    by_id, by_name = CampaignIs("paused", "c1").judge([]), CampaignIs("paused", campaign_name=f"For {ANA}").judge([])

    assert isinstance(by_id, Hopeless)
    assert "id 'c1'" in by_id.reason
    assert isinstance(by_name, Hopeless)
    assert "called 'For <address>" in by_name.reason


def test_two_campaigns_of_one_name_are_hopeless_and_listed() -> None:
    verdict = CampaignIs("paused", campaign_name=f"For {ANA}").judge(
        [campaign("c1", paused=True), campaign("c2", paused=True)]
    )

    assert isinstance(verdict, Hopeless)
    assert all(word in verdict.reason for word in ("2 campaigns", "c1, c2", "campaign_id", "<address>"))
    assert "ana" not in verdict.reason


@pytest.mark.parametrize("condition", [CampaignIs("paused", "c1"), CampaignIs("paused", campaign_name="Spring")])
def test_one_campaign_that_is_listed_twice_is_one(condition: CampaignIs) -> None:
    assert isinstance(condition.judge([campaign("c1", "Spring", paused=True)] * 2), Met)


def test_a_word_that_leaves_open_who_says_it_is_no_reason_to_give_up_waiting_for_an_opt_out() -> None:
    waiting = decoding.prospect({"prospectID": "p1", "Email": "ana@example.com", "status": "active"})

    assert ProspectIs(unsubscribed=True).judge(waiting) is None
    assert isinstance(ProspectIs(unsubscribed=False).judge(waiting), Hopeless)
