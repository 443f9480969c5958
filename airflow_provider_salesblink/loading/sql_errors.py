"""Errors of database drivers: whether a retry may help, and what to do, without a value of a row."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_REPEATED_ERRORS = frozenset(
    {
        *("ProgrammingError", "DataError", "NotSupportedError", "IntegrityError"),
        *("AttributeError", "ImportError", "LookupError", "NotImplementedError", "TypeError", "ValueError"),
    }
)
"""The errors that the next try would meet again. In the database API, errors have names, but no common base class."""
_MISFITS = frozenset({"ProgrammingError", "LookupError", "TypeError", "ValueError"})
"""The errors that drivers raise themselves where values do not fit the placeholders."""
_NO_SUCH_PLACEHOLDER = "42P02"
_READ_ONLY = "25006"
_LONGEST_REASON = 300
_PERCENT_PLACEHOLDER = re.compile(r"%[sbt(]")
_PERCENT = "write %% for a percent sign"


class QueryFailedError(RuntimeError):
    """The database could not be reached, or failed while it answered. A retry may help."""


@dataclass(frozen=True)
class Advice:
    """What errors say to do.

    :param reason_shown: where the error shows the driver's reason.
    :param reason_hidden: where it does not, because the reason may quote a row.
    :param misfit: where values do not fit the placeholders; None if there are no placeholders.
    :param has_values: whether there are values for placeholders.
    :param are_values_unused: whether there are, and none of the placeholders is one of the driver.
    """

    reason_shown: str = "Correct sql."
    reason_hidden: str = "Run it in the database to see why."
    misfit: str | None = None
    has_values: bool = False
    are_values_unused: bool = False


def advice_for_query(connection: Any, query: str, parameters: Collection[Any] | None) -> Advice:  # noqa: ANN401
    """Return the advice for a query and the values of its placeholders."""
    misfit = f"The values of sql_parameters do not fit the placeholders of sql: {_use(connection)}."
    # Some drivers ignore these values, and the database then sees placeholders that it does not know.
    unused = bool(parameters) and _is_percent(_style(connection)) and not _PERCENT_PLACEHOLDER.search(query)
    return Advice(misfit=misfit, has_values=parameters is not None, are_values_unused=unused)


def advice_for_insert(connection: Any) -> Advice:  # noqa: ANN401
    """Return the advice for a statement that inserts one value."""
    misfit = f"The statement of insert_sql needs one placeholder, for the entry: {_use(connection, has_names=False)}."
    return Advice("Correct insert_sql.", misfit=misfit, has_values=True)


def attempt(
    what: str,
    call: Callable[..., Any],
    *arguments: Any,
    advice: Advice | None = None,
    private: Sequence[str | None] | None = None,
) -> Any:  # noqa: ANN401
    """Call a function of a database's driver.

    :param what: what failed, if it fails.
    :param advice: what to do then.
    :param private: texts that errors must not show. None: errors show the driver's words only about the query itself.
    :raises InvalidInputError: when it fails, and would fail again.
    :raises QueryFailedError: when it fails, and a retry may help.
    """
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001
        failure = _failure(what, error, advice or Advice(), private)
    # Outside of the handler, so that no traceback shows the driver's error: it may quote a row.
    raise failure


def _failure(what: str, error: Exception, advice: Advice, private: Sequence[str | None] | None) -> Exception:
    is_reason_shown = _is_about_query(error) or private is not None
    state = _state(error)
    shown = ", ".join(filter(None, [type(error).__name__, state and f"SQLSTATE {state}"]))
    if is_reason_shown:
        shown = f"{shown}: {_reason(error, private or ())}"
    is_final = _is_about_query(error) or _is_write(error) or bool(_names(error) & _REPEATED_ERRORS)
    remedy = _remedy(error, advice, is_reason_shown=is_reason_shown)
    # A retry alone may help with other errors, but rarely where there is no connection.
    todo = f" {remedy}" if is_final or private is not None else ""
    return (InvalidInputError if is_final else QueryFailedError)(f"{what} ({shown}).{todo} Nothing was sent.")


def _remedy(error: Exception, advice: Advice, *, is_reason_shown: bool) -> str:
    if _is_write(error):
        return "It writes or locks, and sql may only read: pass one SELECT that changes nothing."
    if advice.misfit and _is_misfit(error, advice):
        return advice.misfit
    return advice.reason_shown if is_reason_shown else advice.reason_hidden


def _state(error: Exception) -> str:
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _is_about_query(error: Exception) -> bool:
    # SQLSTATEs of this class are about the query's text, and so is SQLite's general error. As long as SQLite has not
    # read the tables of a file, it says SQLITE_SCHEMA instead: in a query without FROM.
    name = getattr(error, "sqlite_errorname", "")
    is_wrong = name == "SQLITE_ERROR" or (name == "SQLITE_SCHEMA" and str(error) != "database schema has changed")
    return is_wrong or _state(error).startswith("42")


def _is_write(error: Exception) -> bool:
    """Return whether the database refused to write, because the connection may only read."""
    return _state(error) == _READ_ONLY or getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY"


def _is_misfit(error: Exception, advice: Advice) -> bool:
    """Return whether the values do not fit the placeholders, or a placeholder is not one of this driver."""
    text = str(error)
    if _state(error) == _NO_SUCH_PLACEHOLDER:
        return True
    if _is_about_query(error):
        return advice.are_values_unused or 'near "%' in text
    # An error with a number or a state is the database's, and not the driver's own.
    is_of_driver = not _state(error) and len(error.args) <= 1
    return is_of_driver and bool(_names(error) & _MISFITS) and (advice.has_values or "binding" in text)


def _reason(error: Exception, private: Sequence[str | None]) -> str:
    """Return the first line of a driver's error, unless it holds one of the ``private`` texts."""
    line = next(iter(str(error).strip().splitlines()), "")
    is_private = any(secret and secret in line for secret in private)
    return "its text is hidden, because it holds a secret" if is_private else redacted(line)[:_LONGEST_REASON]


def _use(connection: Any, *, has_names: bool = True) -> str:  # noqa: ANN401
    """Return how the placeholders of a connection's driver are written."""
    style = _style(connection)
    if _is_percent(style):
        return f"use {'%s or %(name)s' if has_names else '%s'} for this database; {_PERCENT}"
    if style == "qmark":
        return f"use {'? (in SQLite, also :name)' if has_names else '?'} for this database"
    signs = {"named": ":name", "numeric": ":1"}
    return f"use {signs[style]} for this database" if style in signs else "use those of the database's driver"


def _is_percent(style: str) -> bool:
    return style in ("format", "pyformat")


def _style(connection: Any) -> str:  # noqa: ANN401
    """Return the ``paramstyle`` of a connection's driver; nothing if it does not say."""
    parts = type(connection).__module__.split(".")
    packages = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(filter(None, (getattr(sys.modules.get(name), "paramstyle", "") for name in packages)), "")
