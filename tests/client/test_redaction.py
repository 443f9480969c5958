"""Redacted text shows no address."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client.redaction import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such person ana@example.com.", "no such person <address>"),
        ("GET /api/prospect?term=ana%40example.com", "GET /api/prospect?term=<address>"),
        ("<ana@example.com>, (bo@example.com)", "<<address>>, (<address>)"),
        ("mailto:ana+x@example.com?subject=hi", "mailto:<address>?subject=hi"),
        ("ärger@bücher.example", "<address>"),
        ("/api/prospect/ana%40EXAMPLE.com", "/api/prospect/<address>"),
        ("no prospect o'brien@example.com", "no prospect <address>"),
        ("the column 'ana@example.com'", "the column <address>'"),
        ("x=@example.com", "x=<address>"),
        ("ａｎａ＠ｅｘａｍｐｌｅ.ｃｏｍ wrote", "<address> wrote"),
        ("nobody here", "nobody here"),
        ("no '@' in its Email", "no '@' in its Email"),
        ("at 5 @ noon", "at 5 @ noon"),
    ],
)
def test_addresses_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@given(st.text(), st.emails(), st.text())
def test_no_address_is_ever_shown(before: str, address: str, after: str) -> None:
    for written in (address, quote(address), quote(address, safe="@")):
        assert written not in redacted(f"{before} {written} {after}")


def test_secrets_are_hidden() -> None:
    assert redacted("key abc-1 and abc-1", "abc-1", "") == "key <hidden> and <hidden>"


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a@" * 200_000, "%40" * 200_000, "@" * 1_000_000])
def test_long_text_is_fast(text: str) -> None:
    before = time.monotonic()

    redacted(text)

    assert time.monotonic() - before < 2
