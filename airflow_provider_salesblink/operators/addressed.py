"""Operators whose ``email`` is the person they act on.

Airflow's own operators have an argument of that name too: who is told by mail when a task fails. A person from a
campaign must not get that mail, nor may the alert's recipients, whom ``default_args`` hands to every task, be taken for
the person. So the alert mails are off here; callbacks and notifiers do the same job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_salesblink.operators.base import SalesBlinkOperator

if TYPE_CHECKING:
    from airflow_provider_salesblink.client import Prospect, SalesBlinkClient

_NO_ALERTS = {"email_on_failure": False, "email_on_retry": False}


class AddressedOperator(SalesBlinkOperator):
    """A task that acts on the person with an address.

    :param email: the person's address.
    """

    def __init__(self, *, email: str | None = None, **kwargs: Any) -> None:
        # Airflow fills in what is left out; someone who is both the person and the alert's recipient is nobody.
        is_alert_recipient = email is not None and email == (kwargs.get("default_args") or {}).get("email")
        super().__init__(**{**kwargs, **_NO_ALERTS, "email": None})
        self.email = None if is_alert_recipient else email

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:  # noqa: ANN401
        """The operator with some of its arguments, to be mapped over others with ``expand``."""
        made = super().partial(**kwargs)
        if "email" not in kwargs:
            # What Airflow put there is the alert's recipients, and it would keep expand(email=...) from working.
            made.kwargs.pop("email", None)
        made.kwargs.update(_NO_ALERTS)
        return made

    def of_address(self, client: SalesBlinkClient) -> list[Prospect]:
        """Every prospect with the address.

        :raises NotFoundError: there is none.
        """
        from airflow_provider_salesblink.client import NotFoundError

        found = client.prospects.search(cast("str", self.email))
        if not found:
            raise NotFoundError("No prospect has this address. Check it, and that the key's user may see the campaign.")
        return found
