"""The people who use SalesBlink, and their workspaces (``/users`` and ``/workspaces``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.v1 import decoding

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json


class Users:
    """Calls about users."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self) -> list[Json]:
        """Return the users of the workspace (``GET /users``, which has no pages).

        The list is empty if the key belongs to a plain user or a developer.
        """
        return self._requestor.read("users").decoded(decoding.items)


class Workspaces:
    """Calls about workspaces."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self) -> list[Json]:
        """Return the workspaces of an owner (``GET /workspaces``, which has no pages).

        :raises PermissionDeniedError: the key does not belong to an owner.
        """
        return self._requestor.read("workspaces").decoded(decoding.items)
