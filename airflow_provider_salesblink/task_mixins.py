"""What operators and sensors share: the hook, masking of personal data, and which errors fail a task at once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowNotFoundException, mask_secret

from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.template_rendering import PrivateTemplates

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

USUAL_WAIT = 60.0
"""Seconds to wait after a 429 that names no time: SalesBlink's limits are per minute."""

_NO_ALERTS = {"email_on_failure": False, "email_on_retry": False}


class SalesBlinkTaskMixin(PrivateTemplates):
    """A mixin for operators and sensors; it comes before Airflow's base class."""

    salesblink_conn_id: str

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        # Airflow logs the rendered values and shows them to every user of its UI. This is the only place that sees
        # them before that for mapped and for ordinary tasks; tests/airflow/test_privacy.py fails if Airflow changes it.
        try:
            super()._do_render_template_fields(*args, **kwargs)
        finally:
            self.mask_personal_data()

    def mask_personal_data(self) -> None:
        """Mask the addresses in the rendered arguments, so that Airflow's log and UI do not show them."""
        names = cast("BaseOperator", self).template_fields
        _mask_addresses([getattr(self, name, None) for name in names])

    @cached_property
    def hook(self) -> SalesBlinkHook:
        """Return the hook of this task's connection."""
        return SalesBlinkHook(self.salesblink_conn_id)


class PersonEmailMixin:
    """A mixin for tasks whose ``email`` is the address of the person they are about.

    Airflow's own tasks have an argument ``email`` too: the recipient of its alert mails, which ``default_args`` passes
    to every task. A person in a campaign must not get alert mails, and the task must not act on the recipient of the
    alerts. So alert mails are off for these tasks; use callbacks or notifiers instead.

    :param email: the person's address.
    """

    missing_email_hint = ""
    """A sentence to append to the error when there is no ``email``."""
    _email_is_given = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG004
        """Note whether the DAG passes ``email``; later, Airflow has filled in ``default_args``."""
        made = super().__new__(cls)
        object.__setattr__(made, "_email_is_given", "email" in kwargs)
        return made

    def __init__(self, *, email: str | None = None, **kwargs: Any) -> None:
        is_default = email is not None and email == (kwargs.get("default_args") or {}).get("email")
        super().__init__(**{**kwargs, **_NO_ALERTS, "email": None})
        self.email = email
        if is_default and not self._email_is_given:
            # Either Airflow filled it in, or a subclass passes on the same address: nothing here can say which.
            self.email = None
            self.missing_email_hint = (
                " The email that the task got equals default_args['email'], which Airflow passes to every task as the "
                "recipient of alert mails, so it is not used. If it is the person, pass email= to the operator itself."
            )

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the task with some of its arguments, to be mapped over others with ``expand``."""
        made = super().partial(**kwargs)  # type: ignore[misc]
        if "email" not in kwargs:
            # Airflow put the recipient of the alerts there, which would make expand(email=...) fail.
            made.kwargs.pop("email", None)
        made.kwargs.update(_NO_ALERTS)
        return made


def permanent_error_message(error: Exception, conn_id: str) -> str | None:
    """Return the message for a task that must fail at once because ``error`` would repeat; None for a temporary one."""
    if isinstance(error, AirflowNotFoundException):
        return (
            f"There is no connection {conn_id!r}: create one of type SalesBlink, or set salesblink_conn_id to one that "
            f"exists. If it is the environment variable AIRFLOW_CONN_{conn_id.upper()}, Airflow could not read it: it "
            "must be JSON, with the extras under 'extra'."
        )
    if isinstance(error, InvalidConnectionError) or getattr(error, "permanent", False):
        return str(error)
    return None


def _mask_addresses(value: object) -> None:
    from airflow_provider_salesblink.client.redaction import find_addresses

    match value:
        case str():
            for address in find_addresses(value):
                mask_secret(address)
        case dict():
            _mask_addresses([*value.keys(), *value.values()])
        case list() | tuple():
            for each in value:
                _mask_addresses(each)
