"""The envelope of an answer: success, error and message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from airflow_provider_salesblink.client.response_content import is_refusal, message
from tests.client.classic.test_decoding import JSON


@pytest.mark.parametrize(
    "body",
    [
        {"success": False}, {"success": False, "data": [{"id": "1"}]}, {"success": "false"}, {"success": "No"},
        {"success": 0}, {"success": None}, {"success": ""}, {"success": False, "error": False},
        {"error": True}, {"error": "wrong"}, {"error": {"code": 5}},
    ],
    ids=str,
)  # fmt: skip
def test_refusals(body: Any) -> None:
    assert is_refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        {"success": True}, {"success": True, "error": "none"}, {"success": "true"}, {"success": 1}, {"error": False},
        {"error": None}, {"error": "false"}, {"error": ""}, {"error": {}}, {}, {"data": []}, [], [{"success": False}],
    ],
    ids=str,
)  # fmt: skip
def test_successes(body: Any) -> None:
    assert not is_refusal(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": " No\n such  plan "}, "No such plan"), ({"error": "wrong"}, "wrong"), ({"msg": "wrong"}, "wrong"),
        ({"error": True, "message": "wrong"}, "wrong"), ({"message": "", "error": "wrong"}, "wrong"),
        ({"error": {"message": "wrong"}}, "wrong"), ({"error": {"error": {"msg": "wrong"}}}, "wrong"),
        ({"message": ["wrong"]}, ""), ({"message": 5}, ""), ({}, ""), ([], ""), (None, ""), ("wrong", ""),
    ],
    ids=str,
)  # fmt: skip
def test_messages(body: Any, words: str) -> None:
    assert message(body) == words


@given(JSON)
def test_any_json_can_be_read(body: Any) -> None:
    assert is_refusal(body) in (True, False)
    assert "\n" not in message(body)


@pytest.mark.parametrize(
    "body", [{"id": "p1", "error": "none"}, {"prospectID": "p1", "success": "false", "error": "x"}]
)
def test_a_bare_record_with_columns_of_these_names_is_not_a_refusal(body: Any) -> None:
    assert not is_refusal(body)


def test_a_record_that_the_api_refuses_is_a_refusal() -> None:
    assert is_refusal({"id": "request-1", "success": False, "error": "no"})
