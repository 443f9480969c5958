"""Queries that return people: read them through the Airflow connection of any database that has a ``DbApiHook``."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, BaseHook

from airflow_provider_salesblink.argument_types import json_argument
from airflow_provider_salesblink.operators.query_text import EXTRA, one_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_salesblink.loading.rows import Source

_SHORTEST_SECRET = 8
"""Characters. Shorter values of a connection's extras are words such as "require"."""


@dataclass(frozen=True)
class Query:
    """A query, and the connection that runs it.

    :param text: one SELECT.
    :param parameters: the values of its placeholders, as the driver takes them.
    """

    conn_id: str
    text: str
    parameters: list[Any] | tuple[Any, ...] | dict[str, Any] | None

    @classmethod
    def of(cls, sql: object, sql_conn_id: str | None, sql_parameters: object) -> Query:
        """Return the query of an operator's arguments.

        :raises AirflowFailException: one of them is missing or wrong. No error shows the query.
        """
        if sql_conn_id is None or not sql_conn_id.strip():
            raise AirflowFailException("sql needs sql_conn_id: the Airflow connection of the database.")
        return cls(sql_conn_id, one_query(sql), _parameters(sql_parameters))

    def without_placeholders(self) -> str:
        """Return the text with NULL in place of each placeholder, for a parser of plain SQL."""
        if self.parameters is None:
            return self.text
        from sqlparse import lexer, tokens

        found = lexer.tokenize(self.text.replace("%%", "%"))  # type: ignore[no-untyped-call]
        return "".join("NULL" if kind in tokens.Name.Placeholder else value for kind, value in found)

    @contextmanager
    def open(self, columns: Mapping[str, str] | None, opt_out_columns: Iterable[str] | None) -> Iterator[Source]:
        """Run the query and return its rows.

        :param columns: the query's column names to SalesBlink's; None for all columns as they are.
        :param opt_out_columns: the columns that say who opted out.
        :raises AirflowFailException: the connection is not one of a database.
        :raises InvalidInputError: the query is wrong.
        :raises QueryFailedError: the database cannot be reached, or fails; a retry may help.
        """
        from airflow_provider_salesblink.loading.rows import ColumnNames, from_query

        names = ColumnNames(columns, opt_out_columns)
        with closing(from_query(self.connect(), self.text, self.parameters, names)) as source:
            yield source

    def connect(self) -> Any:  # noqa: ANN401
        """Return an open connection of the database's driver.

        :raises AirflowFailException: the connection is not one of a database.
        :raises QueryFailedError: the database cannot be reached; a retry may help.
        """
        from airflow_provider_salesblink.loading.sql_errors import Advice, attempt

        hook = database_hook(self.conn_id)
        what = f"The database of connection {self.conn_id!r} cannot be reached"
        advice = Advice("Check the connection's host, port and schema.")
        return attempt(what, hook.get_conn, advice=advice, private=_secrets(hook.get_connection(self.conn_id)))


def database_hook(conn_id: str) -> DbApiHook:
    """Return the hook of a database's connection.

    :raises AirflowFailException: there is no such connection, it is not one of a database, or a package is missing.
    """
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        raise AirflowFailException(f"sql needs a package that is not installed: {EXTRA}.") from None
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise AirflowFailException(
            f"There is no connection {conn_id!r}: create it, or set sql_conn_id to one that exists."
        ) from None
    kind = f"Connection {conn_id!r} has the type {connection.conn_type!r}"
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  # Airflow raises its bare exception for a type that it does not know
        raise AirflowFailException(
            f"{kind}, for which Airflow finds no hook ({type(error).__name__}): install the Airflow provider of the "
            "database, with its driver, on every worker."
        ) from None
    if not isinstance(hook, DbApiHook):
        raise AirflowFailException(f"{kind}, which is not a database: set sql_conn_id to the connection of a database.")
    return hook


def _parameters(given: object) -> Any:  # noqa: ANN401
    if isinstance(given, str):
        if not given.lstrip().startswith(("{", "[")):
            raise AirflowFailException(
                'sql_parameters is a text: pass a list, such as ["eu"], or a dict, such as {"region": "eu"}.'
            )
        given = json_argument("sql_parameters", given, dict if given.lstrip().startswith("{") else list)
    if given is None or isinstance(given, list | tuple | dict):
        return given
    raise AirflowFailException(
        f"sql_parameters is a {type(given).__name__}: pass a list or a dict, as the driver does."
    )


def _secrets(connection: Any) -> list[str]:  # noqa: ANN401
    """Return what no error may show of a connection: its password, and longer values of its extras."""
    password = connection.password or ""
    extras = [each for each in connection.extra_dejson.values() if isinstance(each, str)]
    return [password, quote(password, safe=""), *(each for each in extras if len(each) >= _SHORTEST_SECRET)]
