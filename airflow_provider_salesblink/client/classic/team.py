"""The team of the classic API (``/api/my-team``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.classic import decoding

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.records import TeamMember
    from airflow_provider_salesblink.client.requestor import Requestor


class Team:
    """The key owner's team."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self) -> list[TeamMember]:
        """Return the members of the team, in the API's order (``GET /my-team``).

        :raises PermissionDeniedError: the key does not belong to an administrator.
        """
        return self._requestor.read("my-team").decoded(decoding.team)
