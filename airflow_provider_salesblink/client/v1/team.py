"""The team of the API v1 (``/api/public/v1.0.0/users``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import PermissionDeniedError

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.records import TeamMember
    from airflow_provider_salesblink.client.v1.users import Users

_OWN_KEY = " (Me)"
"""SalesBlink appends this to the name of the user whose key it is."""


class Team:
    """The key owner's team."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def list(self) -> list[TeamMember]:
        """Return the members of the team, in the API's order (``GET /users``).

        :raises PermissionDeniedError: SalesBlink returns nobody, which it does for users who may not see the team.
        """
        found = self._users.list()
        if not found:
            raise PermissionDeniedError(
                "SalesBlink shows no members of the team: it shows them to owners, administrators and clients only. "
                "Use the key of one of them.",
                method="GET", path="/users",
            )  # fmt: skip
        return [_member(each) for each in found]


def _member(user: dict[str, Any]) -> TeamMember:
    name, email = user.get("name"), user.get("email")
    return {
        "name": name.removesuffix(_OWN_KEY) if isinstance(name, str) else None,
        "email": email if isinstance(email, str) else None,
        "raw": user,
    }
