"""The operator for the team that the key belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.operators.base import SalesBlinkOperator, outcome
from airflow_provider_salesblink.operators.files import check_path, write_records

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from airflow_provider_salesblink.client import SalesBlinkClient


class ListMembersOperator(SalesBlinkOperator):
    """List the members of the team that the key belongs to.

    XCom: ``outcome`` "found", ``count``, and ``path`` if ``output_path`` is set. Names and addresses go only into the
    file.

    :param output_path: the file to write the members to, one JSON object per line (any object storage; templated).
    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s.
    """

    template_fields: Sequence[str] = ("output_path", "salesblink_conn_id")

    def __init__(self, *, output_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path: str | None = path_text(output_path)

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """List the members, and write them to the file."""
        check_path(self.output_path)
        members = client.team.list()
        return outcome("found", count=len(members), **write_records(self.output_path, members))
