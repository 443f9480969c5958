"""Column names in all their spellings."""

from __future__ import annotations

import pytest

from airflow_provider_salesblink.client.columns import differing, documented, is_email


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("First Name", "First Name"), ("first_name", "First Name"), ("firstName", "First Name"),
        ("FIRST-NAME", "First Name"), (" lastname ", "Last Name"), ("e-mail", "Email"), ("EMAIL", "Email"),
        ("company", "Company"), ("company_name", "company_name"), ("Email 2", "Email 2"), ("plan", "plan"),
        ("Größe", "Größe"), ("", ""), ("--", "--"),
    ],
)  # fmt: skip
def test_documented_columns_are_spelled_as_documented(given: str, name: str) -> None:
    assert documented(given) == name
    assert is_email(given) is (name == "Email")


@pytest.mark.parametrize(
    ("current", "wanted", "found"),
    [
        ({"Plan": "Gold"}, {"Plan": "Gold"}, {}),
        ({"Plan": "Gold"}, {"Plan": "gold"}, {"Plan": "gold"}),
        ({}, {"Plan": "Gold"}, {"Plan": "Gold"}),
        ({"first_name": "Ana"}, {"First Name": "Ana"}, {}),
        ({"First Name": "Ana"}, {"first_name": "Bo"}, {"first_name": "Bo"}),
        ({"Seats": 5, "Trial": True}, {"Seats": "5", "Trial": "true"}, {}),
        ({"Plan": None}, {"Plan": "None"}, {"Plan": "None"}),
        ({"Plan": ["Gold"]}, {"Plan": "Gold"}, {"Plan": "Gold"}),
        ({"plan": "Gold"}, {"Plan": "Gold"}, {"Plan": "Gold"}),
        ({"Plan": "Gold", "Seats": "5"}, {"Seats": "6"}, {"Seats": "6"}),
    ],
)
def test_only_fields_that_differ_are_returned(
    current: dict[str, object], wanted: dict[str, str], found: dict[str, str]
) -> None:
    assert differing(current, wanted) == found
