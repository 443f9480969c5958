"""Invalid arguments raise an error before anything is sent."""

from __future__ import annotations

import datetime
import os
import re
from collections import UserDict
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client import InvalidInputError, NotFoundError, SalesBlinkClient, validation

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient

ANYTHING = {"Email": "bo@example.com"}
RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("", "no API key"), (None, "no API key"), (5, "no API key"), (b"s3cret", "no API key"),
        *((key, "a blank, a line break or another character") for key in (
            "s3cret\n", "s3cret\r\nX-Admin: 1", "s3\x00cret", "s3\x7fcret", " s3cret", "s3cret ", "s3 cret",
            "Bearer s3cret", "s3\tcret", "s3crét", "s3cret\u2028", "s3cret\u00a0", "\ud800",
        )),
    ],
)  # fmt: skip
def test_a_key_that_a_header_cannot_contain_is_refused(new_client: NewClient, key: Any, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence) as caught:
        new_client(api_key=key)

    assert not re.search("s3|cr.t", str(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "http://run.salesblink.io", "http://example.com:8080", "http://10.0.0.1", "http://127.0.0.1.example.com",
        "http://localhost.example.com", "http://localhost.", "http://127.1", "http://0.0.0.0", "http://2130706433",
        "http://[2001:db8::1]", "http://127.0.0.1%2eexample.com", "http://xn--localhost.example",
        "HTTP://example.com", "http://127\u30020\u30020\u30021.example.com",
    ],
)  # fmt: skip
def test_the_key_does_not_travel_unencrypted_to_another_machine(new_client: NewClient, url: str) -> None:
    with pytest.raises(InvalidInputError, match="the key would travel unencrypted"):
        new_client(base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@example.com", "http://localhost@example.com/", "http://127.0.0.1:80@example.com",
        "http://127.0.0.1\\@example.com", "https://user:secret@example.com", "https://user@run.salesblink.io",
        "http://127.0.0.1?@example.com", "http://127.0.0.1#@example.com", "https://example.com/?key=1",
        "https://example.com/#there",
    ],
)  # fmt: skip
def test_a_root_url_holds_no_user_query_or_fragment(new_client: NewClient, url: str) -> None:
    with pytest.raises(InvalidInputError, match="has a user, a query or a fragment") as caught:
        new_client(base_url=url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "", None, 5, "run.salesblink.io", "ftp://example.com", "https://", "https:///path", "https://:443",
        "//example.com",
        "https://example.com:port", "https://example.com:99999", "https://example.com:-1", "http://[::1", "https://[x]",
        "https://exa mple.com", "https://example.com\n", "https://example.com\r\nX: 1", "\thttps://example.com",
        "file:///etc/passwd", "https://example\u2100.com",
    ],
)  # fmt: skip
def test_an_invalid_root_url_is_refused(new_client: NewClient, url: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"not an http\(s\) URL"):
        new_client(base_url=url)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://run.salesblink.io", "https://run.salesblink.io"),
        ("https://run.salesblink.io/", "https://run.salesblink.io"),
        ("HTTPS://run.salesblink.io:443//", "https://run.salesblink.io"),
        ("https://example.com/salesblink/", "https://example.com/salesblink"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("https://RUN.salesblink.io:8443/A", "https://run.salesblink.io:8443/A"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
    ],
)
def test_valid_root_urls_are_normalized(url: str, root: str) -> None:
    assert validation.root_url(url) == root


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("timeout", [0, -1, "30", None, True, float("nan"), float("inf"), 1e300, 86_401]),
        ("max_attempts", [0, -1, 2.5, "5", None, True, float("nan"), float("inf")]),
        ("reads_per_minute", [-1, 0.5, "30", None, True, float("nan"), float("inf"), 10**12]),
        ("writes_per_minute", [-1, 0.5, "15", None, False]),
        ("deletes_per_minute", [-1, 0.5, "10", None, False]),
        ("api_version", ["v2", "", None, "CLASSIC"]),
    ],
)
def test_invalid_options_are_refused(new_client: NewClient, option: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidInputError, match=option):
            new_client(**{option: value})


def test_valid_options_are_accepted(new_client: NewClient) -> None:
    for option in ({"timeout": 0.5}, {"max_attempts": 1}, {"reads_per_minute": 30.0}, {"writes_per_minute": 0}):
        new_client(**option)


INVALID_IDS = [
    "",
    " ",
    "\n",
    ".",
    "..",
    "a\nb",
    "a\r\nHost: example.com",
    "a\x00",
    "\x7f",
    "\ud800",
    None,
    True,
    5.0,
    b"c1",
    ["c1"],
]


@pytest.mark.parametrize("value", INVALID_IDS, ids=repr)
def test_an_invalid_id_is_not_sent(sandbox: Sandbox, client: SalesBlinkClient, value: Any) -> None:
    for call, argument in (
        (client.campaigns.get, "campaign_id"),
        (client.campaigns.pause, "campaign_id"),
        (client.campaigns.unpause, "campaign_id"),
        (client.prospects.list, "campaign_id"),
        (lambda given: client.prospects.add(given, ANYTHING), "campaign_id"),
        (client.prospects.get, "prospect_id"),
        (client.prospects.unsubscribe, "prospect_id"),
        (lambda given: client.prospects.update(given, {"Plan": "Gold"}), "prospect_id"),
    ):
        with pytest.raises(InvalidInputError, match=argument):
            call(value)
    assert sandbox.requests == []


@pytest.mark.parametrize("value", ["", "  ", None, 5.5, "\udfff"], ids=repr)
def test_an_invalid_search_term_is_not_sent(sandbox: Sandbox, client: SalesBlinkClient, value: Any) -> None:
    with pytest.raises(InvalidInputError, match="term"):
        client.campaigns.search(value)
    assert sandbox.requests == []


INVALID_ADDRESSES = [
    "",
    " ",
    "ana",
    "@",
    "ana@",
    "@example.com",
    "ana example@x.com",
    "a\nb@x.com",
    "a@x.com\x00",
    "\ud800@x.com",
    None,
    5,
]


@pytest.mark.parametrize("value", INVALID_ADDRESSES, ids=repr)
def test_an_invalid_address_is_not_sent(sandbox: Sandbox, client: SalesBlinkClient, value: Any) -> None:
    for call in (
        client.prospects.search,
        lambda given: client.prospects.add("c1", {"Email": given}),
        lambda given: client.prospects.update("p1", {"email": given}),
    ):
        with pytest.raises(InvalidInputError, match=r"(?i)email"):
            call(value)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "no 'Email' column; its columns: none"),
        ({"Plan": "Gold"}, "no 'Email' column; its columns: Plan"),
        ({"Email 2": "ana@example.com"}, "no 'Email' column"),
        (None, "not a mapping"), ([("Email", "ana@example.com")], "not a mapping"), ("Email", "not a mapping"),
        ({5: "x", **ANYTHING}, "empty or not text"), ({" ": "x", **ANYTHING}, "empty or not text"),
        ({"email": "a@x.com", "Email": "b@x.com"}, "two columns for 'Email'"),
        ({"First Name": "A", "first_name": "B", **ANYTHING}, "two columns for 'First Name'"),
        ({"since": datetime.date(2027, 1, 1), **ANYTHING}, "Object of type date is not JSON"),
        ({"tags": {"a"}, **ANYTHING}, "Object of type set is not JSON"),
        ({"raw": b"a", **ANYTHING}, "Object of type bytes is not JSON"),
        ({"score": float("inf"), **ANYTHING}, "infinity"), ({"score": [float("-inf")], **ANYTHING}, "NaN"),
        ({"name": "\ud800", **ANYTHING}, "half a surrogate pair"), ({"\udfff": "x", **ANYTHING}, "half a surrogate"),
        ({"nested": {"name": "\ud800"}, **ANYTHING}, "half a surrogate pair"),
        ({"list": RECURSIVE, **ANYTHING}, "itself"), ({"more": UserDict(a=1), **ANYTHING}, "UserDict"),
        ({"more": {(1, 2): 3}, **ANYTHING}, "keys must be"),
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_person_is_not_sent(
    sandbox: Sandbox, client: SalesBlinkClient, new_client: NewClient, data: Any, sentence: str
) -> None:
    for each in (client, new_client(dry_run=True)):
        with pytest.raises(InvalidInputError, match=re.escape(sentence)):
            each.prospects.add("c1", data)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "fields is empty"), (None, "not a mapping"), (["Plan"], "not a mapping"), ({"": "x"}, "empty or not text"),
        ({"Plan": None}, "NoneType"), ({"Plan": ["Gold"]}, "list"), ({"Plan": datetime.date(2027, 1, 1)}, "date"),
        ({"Plan": float("nan")}, "NaN"), ({"Plan": "\ud800"}, "half a surrogate pair"),
        ({"Email": "a@x.com", "email": "b@x.com"}, "two spellings of one column"),
        ({"Plan": "Gold", "Company": None}, "fields['Company']"),
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_change_is_not_sent(sandbox: Sandbox, client: SalesBlinkClient, fields: Any, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        client.prospects.update("p1", fields)
    assert sandbox.requests == []


def test_any_mapping_is_accepted(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    spring = sandbox.add_campaign("Spring")

    client.prospects.add(spring, MappingProxyType({"EMAIL": " bo@example.com", "deep": {"a": [1, None, "ü"]}}))

    assert sandbox.people()[0].fields == {"Email": "bo@example.com", "deep": {"a": [1, None, "ü"]}}


def test_missing_values_are_not_sent_and_numbers_go_in_plain_digits(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    spring = sandbox.add_campaign("Spring")
    given = {
        "Email": "bo@example.com", "none": None, "nan": float("nan"), "NaN": Decimal("NaN"), "rate": 2.5e-07,
        "price": Decimal("1.20"), "big": 3e21, "seats": 5, "share": 0.25, "deep": [None],
    }  # fmt: skip

    client.prospects.add(spring, given)

    assert sandbox.people()[0].fields == {
        "Email": "bo@example.com", "rate": "0.00000025", "price": "1.20", "big": "3" + "0" * 21, "seats": 5,
        "share": 0.25, "deep": [None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Gold", "Gold"), ("", ""), (5, "5"), (1.5, "1.5"), (True, "true"), (10**30, str(10**30)), (7e-06, "0.000007"),
        (Decimal("2E+4"), "20000"), (-0.0, "0"), (4.0, "4"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_text(value: Any, text: str) -> None:
    assert validation.changes({"Plan": value}) == {"Plan": text}


IDS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [
        ".", "..", "...", "a/b", "../x", "/", "//", "a?b", "a#b", "a%2fb", "%2e%2e", "%2E", "%", "%%", "%zz", "a b",
        " a", "a ",
        "ü", "\u2028", "\u202e", "a\\b", "..\\..", ";", "a;b=c", "@", ":", "&", "=", "+", "~", "\ufeff", "\x85", "👩‍🚀",
    ]
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(IDS)
def test_an_id_never_leaves_its_segment(sandbox: Sandbox, client: SalesBlinkClient, value: str) -> None:
    client.campaigns.list()  # After a success, the client does not ask which API accepts the key.
    sandbox.reset()
    try:
        client.campaigns.get(value)
    except InvalidInputError:
        assert sandbox.requests == []
        return
    except NotFoundError:
        pass
    (sent,) = sandbox.requests
    assert sent.path.startswith("/api/campaign/")
    assert sent.path.count("/") == 3
    assert unquote(sent.path.removeprefix("/api/campaign/"), errors="strict") == value
    assert sent.query == ""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(IDS)
def test_a_search_term_never_leaves_its_parameter(sandbox: Sandbox, client: SalesBlinkClient, value: str) -> None:
    sandbox.reset()
    try:
        client.campaigns.search(value)
    except InvalidInputError:
        assert sandbox.requests == []
        return
    (sent,) = sandbox.requests
    assert sent.path == "/api/campaign"
    assert re.fullmatch(r"term=[^&=#;+\s]*", sent.query)
    assert unquote(sent.query.removeprefix("term="), errors="strict") == value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(IDS.filter(str.strip), st.dictionaries(IDS.filter(str.strip), IDS, max_size=4))
def test_a_body_arrives_as_it_was_given(
    sandbox: Sandbox, client: SalesBlinkClient, campaign_id: str, columns: dict[str, str]
) -> None:
    sandbox.reset()
    try:
        client.prospects.add(campaign_id, {**columns, "Email": "bo@example.com"})
    except InvalidInputError:
        assert sandbox.requests == []
        return
    except NotFoundError:
        pass
    assert sandbox.requests[0].body == {"campaignID": campaign_id, "data": {**columns, "Email": "bo@example.com"}}


def test_the_key_is_not_in_the_environment(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    assert sandbox.key not in os.environ.values()
    client.campaigns.list()
    assert sandbox.key not in os.environ.values()
