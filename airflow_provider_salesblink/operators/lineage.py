"""What OpenLineage reports of a load: data goes from a file or table to ``salesblink://``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.assets import SCHEME, campaign_uri, dataset_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import OutputDatasetFacet


def of_load(
    *,
    campaign: str,
    rows_path: str | None,
    inlets: Iterable[object],
    result: Mapping[str, Any],
) -> OperatorLineage[Any, Any]:
    """Return what a load read and wrote.

    :param campaign: the campaign's URI, as :func:`campaign_of` returns it.
    :param rows_path: the file that the rows came from; None if they came as a list.
    :param inlets: the task's inlets, which say where the rows of a list came from.
    :param result: what the task leaves in XCom; empty if it failed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs = [_file(rows_path)] if rows_path is not None else _declared(inlets)
    outputs = [] if result.get("outcome") == "dry_run" else [_campaign(campaign, result)]
    outputs += [_file(result[name]) for name in ("rejected_path", "outcomes_path") if result.get(name)]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def campaign_of(outlets: Iterable[object], campaign_id: str, conn_id: str) -> str:
    """Return the campaign's URI: that of a matching outlet, or else one with the connection's id as the workspace."""
    uris = [str(getattr(outlet, "uri", "")) for outlet in outlets]
    ours = [uri for uri in uris if uri.startswith(f"{SCHEME}://")]
    by_workspace = {uri: _uri(urlsplit(uri).netloc, campaign_id) for uri in ours}
    return next((uri for uri, same in by_workspace.items() if uri == same), _uri(conn_id, campaign_id))


def _uri(workspace: str, campaign_id: str) -> str:
    try:
        return campaign_uri(workspace, campaign_id)
    except ValueError:
        # The id of a connection may have characters that a workspace may not have.
        return campaign_uri("default", campaign_id)


def _campaign(uri: str, result: Mapping[str, Any]) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset, OutputStatisticsOutputDatasetFacet

    namespace, name = dataset_name(uri)
    written = sum(result.get(what, 0) for what in ("added", "updated", "unsubscribed"))
    facets: dict[str, OutputDatasetFacet] = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=written)}
    return OutputDataset(namespace=namespace, name=name, outputFacets=facets if result else {})


def _file(path: str) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    where = ObjectStoragePath(path_text(path))
    if where.bucket:
        return Dataset(namespace=where.namespace, name=where.key)
    return Dataset(namespace="file", name=where.path)


def _declared(inlets: Iterable[object]) -> list[Dataset]:
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    found = map(ExtractorManager.convert_to_ol_dataset, inlets)
    return [each for each in found if each is not None]
