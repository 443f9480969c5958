"""The account, its users and its workspaces on the v1 API, for both keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests  # noqa: TID251  # the tests are this server's client

from airflow_provider_salesblink.sandbox import Sandbox
from airflow_provider_salesblink.sandbox.v1 import PREFIX

if TYPE_CHECKING:
    from tests.sandbox.conftest import Call


def test_the_account_of_each_key(sandbox: Sandbox, call: Call) -> None:
    owner = call("GET", f"{PREFIX}/account/verify").json()
    member = call("GET", f"{PREFIX}/account/verify", headers={"Authorization": sandbox.member_key}).json()

    assert (owner["success"], owner["data"]["user"]["email"]) == (True, "olu@example.com")
    assert owner["data"]["account"]["name"] == "Example Ltd"
    assert (member["success"], member["data"]["email"]) == (True, "mia@example.com")


def test_an_administrator_sees_the_users(call: Call) -> None:
    olu, mia = call("GET", f"{PREFIX}/users").json()["data"]

    assert (olu["name"], olu["account"][0]["permission"]) == ("Olu Owner (Me)", "owner")
    assert (mia["name"], mia["email"], mia["account"][0]["permission"]) == ("Mia Member", "mia@example.com", "user")
    assert olu["id"] != mia["id"]


def test_a_member_sees_an_empty_team_and_no_workspace(sandbox: Sandbox, call: Call) -> None:
    member = {"Authorization": sandbox.member_key}

    assert call("GET", f"{PREFIX}/users", headers=member).json() == {"success": True, "data": []}
    assert call("GET", f"{PREFIX}/workspaces", headers=member).status_code == 403


def test_an_owner_sees_the_workspace(call: Call) -> None:
    (workspace,) = call("GET", f"{PREFIX}/workspaces").json()["data"]

    assert (workspace["name"], workspace["permission"]) == ("Example Ltd", "owner")
    assert call("GET", f"{PREFIX}/users").json()["data"][0]["account"][0]["id"] == workspace["id"]


@pytest.mark.parametrize("path", ["account/verify", "users", "workspaces"])
def test_a_member_of_the_seed_needs_no_fields(path: str) -> None:
    with Sandbox(seed={"members": [{}]}, key="a-key") as sandbox:
        answer = requests.get(f"{sandbox.url}{PREFIX}/{path}", headers={"Authorization": "a-key"}, timeout=10)

    assert answer.json()["success"] is True
