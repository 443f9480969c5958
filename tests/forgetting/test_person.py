"""Which texts and lines name a person."""

from __future__ import annotations

import json

import pytest

from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.forgetting.person import Person

NAMING = [
    ("ana.lund@example.com", "ana.lund@example.com"),
    ("ana.lund@example.com", "Ana Lund <ANA.LUND@EXAMPLE.COM>"),
    ("ana.lund@example.com", "mailto:Ana.Lund@example.com?subject=Hi"),
    ("ana.lund@example.com", "see https://a.example/?u=ana.lund%40example.com&x=1"),
    ("ana.lund@example.com", "see https://a.example/?u=ana.lund%2540example.com"),
    ("ana.lund@example.com", "wrote ana.lund@example.com."),
    ("ana.lund@example.com", "to 'ana.lund@example.com', bo@example.com"),
    ("ana.lund@example.com", "ana.lund&#64;example.com"),
    ("ana.lund@example.com", "\uff21na.lund\uff20example.com"),
    ("ana@b\u00fccher.example", "ANA@xn--bcher-kva.example"),
    ("ana@xn--bcher-kva.example", "ana@B\u00dcCHER.example"),
    ("\u043f\u043e\u0447\u0442\u0430@example.com", "\u041f\u043e\u0447\u0442\u0430@example.com"),
    ("+@example.com", "+@example.com"),
]
OTHERS = [
    ("ana.lund@example.com", "hana.lund@example.com"),
    ("ana.lund@example.com", "ana.lund@example.com.au"),
    ("ana.lund@example.com", "ana.lund@example.org and ana@example.com"),
    ("ana.lund@example.com", "Ana Lund of example.com, 100 %"),
]


def person(address: str) -> Person:
    return Person(address, AddressHash("key", api_key="key"), (), "")


@pytest.mark.parametrize(("address", "text"), NAMING)
def test_a_text_that_names_the_person_is_found_in_any_spelling(address: str, text: str) -> None:
    whose = person(address)

    assert whose.is_named_in(text)
    assert not whose.is_named_in(whose.without_address(text))
    for is_ascii in (True, False):
        assert whose.may_be_in(json.dumps({"text": text}, ensure_ascii=is_ascii).encode())


@pytest.mark.parametrize(("address", "text"), OTHERS)
def test_a_text_that_names_others_stays(address: str, text: str) -> None:
    assert person(address).without_address(text) == text


def test_most_lines_are_passed_over() -> None:
    assert not person("ana.lund@example.com").may_be_in(b'{"email": "bo@example.com"}')
