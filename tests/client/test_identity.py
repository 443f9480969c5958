"""All spellings of a mailbox are one person; anything else is refused with a reason."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_salesblink.client.identity import (
    InvalidAddressError,
    addresses_in,
    fingerprint,
    former_fingerprint,
    is_address,
    normalized,
    read_address,
    spellings,
)
from airflow_provider_salesblink.client.records import of_person
from airflow_provider_salesblink.client.redaction import redacted

CLEANED = [
    " ana@example.com\n", "\u00a0ana@example.com\u3000", "\tana@example.com", "\ufeffana@example.com",
    "ana@example.com\u200b", "an\u00ada@exam\u2060ple.com", "\u202aana@example.com\u202c", "ana@example\ufe0f.com",
    "mailto:ana@example.com", "MAILTO:ana@example.com?subject=Hi%20you", "mailto:ana%40example.com",
    '"Ana" <ana@example.com>', "Ana<ana@example.com>", "<ana@example.com>", "Silva, Ana < ana@example.com >",
    "ana@example.com <ana@example.com>", "'ana@example.com' <ana@example.com>", "Ana <mailto:ana@example.com>",
    "ａｎａ@example.com", "ana＠example.com", "ana@ｅｘａｍｐｌｅ.ｃｏｍ",
]  # fmt: skip


@pytest.mark.parametrize("written", CLEANED, ids=ascii)
def test_what_is_certainly_not_part_of_the_address_is_removed(written: str) -> None:
    assert read_address(written) == "ana@example.com"
    assert fingerprint(written) == fingerprint("Ana@Example.com")


REFUSED = {
    "it has no at sign": ["", " ", "ana", "ana%40example.com", "\u200b"],
    "more than one address": [
        "ana@example.com;bo@example.com", "ana@example.com, bo@example.com", "ana@example.com bo@example.com",
        "ana@example.com/bo@example.com", "ana@example.com|bo", "ana@example,com", "bo@example.com <ana@example.com>",
        "mailto:ana@example.com,bo@example.com", "<ana@example.com>,<bo@example.com>", "ana@@example.com",
    ],
    "a blank inside": ["ana @example.com", "ana@example.com (Ana)", "ana@\u00a0example.com", "E-Mail: ana@example.com"],
    "nothing on one side": ["@example.com", "ana@", "@"],
    "a dot at an end": [
        "ana@example.com.", "taro.@docomo.ne.jp", ".ana@example.com", "a..b@example.com", "ana@.example.com",
        "ana@example..com", "Ana <ana@example.com.>",
    ],
    "no dot": ["ana@gmail", "ana@localhost", "ana@例え"],
    "it starts with a quote or another sign": [
        "'ana@example.com", "=ana@example.com", "ana'@example.com", "*ana@example.com", "<ana@example.com",
        '"ana"x@example.com',
    ],
    "a typographic or encoded sign": [
        "ana\u2011maria@example.com", "o\u2019neil@example.com", "o\ufb03ce@example.com", "ana%2Bx@example.com",
        "ana\u2013x@example.com", "\U0001d41ana@example.com",
    ],
    "is reserved": ["ana@corp.local", "ana@shop.test", "ana@x.INVALID"],
    "a character or a form": [
        "ana@-x.com", "ana@x_y.com", "ana@1.2.3.4", "ana@[1.2.3.4]", "ana@x.c-", "a\x00b@x.com",
        "a:b@example.com", "ana@xn--a.com", f"ana@{'x' * 64}.com", f"ana@{'x.' * 150}com",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "reason"), [(text, reason) for reason, texts in REFUSED.items() for text in texts], ids=ascii
)
def test_text_that_is_not_an_address_is_refused_with_a_reason(written: str, reason: str) -> None:
    with pytest.raises(InvalidAddressError, match=reason) as refused:
        read_address(written)

    assert str(refused.value) == redacted(str(refused.value))
    assert not is_address(written)


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.com", "Ana.Silva+news@mail.example.co.uk", "o'brien@example.com", "jörg@bücher.example",
        "_x_@example.com", "a-@example.com", "1@2.example", "ana@xn--bcher-kva.example", "x=y/z@example.com",
        "ana@a-b--c.example", f"{'a' * 64}@example.com", "用户@例え.example",
    ],
)  # fmt: skip
def test_an_address_keeps_its_spelling(address: str) -> None:
    assert read_address(address) == address


SAME = [
    ("ana@bücher.example", "ana@xn--bcher-kva.example"),
    ("ana@BÜCHER.example", "Ana@XN--BCHER-KVA.Example"),
    ("ana@bücher.example", "ana@bu\u0308cher.example"),
    ("ana@bücher.example", "ana@ｂüｃｈｅｒ.example"),
    ("josé@example.com", "JOSE\u0301@example.com"),
    ("ärger@example.com", "ÄRGER@EXAMPLE.COM"),
    ("ας@example.com", "ΑΣ@example.com"),
    ("ασ@example.com", "ΑΣ@example.com"),
    ("ana@例え.example", "ana@例え。example"),
    ("ana@example.com", "ana@example.com."),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=ascii)
def test_spellings_of_a_mailbox_are_one_person(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)
    assert fingerprint(one) == fingerprint(other)


OTHERS = [
    ("ana@straße.example", "ana@strasse.example"),
    ("weiß@example.com", "weiss@example.com"),
    ("ana@example.com", "ana@example.org"),
    ("ana@example.com", "ana+x@example.com"),
    ("a.na@example.com", "ana@example.com"),
    ("ana@example.com", "ana@mail.example.com"),
    ("ana@نامه\u200cای.example", "ana@نامهای.example"),
    ("fi@example.com", "ﬁ@example.com"),
    ("ana", "ana@example.com"),
]


@pytest.mark.parametrize(("one", "other"), OTHERS, ids=ascii)
def test_two_mailboxes_are_two_people(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


def test_every_address_in_a_text_is_found() -> None:
    assert addresses_in("Ana <ana@example.com>, bo@example.com; 'cy@example.com.' (mailto:di@example.com)") == [
        "ana@example.com", "bo@example.com", "cy@example.com", "di@example.com",
    ]  # fmt: skip
    assert addresses_in("nobody @ all") == []


LOCAL = st.text("abcxyzäöüéñßσ0189._+-'", min_size=1, max_size=20)
LABEL = st.text("abcxyzäöüéñß0189-", min_size=1, max_size=15)


@given(
    LOCAL,
    st.lists(LABEL, min_size=1, max_size=3),
    st.sampled_from([str, str.upper, str.title, str.swapcase]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["{}", " {}\t", "mailto:{}", "Ana <{}>", "\ufeff{}\u200b", '"Silva, A" <{}>']),
    st.booleans(),
)
def test_any_spelling_of_a_mailbox_has_the_same_identity(
    local: str, labels: list[str], in_case: Any, form: Any, around: str, in_ascii: bool
) -> None:
    address = f"{local}@{'.'.join(labels)}.example"
    assume(is_address(address))
    # In upper case ß becomes SS, which is a different mailbox.
    spelled = "ß".join(map(in_case, address.split("ß")))
    if in_ascii:
        spelled = f"{spelled.rpartition('@')[0]}@{normalized(address).rpartition('@')[2]}"
    spelled = around.format(unicodedata.normalize(form, spelled))

    assert fingerprint(spelled) == fingerprint(address)
    assert normalized(read_address(spelled)) == normalized(address)


@given(st.text())
def test_any_text_has_an_identity_and_is_an_address_or_not(text: str) -> None:
    assert normalized(text) == normalized(normalized(text)) or not is_address(text)
    if is_address(text):
        assert is_address(read_address(text))
        assert normalized(read_address(text)) == normalized(text)
    assert len(fingerprint(text)) == 16


@given(st.emails(), st.sampled_from([str, str.upper, str.title]))
def test_an_ordinary_address_has_the_fingerprint_of_version_0_1_0(address: str, in_case: Any) -> None:
    assume(is_address(address))
    assume("xn--" not in address.lower())

    assert fingerprint(in_case(address)) == former_fingerprint(address)


def test_an_international_domain_is_searched_for_in_each_of_its_spellings() -> None:
    assert spellings("Ana@bücher.example") == [
        "Ana@bücher.example", "ana@xn--bcher-kva.example", "ana@bücher.example",
    ]  # fmt: skip
    assert spellings("ana@xn--bcher-kva.example") == ["ana@xn--bcher-kva.example", "ana@bücher.example"]
    assert spellings("ana@example.com") == ["ana@example.com"]


def test_the_people_with_an_address() -> None:
    def prospect(email: str | None) -> Any:
        return {"email": email}

    people = [prospect("ana@example.com"), prospect(None), prospect("jana@example.com"), prospect("ANA@example.com ")]

    assert of_person(people, " Ana@Example.com") == [people[0], people[3]]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000, "a@" * 200_000, f"{'<' * 100_000}a@b.c{'>' * 100_000}", "a." * 200_000 + "@x.com",
        "\u200b" * 10**6,
    ],
    ids=["letters", "ats", "brackets", "dots", "invisible"],
)  # fmt: skip
def test_long_text_is_fast(text: str) -> None:
    before = time.monotonic()

    normalized(text)
    is_address(text)

    assert time.monotonic() - before < 5
