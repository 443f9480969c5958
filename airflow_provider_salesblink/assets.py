"""Campaigns as Airflow assets (datasets in Airflow 2): ``salesblink://<workspace>/campaign/<id>``.

The workspace is a name that you choose for a SalesBlink account: campaigns of two accounts may have the same id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "salesblink"
FORM = f"{SCHEME}://<workspace>/campaign/<id>"

_WORKSPACE = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_STRAY_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def campaign_asset(workspace: str, campaign_id: str, *, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of a campaign, with the id quoted for the URI.

    :param workspace: your name for the SalesBlink account; case does not matter.
    :param campaign_id: the campaign's id as SalesBlink returns it.
    :param extra: extra data that Airflow stores with the asset.
    :raises ValueError: the workspace or the id is not valid.
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=campaign_uri(workspace, campaign_id), extra=extra)


def campaign_uri(workspace: str, campaign_id: str) -> str:
    """Return the URI of a campaign, to use in an ``Asset`` or ``Dataset`` of your own.

    :raises ValueError: the workspace or the id is not valid.
    """
    return f"{SCHEME}://{_workspace(workspace)}/campaign/{_quoted(campaign_id)}"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a campaign's URI in its normalized form. Airflow calls this for every asset of the scheme.

    :raises ValueError: it is not a campaign's URI. The message says what is wrong, and shows the form.
    """
    extra = _part_that_must_not_be_there(uri)
    if extra:
        raise _invalid(f"has {extra}, which is not allowed")
    workspace, campaign_id = _workspace(uri.netloc), _unquoted(_id_in(uri.path))
    return uri._replace(netloc=workspace, path=f"/campaign/{_quoted(campaign_id)}")


def dataset_name(uri: str) -> tuple[str, str]:
    """Return OpenLineage's namespace and name for a campaign's URI."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")


def openlineage_dataset(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001
    """Return the OpenLineage dataset of an asset. Airflow calls this for inlets and outlets of the scheme."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, name = dataset_name(asset.uri)
    return Dataset(namespace=namespace, name=name)


def _part_that_must_not_be_there(uri: SplitResult) -> str | None:
    parts = {"a user": "@" in uri.netloc, "a port": ":" in uri.netloc, "a query": uri.query, "a fragment": uri.fragment}
    return next((name for name, found in parts.items() if found), None)


def _workspace(given: str) -> str:
    workspace = given.lower()
    if not workspace:
        raise _invalid("has no workspace")
    if not _WORKSPACE.fullmatch(workspace):
        raise _invalid("has an invalid workspace: use letters and digits and, between them, '.', '-' and '_'")
    return workspace


def _id_in(path: str) -> str:
    match path.rstrip("/").split("/"):
        case ["", "campaign", campaign_id]:
            return campaign_id
        case ["", "campaign"]:
            raise _invalid("has no campaign id")
        case ["", "campaign", _, *_]:
            raise _invalid("has a '/' in the campaign's id (write it as %2F)")
    raise _invalid("does not have the path of a campaign")


def _unquoted(campaign_id: str) -> str:
    if _STRAY_PERCENT.search(campaign_id):
        raise _invalid("has a '%' without two hex digits after it (write it as %25)")
    try:
        return unquote(campaign_id, errors="strict")
    except UnicodeDecodeError:
        raise _invalid("has quoted bytes that are not UTF-8") from None


def _quoted(campaign_id: str) -> str:
    if not campaign_id.strip():
        raise _invalid("has no campaign id")
    # The client refuses these as an id.
    if campaign_id in (".", "..") or "@" in campaign_id or _CONTROL.search(campaign_id):
        raise _invalid("has a campaign id that is a dot, an address, or holds a line break or control character")
    return quote(campaign_id, safe="")


def _invalid(what: str) -> ValueError:
    # Do not show the URI: it may contain a password.
    return ValueError(f"The asset's URI {what}. Its form: {FORM}")
