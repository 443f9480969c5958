"""The blocklist of the API v1, whose answers are undocumented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from tests.client.raw_server import Piece, answer
from tests.client.v1.conftest import ok
from tests.client.v1.documented_calls import ANA

if TYPE_CHECKING:
    from tests.client.raw_server import Received
    from tests.client.v1.conftest import NewResources


@pytest.mark.parametrize(
    ("body", "blocked"),
    [
        (True, True),
        (False, False),
        (ok(True), True),
        (ok(False), False),
        (ok({"blocked": True}), True),
        (ok({"isBlocked": False, "email": ANA}), False),
        ({"success": True, "exists": True}, True),
        (ok([{"email": ANA}]), True),
        (ok([{"email": ANA, "blocked": False}]), False),
        ([{"id": "b1"}], True),
        (ok([]), None),
        (ok({}), None),
        (ok(), None),
        ([], None),
        ({"success": True}, None),
        (ok({"email": ANA}), None),
        (ok("yes"), None),
        (ok({"blocked": "no"}), None),
    ],
)
def test_a_check_says_yes_or_no_or_nothing(resources: NewResources, body: Any, blocked: bool | None) -> None:
    assert resources(body).blocklist.check(ANA) is blocked


@pytest.mark.parametrize(
    ("raw", "entry"),
    [
        ({"id": "b1", "email": ANA}, ("b1", ANA, "email")),
        ({"_id": "b1", "domain": "example.org", "type": "domain"}, ("b1", "example.org", "domain")),
        ({"id": 7, "value": "example.org"}, ("7", "example.org", "domain")),
        ({"entry": ANA, "type": "email"}, (None, ANA, "email")),
        ({"address": ANA, "email": None}, (None, ANA, "email")),
        (ANA, (None, ANA, "email")),
        ("example.org", (None, "example.org", "domain")),
        ({"id": "b1"}, ("b1", None, None)),
        ({"id": "b1", "type": "phone"}, ("b1", None, None)),
    ],
)
@pytest.mark.parametrize("place", [ok, lambda found: ok({"entries": found}), lambda found: found])
def test_an_entry_in_each_of_its_shapes(resources: NewResources, raw: Any, entry: Any, place: Any) -> None:
    (found,) = resources(place([raw])).blocklist.list()

    assert (found["id"], found["entry"], found["kind"]) == entry
    assert found["raw"] == raw


@pytest.mark.parametrize(
    "entries", [[], ANA, [""], ["nobody@"], ["no domain"], [ANA, "localhost"], ["@example.org"], [7]]
)
def test_what_is_neither_an_address_nor_a_domain_is_refused(resources: NewResources, entries: Any) -> None:
    api = resources()

    with pytest.raises(InvalidInputError) as raised:
        api.blocklist.add(entries)
    assert api.server.requests == []
    assert ANA not in str(raised.value)


def test_only_one_entry_is_removed_at_a_time(resources: NewResources) -> None:
    api = resources()

    for several in ([ANA], f"{ANA},bo@example.com", "a.example b.example", None):
        with pytest.raises(InvalidInputError):
            api.blocklist.remove(several)  # type: ignore[arg-type]
    assert api.server.requests == []


def test_an_entry_that_is_gone_after_a_lost_answer_was_removed(resources: NewResources) -> None:
    answers: list[list[Piece]] = [["reset"], [answer({"success": False}, "404 Not Found")]]

    assert resources(script=lambda _: answers.pop(0)).blocklist.remove("example.org") == {}


def test_an_unknown_kind_is_refused(resources: NewResources) -> None:
    with pytest.raises(InvalidInputError, match="kind is unknown"):
        resources().blocklist.list(kind="phone")  # type: ignore[arg-type]


def test_there_is_no_way_to_empty_it(resources: NewResources) -> None:
    assert {name for name in dir(resources().blocklist) if not name.startswith("_")} == {
        "add",
        "check",
        "list",
        "remove",
    }


def test_where_neither_the_check_nor_the_entries_can_be_read_an_opt_out_is_unknown(resources: NewResources) -> None:
    answers = {"activity": ok([]), "check": ok({"blocked": "yes"}), "unsubscribe": ok([{"text": "?"}]), "reports": ok()}

    def script(request: Received) -> list[Piece]:
        return [answer(answers[request.target.partition("?")[0].rpartition("/")[2]])]

    assert resources(script=script).prospects.opted_out_elsewhere("s1", ANA) is None
