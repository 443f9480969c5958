"""What operators and sensors have in common: the hook, people kept out of sight, and which errors end a task."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowNotFoundException, mask_secret

from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.rendering import PrivateTemplates

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

USUAL_WAIT = 60.0
"""Seconds to wait after a 429 that does not say how long: SalesBlink's limits are per minute."""

_NO_ALERTS = {"email_on_failure": False, "email_on_retry": False}


class SalesBlinkTask(PrivateTemplates):
    """Mixed into Airflow's classes of tasks, before them."""

    salesblink_conn_id: str

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        # Airflow logs what it rendered and shows it to every user of its UI. Only here are both the rendered values
        # of a mapped task and those of any other seen before that; tests/airflow/test_privacy.py watches it.
        try:
            super()._do_render_template_fields(*args, **kwargs)
        finally:
            self.mask_personal_data()

    def mask_personal_data(self) -> None:
        """Keep the people among the rendered arguments out of Airflow's log and UI."""
        names = cast("BaseOperator", self).template_fields
        _mask_addresses([getattr(self, name, None) for name in names])

    @cached_property
    def hook(self) -> SalesBlinkHook:
        """The hook of this task's connection."""
        return SalesBlinkHook(self.salesblink_conn_id)


class Addressed:
    """Mixed into tasks whose ``email`` is the person they are about.

    Airflow's own tasks have an argument of that name too: who gets a mail when a task fails. A person from a campaign
    must not get that mail, and the recipients of the alerts, which ``default_args`` give to every task, are not the
    person. So the alert mails are off here; callbacks and notifiers do the same job.

    :param email: the person's address.
    """

    hint = ""
    """What to say where no ``email`` came."""
    _email_is_given = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG004
        """Note whether ``email`` is given: only here is that seen before Airflow fills in ``default_args``."""
        made = super().__new__(cls)
        object.__setattr__(made, "_email_is_given", "email" in kwargs)
        return made

    def __init__(self, *, email: str | None = None, **kwargs: Any) -> None:
        is_default = email is not None and email == (kwargs.get("default_args") or {}).get("email")
        super().__init__(**{**kwargs, **_NO_ALERTS, "email": None})
        self.email = email
        if is_default and not self._email_is_given:
            # Airflow's doing, or that of a subclass which passes on the same address: that cannot be known.
            self.email = None
            self.hint = (
                " An email came that equals default_args['email'], which Airflow passes to every task: it is taken for "
                "the recipient of alert mails. If it is the person, give email= where the task is made."
            )

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:  # noqa: ANN401
        """The task with some of its arguments, to be mapped over others with ``expand``."""
        made = super().partial(**kwargs)  # type: ignore[misc]
        if "email" not in kwargs:
            # What Airflow put there is the alert's recipients, and it would keep expand(email=...) from working.
            made.kwargs.pop("email", None)
        made.kwargs.update(_NO_ALERTS)
        return made


def permanent_error_message(error: Exception, conn_id: str) -> str | None:
    """What to say when ``error`` ends a task at once, since it would come again; None where it may pass."""
    if isinstance(error, AirflowNotFoundException):
        return (
            f"There is no connection {conn_id!r}: create one of type SalesBlink, or say with salesblink_conn_id which "
            "one to use. If it is an environment variable, Airflow could not read it: it takes JSON, with extras under "
            "'extra'."
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
