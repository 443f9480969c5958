"""What OpenLineage reports of a load: data goes from a file or tables to ``salesblink://``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.assets import SCHEME, campaign_uri, dataset_name

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import OutputDatasetFacet

    from airflow_provider_salesblink.operators.databases import Query


def of_load(
    *,
    campaign: str,
    rows_path: str | None,
    query: Callable[[], Query] | None,
    inlets: Iterable[object],
    result: Mapping[str, Any],
) -> OperatorLineage[Any, Any]:
    """Return what a load read and wrote.

    :param campaign: the campaign's URI, as :func:`campaign_of` returns it.
    :param rows_path: the file that the rows came from, or None.
    :param query: returns the query that the rows came from, or None. Its text is not reported: it may name people.
    :param inlets: the task's inlets, which say where the rows came from if nothing else does.
    :param result: what the task leaves in XCom; empty if it failed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    read = [_file(rows_path)] if rows_path is not None else _tables(query)
    outputs = [] if result.get("outcome") == "dry_run" else [_campaign(campaign, result)]
    outputs += [_file(result[name]) for name in ("rejected_path", "outcomes_path") if result.get(name)]
    return OperatorLineage(inputs=read or _declared(inlets), outputs=outputs)


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


def _tables(query: Callable[[], Query] | None) -> list[Dataset]:
    """Return the tables that a query reads; none if they cannot be found out."""
    if query is None:
        return []
    try:
        found = _parsed(query())
    except Exception as error:  # noqa: BLE001
        # The load is done: what else it reports must not be lost for this. The error may quote the query.
        log.warning("OpenLineage cannot find out which tables the query reads (%s).", type(error).__name__)
        return []
    if not found:
        log.info("OpenLineage does not find out which tables the query reads: inlets can say it.")
    return found


def _parsed(query: Query) -> list[Dataset]:
    from airflow.providers.openlineage.sqlparser import SQLParser

    from airflow_provider_salesblink.operators.databases import database_hook

    hook = database_hook(query.conn_id)
    connection = hook.get_connection(query.conn_id)
    database = hook.get_openlineage_database_info(connection)
    if database is None:
        return []
    parser = SQLParser(hook.get_openlineage_database_dialect(connection), hook.get_openlineage_default_schema())
    text = query.without_placeholders()
    return list(parser.generate_openlineage_metadata_from_sql(text, hook, database, use_connection=False).inputs)


def _declared(inlets: Iterable[object]) -> list[Dataset]:
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    found = map(ExtractorManager.convert_to_ol_dataset, inlets)
    return [each for each in found if each is not None]
