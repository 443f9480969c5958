"""The hook: an Airflow connection becomes a client."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_salesblink import connection_form
from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.executors import refusal_of_adds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.client.probe import Finding


class SalesBlinkHook(BaseHook):
    """SalesBlink through an Airflow connection.

    :param salesblink_conn_id: the connection of type ``salesblink``: its password is the API key, its host the root
        URL (empty: SalesBlink's own), its extras are those of :data:`connection_form.FIELDS`.
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
        """The form's own fields, for Airflow up to 3.1."""
        return connection_form.form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the form's standard fields look, for Airflow up to 3.1."""
        return connection_form.field_behaviour()

    def get_conn(self) -> SalesBlinkClient:
        """The client of this connection; the same one each time.

        :raises InvalidConnectionError: the connection holds no key, an unknown extra or a value that is none.
        """
        return self._client

    @cached_property
    def _client(self) -> SalesBlinkClient:
        return self.client_of(self.get_connection(self.salesblink_conn_id))

    def client_of(self, connection: Connection, **changed: Any) -> SalesBlinkClient:
        """A new client of a connection that is fetched already, as asynchronous code does; the caller closes it.

        :param connection: this hook's connection.
        :param changed: arguments of the client that differ from what the connection says.
        :raises InvalidConnectionError: as :meth:`get_conn`.
        """
        from airflow_provider_salesblink.client import InvalidInputError, SalesBlinkClient

        arguments = self._client_arguments(connection)
        try:
            return SalesBlinkClient(**{**arguments, **changed})
        except InvalidInputError as error:
            raise InvalidConnectionError(f"Connection {self.salesblink_conn_id!r}: {error}") from error

    def _client_arguments(self, connection: Connection) -> dict[str, Any]:
        if not connection.password:
            raise InvalidConnectionError(
                f"Connection {self.salesblink_conn_id!r} has no API key: create one under Integrations in SalesBlink "
                "and put it into the connection's API key field (password)."
            )
        settings = connection_form.settings(self._extras(connection), conn_id=self.salesblink_conn_id)
        return {
            "api_key": connection.password,
            "base_url": _root_url(connection),
            "key_name": f"the key of connection {self.salesblink_conn_id!r}",
            "adds_refused": "" if settings.get("pacing_url") else refusal_of_adds(self.salesblink_conn_id),
            **settings,
        }

    def _extras(self, connection: Connection) -> dict[str, Any]:
        try:
            extras = json.loads(connection.extra or "{}")
        except ValueError:
            extras = None
        if not isinstance(extras, dict):
            raise InvalidConnectionError(f"Connection {self.salesblink_conn_id!r}: the extra is no JSON object.")
        return extras

    def test_connection(self) -> tuple[bool, str]:
        """Whether the key works, and in one sentence which of SalesBlink's APIs answer to it or what is wrong.

        Sends one read to each API, outside the budget.
        """
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.client.probe import probe

        try:
            asked = self._client_arguments(self.get_connection(self.salesblink_conn_id))
            findings = probe(
                asked["api_key"],
                asked["base_url"],
                timeout=asked.get("timeout", 30),
                verify_tls=asked.get("verify_tls", True),
            )
        except (InvalidConnectionError, InvalidInputError) as error:
            return False, str(error)
        return _in_one_sentence(findings, asked.get("api_version", "classic"))


def _root_url(connection: Connection) -> str:
    """The root URL in whichever of the ways that Airflow has of writing one: a URL, or host, port and scheme."""
    host = (connection.host or "").strip()
    if not host:
        return connection_form.DEFAULT_ROOT_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    if connection.port and urlsplit(host).port is None:
        host = f"{host.rstrip('/')}:{connection.port}"
    return host


def _in_one_sentence(findings: list[Finding], wanted: str) -> tuple[bool, str]:
    chosen = next(finding for finding in findings if finding.version == wanted)
    others = [finding for finding in findings if finding is not chosen]
    if chosen.error is None:
        return True, f"SalesBlink took the key: its API {wanted!r} answers ({'; '.join(map(str, others))})."
    answering = [finding.version for finding in others if finding.error is None]
    return False, f"{chosen.error} {f'Its API {answering[0]!r} does answer.' if answering else ''}".rstrip()
