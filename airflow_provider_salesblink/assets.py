"""Campaigns as Airflow assets (datasets in Airflow 2): ``salesblink://<workspace>/campaign/<id>``.

The workspace is a name of your choice for a SalesBlink account: two accounts may have campaigns of the same id.
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
    """The asset of a campaign, its id quoted as URIs need it.

    :param workspace: your name for the SalesBlink account; case does not matter.
    :param campaign_id: the campaign's id as SalesBlink tells it.
    :param extra: what Airflow keeps beside the asset.
    :raises ValueError: a part that cannot be one.
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=campaign_uri(workspace, campaign_id), extra=extra)


def campaign_uri(workspace: str, campaign_id: str) -> str:
    """The URI of a campaign, for whoever makes their own ``Asset`` or ``Dataset``.

    :raises ValueError: a part that cannot be one.
    """
    return f"{SCHEME}://{_workspace(workspace)}/campaign/{_quoted(campaign_id)}"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """The one spelling of a campaign's URI; Airflow calls this for every asset of the scheme.

    :raises ValueError: it is no campaign's URI: what is wrong with it, and the form it should have.
    """
    superfluous = _superfluous(uri)
    if superfluous:
        raise _wrong(f"holds {superfluous}")
    workspace, campaign_id = _workspace(uri.netloc), _unquoted(_id_in(uri.path))
    return uri._replace(netloc=workspace, path=f"/campaign/{_quoted(campaign_id)}")


def dataset_name(uri: str) -> tuple[str, str]:
    """A campaign's URI as OpenLineage names data sets: the namespace, and the name in it."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")


def openlineage_dataset(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001
    """The asset as OpenLineage names data sets; Airflow calls this for inlets and outlets of the scheme."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, name = dataset_name(asset.uri)
    return Dataset(namespace=namespace, name=name)


def _superfluous(uri: SplitResult) -> str | None:
    parts = {"a user": "@" in uri.netloc, "a port": ":" in uri.netloc, "a query": uri.query, "a fragment": uri.fragment}
    return next((name for name, found in parts.items() if found), None)


def _workspace(given: str) -> str:
    workspace = given.lower()
    if not workspace:
        raise _wrong("has no workspace")
    if not _WORKSPACE.fullmatch(workspace):
        raise _wrong("has a workspace with other characters than letters, digits and, between them, '.', '-' and '_'")
    return workspace


def _id_in(path: str) -> str:
    match path.rstrip("/").split("/"):
        case ["", "campaign", campaign_id]:
            return campaign_id
        case ["", "campaign"]:
            raise _wrong("has no campaign id")
        case ["", "campaign", _, *_]:
            raise _wrong("has a '/' in the campaign's id (write it as %2F)")
    raise _wrong("has another path than that of a campaign")


def _unquoted(campaign_id: str) -> str:
    if _STRAY_PERCENT.search(campaign_id):
        raise _wrong("has a '%' that quotes nothing (write it as %25)")
    try:
        return unquote(campaign_id, errors="strict")
    except UnicodeDecodeError:
        raise _wrong("quotes bytes that are no UTF-8") from None


def _quoted(campaign_id: str) -> str:
    if not campaign_id.strip():
        raise _wrong("has no campaign id")
    # What the client refuses as an id.
    if campaign_id in (".", "..") or "@" in campaign_id or _CONTROL.search(campaign_id):
        raise _wrong("has a campaign id that is a dot, an address, or holds a line break or control character")
    return quote(campaign_id, safe="")


def _wrong(what: str) -> ValueError:
    # Without the URI: a password may be in it.
    return ValueError(f"The asset's URI {what}. Its form: {FORM}")
