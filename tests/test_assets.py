"""The URI of a campaign has one spelling, and Airflow knows it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from airflow.providers.common.compat.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.assets import campaign_asset, campaign_uri, sanitize_uri
from airflow_provider_salesblink.client import InvalidInputError, validation

FORM = "salesblink://<workspace>/campaign/<id>"
AIRFLOW_2 = Asset.__name__ == "Dataset"


def sanitized(uri: str) -> str:
    return urlunsplit(sanitize_uri(urlsplit(uri)))


@pytest.mark.parametrize(
    ("given", "spelling"),
    [
        ("salesblink://acme/campaign/x", "salesblink://acme/campaign/x"),
        ("SalesBlink://Acme/campaign/Spring", "salesblink://acme/campaign/Spring"),
        ("salesblink://acme/campaign/x/", "salesblink://acme/campaign/x"),
        ("salesblink://acme/campaign/x//", "salesblink://acme/campaign/x"),
        ("salesblink://acme/campaign/%61b", "salesblink://acme/campaign/ab"),
        ("salesblink://acme/campaign/a%2fb", "salesblink://acme/campaign/a%2Fb"),
        ("salesblink://acme/campaign/a+b", "salesblink://acme/campaign/a%2Bb"),
        ("salesblink://acme/campaign/a%25", "salesblink://acme/campaign/a%25"),
        ("salesblink://acme/campaign/é", "salesblink://acme/campaign/%C3%A9"),
        ("salesblink://acme-2.eu_1/campaign/x", "salesblink://acme-2.eu_1/campaign/x"),
    ],
)
def test_a_campaigns_uri_has_one_spelling(given: str, spelling: str) -> None:
    assert sanitized(given) == spelling
    assert sanitized(spelling) == spelling


WRONG = {
    "salesblink:///campaign/x": "has no workspace",
    "salesblink:acme/campaign/x": "has no workspace",
    "salesblink://ac%20me/campaign/x": "has an invalid workspace",
    "salesblink://-acme/campaign/x": "has an invalid workspace",
    "salesblink://acme": "does not have the path of a campaign",
    "salesblink://acme/": "does not have the path of a campaign",
    "salesblink://acme/prospect/x": "does not have the path of a campaign",
    "salesblink://acme/Campaign/x": "does not have the path of a campaign",
    "salesblink://acme//campaign/x": "does not have the path of a campaign",
    "salesblink://acme/campaign": "has no campaign id",
    "salesblink://acme/campaign/": "has no campaign id",
    "salesblink://acme/campaign/%20": "has no campaign id",
    "salesblink://acme/campaign/a/b": "has a '/' in the campaign's id (write it as %2F)",
    "salesblink://acme/campaign//b": "has a '/' in the campaign's id",
    "salesblink://acme/campaign/100%": "has a '%' without two hex digits after it (write it as %25)",
    "salesblink://acme/campaign/%ff": "has quoted bytes that are not UTF-8",
    "salesblink://acme/campaign/..": "is a dot",
    "salesblink://acme/campaign/a%0Ab": "control character",
    "salesblink://acme/campaign/ana%40example.com": "an address",
    "salesblink://me@acme/campaign/x": "has a user, which is not allowed",
    "salesblink://me:secret@acme/campaign/x": "has a user, which is not allowed",
    "salesblink://acme:443/campaign/x": "has a port, which is not allowed",
    "salesblink://acme/campaign/x?a=1": "has a query, which is not allowed",
    "salesblink://acme/campaign/x#a": "has a fragment, which is not allowed",
}


@pytest.mark.parametrize(("given", "what"), WRONG.items())
def test_a_uri_that_is_not_a_campaigns_is_refused_with_the_reason_and_the_form(given: str, what: str) -> None:
    with pytest.raises(ValueError, match=r"^The asset's URI ") as refused:
        sanitized(given)

    assert what in str(refused.value)
    assert FORM in str(refused.value)
    assert "secret" not in str(refused.value)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_whatever_the_client_takes_for_an_id_has_a_uri_that_says_which(campaign_id: str) -> None:
    try:
        validation.identifier("campaign_id", campaign_id)
    except InvalidInputError:
        return
    uri = campaign_uri("Acme", campaign_id)

    assert uri.isascii()
    assert sanitized(uri) == uri
    assert uri.count("/") == 4


def test_different_ids_have_different_uris() -> None:
    assert len({campaign_uri("acme", each) for each in ("a/b", "a%2Fb", "a b", "a+b", "ab", "AB")}) == 6


@pytest.mark.parametrize(
    ("workspace", "campaign_id"), [("", "x"), ("Acme Inc", "x"), ("a/b", "x"), ("acme", ""), ("acme", "..")]
)
def test_the_helper_refuses_an_invalid_part(workspace: str, campaign_id: str) -> None:
    with pytest.raises(ValueError, match="Its form: salesblink://<workspace>/campaign/<id>"):
        campaign_asset(workspace, campaign_id)


# The rest uses Airflow itself, which finds the handler through the provider info.


def test_airflow_normalizes_the_uri_of_an_asset() -> None:
    assert Asset(uri="salesblink://Acme/campaign/x/").uri == "salesblink://acme/campaign/x"


def test_the_helpers_asset_is_the_one_that_airflow_makes_of_any_spelling() -> None:
    made = campaign_asset("Acme", "a/b é", extra={"owner": "crm"})

    assert made.uri == "salesblink://acme/campaign/a%2Fb%20%C3%A9"
    assert made.uri == Asset(uri="salesblink://ACME/campaign/a%2fb%20%c3%a9/").uri
    assert made.extra == {"owner": "crm"}
    if not AIRFLOW_2:
        assert made.name == made.uri  # another name for the same URI would be a conflict


# Airflow itself drops fragments, and drops passwords with a warning; Airflow 2 also drops users.
AIRFLOW_DROPS = ("#", ":secret@", *(["me@"] if AIRFLOW_2 else []))
REFUSED = [uri for uri in WRONG if not any(part in uri for part in AIRFLOW_DROPS)]


@pytest.mark.parametrize("uri", REFUSED)
def test_airflow_refuses_an_asset_that_is_not_a_campaigns(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow 2 only warns unless it is configured to be strict.
    monkeypatch.setenv("AIRFLOW__CORE__STRICT_DATASET_URI_VALIDATION", "True")

    with pytest.raises(ValueError, match="Its form: salesblink://<workspace>/campaign/<id>"):
        Asset(uri=uri)


@pytest.mark.generation(2)  # Airflow 3 refuses
def test_airflow_2_warns_of_an_asset_that_is_not_a_campaigns() -> None:
    with pytest.warns(UserWarning, match="has no campaign id. Its form: salesblink://<workspace>/campaign/<id>"):
        Asset(uri="salesblink://acme/campaign")


def test_airflows_lineage_finds_the_factory() -> None:
    asked: dict[str, Any] = {"workspace": "Acme", "campaign_id": "x"}
    if AIRFLOW_2:
        from airflow.lineage.hook import HookLineageCollector

        made = HookLineageCollector().create_dataset("salesblink", None, dataset_kwargs=asked, dataset_extra={"a": 1})
    else:
        from airflow.sdk.lineage import HookLineageCollector

        made = HookLineageCollector().create_asset(scheme="salesblink", asset_kwargs=asked, asset_extra={"a": 1})

    assert made == campaign_asset("acme", "x", extra={"a": 1})


def test_the_module_is_light() -> None:
    code = "import sys, airflow_provider_salesblink.assets; print([m for m in sys.modules if m.startswith('airflow.')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
