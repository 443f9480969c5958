"""Stand in for what only SalesBlink's API v1 has, so that using it on the classic API is an error that says so."""

from __future__ import annotations

from typing import NoReturn

from airflow_provider_salesblink.client.errors import UnsupportedByApiError


class Unsupported:
    """Stands in for an attribute of the client, for example ``client.lists``, that the classic API does not have.

    :param name: the attribute's name on the client.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        """Raise an error that names the attribute and says what to set.

        :raises UnsupportedByApiError: for every public attribute.
        """
        if attribute.startswith("_"):
            # Python itself asks for these, for example to copy the object.
            raise AttributeError(attribute)
        raise UnsupportedByApiError(
            f"The connection uses SalesBlink's classic API, which does not have {self._name}.{attribute}; nothing was "
            "sent. Set the connection's extra api_version to 'v1'."
        )

    def __repr__(self) -> str:
        return f"Unsupported({self._name!r})"
