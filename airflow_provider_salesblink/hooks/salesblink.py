"""The hook: it turns an Airflow connection into a SalesBlink client."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.executor_check import why_adds_are_refused

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.client.probe import Finding


class SalesBlinkHook(BaseHook):
    """A hook that creates SalesBlink clients from an Airflow connection.

    :param salesblink_conn_id: a connection of type ``salesblink``. Its password is the API key, its host the root URL
        (empty: SalesBlink's own), and its extras are those of :data:`connection_form.FIELDS`.
    """

    conn_name_attr = "salesblink_conn_id"
    default_conn_name = connection_form.DEFAULT_CONN_ID
    conn_type = connection_form.CONN_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, salesblink_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.salesblink_conn_id = salesblink_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields, for Airflow up to 3.1."""
        return connection_form.form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form shows the standard fields, for Airflow up to 3.1."""
        return connection_form.field_behaviour()

    def get_conn(self) -> SalesBlinkClient:
        """Return the client of this connection; the same one each time.

        :raises InvalidConnectionError: the connection has no key, an unknown extra or an invalid value.
        """
        return self._client

    @cached_property
    def _client(self) -> SalesBlinkClient:
        return self.client_of(self.get_connection(self.salesblink_conn_id))

    def client_of(self, connection: Connection, **changed: Any) -> SalesBlinkClient:
        """Return a new client for a connection that the caller has already fetched, as async code does.

        The caller closes the client.

        :param connection: this hook's connection.
        :param changed: arguments of the client that replace those from the connection.
        :raises InvalidConnectionError: see :meth:`get_conn`.
        """
        from airflow_provider_salesblink.airflow_metrics import AirflowMetrics
        from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkClient

        arguments = self._client_arguments(connection)
        observer = AirflowMetrics(arguments.get("api_version", "classic"))
        try:
            return SalesBlinkClient(**{"observer": observer, **arguments, **changed})
        except InvalidInputError as error:
            raise InvalidConnectionError(f"Connection {self.salesblink_conn_id!r}: {error}") from error

    def _client_arguments(self, connection: Connection) -> dict[str, Any]:
        if not connection.password:
            raise InvalidConnectionError(
                f"Connection {self.salesblink_conn_id!r} has no API key: create one under Integrations in SalesBlink "
                "and put it into the connection's API key field (password)."
            )
        settings = connection_form.settings(self._extras(connection), conn_id=self.salesblink_conn_id)
        if "hash_key" in settings:
            # Airflow masks the password of a connection by itself, and extras by their names only.
            mask_secret(settings["hash_key"])
        return {
            "api_key": connection.password,
            "base_url": _root_url(connection),
            "key_name": f"the key of connection {self.salesblink_conn_id!r}",
            "adds_refused": "" if settings.get("pacing_url") else why_adds_are_refused(self.salesblink_conn_id),
            **settings,
        }

    def _extras(self, connection: Connection) -> dict[str, Any]:
        try:
            extras = json.loads(connection.extra or "{}")
        except ValueError:
            extras = None
        if not isinstance(extras, dict):
            raise InvalidConnectionError(f"Connection {self.salesblink_conn_id!r}: the extra is not a JSON object.")
        return extras

    def address_hash(self, email: str) -> str:
        """Return the keyed hash of an address, in hexadecimal: ``person`` in the outcomes file of a load.

        :raises InvalidConnectionError: see :meth:`get_conn`.
        :raises InvalidInputError: ``email`` is not an address.
        """
        return self.get_conn().address_hash(email)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the key works, and which of SalesBlink's APIs accept it, or what is wrong and what to set.

        Sends one read to each API, which the rate limit does not count.
        """
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.client.probe import probe

        try:
            arguments = self._client_arguments(self.get_connection(self.salesblink_conn_id))
            findings = probe(
                arguments["api_key"],
                arguments["base_url"],
                timeout=arguments.get("timeout", 30),
                verify_tls=arguments.get("verify_tls", True),
            )
        except (InvalidConnectionError, InvalidInputError) as error:
            return False, str(error)
        return _as_sentence(findings, arguments.get("api_version", "classic"))


def _root_url(connection: Connection) -> str:
    """Return the root URL from the connection, which holds either a URL or a host, a port and a scheme."""
    host = (connection.host or "").strip()
    if not host:
        return connection_form.DEFAULT_ROOT_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    if connection.port and urlsplit(host).port is None:
        host = f"{host.rstrip('/')}:{connection.port}"
    return host


def _as_sentence(findings: list[Finding], wanted: str) -> tuple[bool, str]:
    chosen = next(finding for finding in findings if finding.version == wanted)
    other = next(finding for finding in findings if finding.version != wanted)
    if chosen.error is None:
        return True, f"SalesBlink accepted the key: its API {wanted!r} answers ({other}).{_choice(chosen, other)}"
    return False, f"{chosen.error}{_choice(chosen, other)}"


def _choice(chosen: Finding, other: Finding) -> str:
    """Return what to set, if there is a choice."""
    from airflow_provider_salesblink.client.probe import what_to_set

    if not other.answers:
        return ""
    if chosen.answers:
        return (
            f" This connection uses {chosen.version!r}. To use the other API, set its extra api_version to "
            f"{other.version!r}."
        )
    return f" Its API {other.version!r} does answer. {what_to_set(other.version)}"
