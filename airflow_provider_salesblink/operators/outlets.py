"""What a task's outlets get of its result: Airflow records an event for each of them when the task succeeds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.assets import SCHEME

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


def tell(outlets: Sequence[Any], result: dict[str, Any], events: Any) -> list[Any]:  # noqa: ANN401
    """Put ``result`` into the events of those outlets that are SalesBlink's, however they are referenced.

    :param events: the context's ``outlet_events``; None outside a run.
    :return: the outlets that shall have an event: in a dry run nothing happened to those that are SalesBlink's.
    """
    if events is None:
        return list(outlets)
    ours = [_is_uri(_uri_of(outlet, events)) for outlet in outlets]
    of_aliases = [each for outlet in outlets for each in _added_to_alias(outlet, events)]
    if result.get("outcome") == "dry_run":
        for added, event in of_aliases:
            added.remove(event)
        return [outlet for outlet, is_ours in zip(outlets, ours, strict=True) if not is_ours]
    for outlet, is_ours in zip(outlets, ours, strict=True):
        if is_ours:
            events[outlet].extra.update(result)
    for _, event in of_aliases:
        _extra_of(event).update(result)
    return list(outlets)


def _uri_of(outlet: Any, events: Any) -> str:  # noqa: ANN401
    if hasattr(outlet, "uri") or not _is_reference(outlet):
        return str(getattr(outlet, "uri", ""))
    try:
        # Only Airflow knows which asset has the name.
        return str(events[outlet].key.uri)
    except Exception as error:  # noqa: BLE001
        # The people are in; a retry for the sake of an event would not be worth it.
        log.warning("The outlet %r could not be looked up (%s).", outlet, type(error).__name__)
        return ""


def _is_reference(outlet: object) -> bool:
    # Airflow 3 only: Asset.ref(name=...), Asset.ref(uri=...).
    return type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")


def _added_to_alias(outlet: Any, events: Any) -> list[tuple[list[Any], Any]]:  # noqa: ANN401
    """Return the events of SalesBlink's assets that were added to an alias, each with the list that it is in."""
    if type(outlet).__name__ not in ("AssetAlias", "DatasetAlias"):
        return []
    accessor = events[outlet]
    added = getattr(accessor, "asset_alias_events", None) or getattr(accessor, "dataset_alias_events", [])
    return [(added, event) for event in added if _is_uri(_target_of(event))]


def _target_of(event: Any) -> str:  # noqa: ANN401
    # A dict in Airflow 2.
    return str(event["dest_dataset_uri"] if isinstance(event, dict) else event.dest_asset_key.uri)


def _extra_of(event: Any) -> dict[str, Any]:  # noqa: ANN401
    extra: dict[str, Any] = event["extra"] if isinstance(event, dict) else event.extra
    return extra


def _is_uri(uri: str) -> bool:
    return uri.startswith(f"{SCHEME}://")
