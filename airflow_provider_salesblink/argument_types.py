"""Convert arguments that arrive in another type: an id as a number, a path as an object, a list as JSON text."""

from __future__ import annotations

import json
import os
from numbers import Integral
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

TEXTS = frozenset(
    {
        *("campaign_id", "lead_id", "list_id", "prospect_id", "sequence_id", "salesblink_conn_id", "sql_conn_id"),
        *("campaign_name", "list_name", "name", "term", "email", "entry", "endpoint", "status", "path"),
    }
)
"""Template fields whose value is text, in addition to those whose name ends in ``_path``."""

_FOR_A_FILE = {"rows": " For the path of a file, use rows_path."}
_WORDS = {dict: ("an object", "{"), list: ("an array", "[")}


def digits(value: Any) -> Any:  # noqa: ANN401
    """Return a whole number as text, anything else as it is.

    ``render_template_as_native_obj=True`` turns an id that consists of digits into a number.
    """
    return str(value) if not isinstance(value, bool) and isinstance(value, Integral) else value


def path_text(value: Any) -> Any:  # noqa: ANN401
    """Return a path object (``Path``, ``ObjectStoragePath``) as its text, anything else as it is."""
    # Not at the top: triggers import this module, and on Airflow 2.11 this import is slow.
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if isinstance(value, ObjectStoragePath):
        # str() includes the connection, os.fspath() does not.
        return str(value)
    return os.fsdecode(value) if isinstance(value, os.PathLike) else value


def normalize_arguments(task: Any) -> None:  # noqa: ANN401
    """Turn the ids and paths of an operator, a sensor or a notifier into text.

    :raises AirflowFailException: one of them is not text and cannot be converted.
    """
    for name in task.template_fields:
        value = path_text(getattr(task, name))
        setattr(task, name, _text(name, value) if name in TEXTS or name.endswith("_path") else value)


def _text(name: str, value: object) -> object:
    value = digits(value)
    if value is not None and not isinstance(value, str):
        from airflow_provider_salesblink.client import validation

        raise AirflowFailException(str(validation.not_a_text(name, value)))
    return value


def check_flag(name: str, value: object) -> None:
    """Raise unless the value of an argument is True or False. The text "False" would count as true.

    :raises ValueError: it is anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it takes True or False, and no template.")


def check_seconds(name: str, value: object) -> None:
    """Raise unless the value of an argument is a number of seconds, 0 or more.

    :raises ValueError: it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} is {value!r}; give a number of seconds, 0 or more.")


def json_argument(name: str, value: Any, kind: type[dict[Any, Any] | list[Any]]) -> Any:  # noqa: ANN401
    """Return the value of an argument that takes a dict or a list; parse it if it is JSON text.

    :param name: the argument's name, for the error.
    :param kind: ``dict`` or ``list``, what the JSON must hold.
    :raises AirflowFailException: the text is not JSON of this kind. The error does not show the text.
    """
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, kind):
        return parsed
    word, bracket = _WORDS[kind]
    raise AirflowFailException(
        f"{name} is a text, but not the JSON of {word} ({bracket}...). A template renders a dict or list as Python "
        f"text: pass the task's .output instead ({name}=extract.output), or write {{{{ ... | tojson }}}}."
        f"{_FOR_A_FILE.get(name, '')}"
    )


def named_values(name: str, value: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Return the value of an argument that takes a dict of names to values, or its JSON text; None for None.

    :param name: the argument's name, for the error.
    :raises AirflowFailException: it is neither, or a name in it is not text.
    """
    values = json_argument(name, value, dict)
    if values is None or (isinstance(values, dict) and all(isinstance(each, str) for each in values)):
        return values
    raise AirflowFailException(f"{name} is not a dict of names to values, such as {{'starred': True}}.")
