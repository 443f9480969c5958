"""The account that the key belongs to (``/account``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import UnreadableResponseError
from airflow_provider_salesblink.client.v1 import decoding

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.requestor import Requestor
    from airflow_provider_salesblink.client.v1.decoding import Json


class Account:
    """Calls about the account. Each raises a subclass of :class:`SalesBlinkError` if it fails."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def verify(self) -> Json:
        """Check the key and return what SalesBlink shows of its account (``GET /account/verify``).

        SalesBlink promises no details, so the result may be empty. Other clients read ``account`` and ``user``.

        :raises AuthenticationError: the key is wrong.
        :raises UnreadableResponseError: the answer does not say that the key is right.
        """
        return self._requestor.read("account", "verify").decoded(_verified)


def _verified(body: object) -> Json:
    if not (isinstance(body, dict) and body.get("success") is True):
        raise UnreadableResponseError(
            "The answer does not say that the key is right. "
            "Check the root URL: something other than the SalesBlink API may have answered."
        )
    return decoding.acknowledged(body)
