"""What a task's outlets are told of its result: Airflow records an event for each of them when the task succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.assets import SCHEME

if TYPE_CHECKING:
    from collections.abc import Sequence


def tell(outlets: Sequence[Any], result: dict[str, Any], events: Any) -> list[Any]:  # noqa: ANN401
    """Put ``result`` into the events of those outlets that are SalesBlink's.

    :param events: the context's ``outlet_events``; None outside a run.
    :return: the outlets that shall have an event: in a dry run nothing happened to those that are SalesBlink's.
    """
    if events is None:
        return list(outlets)
    if result.get("outcome") == "dry_run":
        return [outlet for outlet in outlets if not _is_ours(outlet)]
    for outlet in filter(_is_ours, outlets):
        events[outlet].extra.update(result)
    return list(outlets)


def _is_ours(outlet: object) -> bool:
    return str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://")
