"""The operator for the team behind the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.arguments import path_text
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, outcome
from airflow_provider_salesblink.operators.files import check_path, write_records

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


class ListMembersOperator(SalesBlinkOperator):
    """List the members of the key's team.

    XCom: ``outcome`` "found", ``count``, and ``path`` where one is given. The members themselves, who are people
    with addresses, go only into the file.

    :param output_path: where to write the members, one JSON object a line (templated; any object storage).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds to be deferred after 429s.
    """

    template_fields: Sequence[str] = ("output_path", "salesblink_conn_id")

    def __init__(self, *, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path: str | None = path_text(output_path)

    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """List the team."""
        check_path(self.output_path)
        members = client.team.list()
        return outcome("found", count=len(members), **write_records(self.output_path, members))
