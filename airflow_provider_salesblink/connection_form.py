"""The fields of the SalesBlink connection: one table for the form in Airflow's UI and for validation.

Airflow 3.2 and later build the form from ``conn-fields`` and ``ui-field-behaviour`` of the provider info; earlier
versions build it from methods of the hook. Both forms and the validation are made from ``FIELDS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

CONN_TYPE = "salesblink"
HOOK_NAME = "SalesBlink"
DEFAULT_CONN_ID = "salesblink_default"
DEFAULT_ROOT_URL = "https://run.salesblink.io"

HIDDEN_FIELDS = ["login", "schema"]
RELABELING = {"host": "Root URL", "password": "API key"}
PLACEHOLDERS = {
    "host": DEFAULT_ROOT_URL,
    "password": "from SalesBlink: Integrations > API",
    # Those versions cannot test a saved connection without a port.
    "port": "443, for the Test button of Airflow 3.3.1 and 3.3.2",
}


class InvalidConnectionError(ValueError):
    """A connection that cannot work. The message names the wrong field and the values it takes."""


@dataclass(frozen=True)
class FormField:
    """An extra of the connection.

    :param kind: the JSON type of its values.
    :param least: the smallest number that it takes.
    :param choices: the texts that it takes; empty for any text.
    :param is_secret: whether the form hides its value.
    """

    name: str
    label: str
    description: str
    kind: Literal["boolean", "integer", "number", "string"]
    default: bool | float | str
    least: float | None = None
    choices: tuple[str, ...] = ()
    is_secret: bool = False


FIELDS = (
    FormField(
        "api_version",
        "API version",
        "The SalesBlink API to call. classic is the older one, under /api. v1 is the one of today, under "
        "/api/public/v1.0.0. The Test button shows which of them accepts your key.",
        "string",
        "classic",
        choices=("classic", "v1"),
    ),
    FormField("timeout", "Timeout", "Seconds to wait for an answer.", "number", 30, least=1),
    FormField("max_attempts", "Attempts", "How many times to send a call that fails, at most.", "integer", 5, least=1),
    FormField(
        "reads_per_minute",
        "Reads a minute",
        "Rate limit of reads for all tasks that use this key; 0 for no limit. SalesBlink allows about 30.",
        "integer",
        30,
        least=0,
    ),
    FormField(
        "writes_per_minute",
        "Writes a minute",
        "Rate limit of writes for all tasks that use this key; 0 for no limit. SalesBlink allows about 15.",
        "integer",
        15,
        least=0,
    ),
    FormField(
        "deletes_per_minute",
        "Deletes a minute",
        "Rate limit of deletes for all tasks that use this key; 0 for no limit. SalesBlink allows about 10.",
        "integer",
        10,
        least=0,
    ),
    FormField(
        "pacing_url",
        "Pacing store",
        "Where requests are counted for the rate limits. Empty: a file that the processes of this machine share. "
        "redis://host:6379/1: a server that all workers share (not /0, where Celery usually keeps its queue).",
        "string",
        "",
    ),
    FormField(
        "dry_run",
        "Dry run",
        "Send reads; log writes instead of sending them.",
        "boolean",
        False,
    ),
    FormField("verify_tls", "Verify TLS", "Require a valid server certificate.", "boolean", True),
    FormField(
        "hash_key",
        "Hash key",
        "The secret key of the hashes that stand for addresses in output files. Empty: derived from the API key, so a "
        "new API key changes every hash.",
        "string",
        "",
        is_secret=True,
    ),
)

_BY_NAME = {field.name: field for field in FIELDS}
_IN_WORDS = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "a text"}
_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def settings(extras: Mapping[str, Any], *, conn_id: str) -> dict[str, Any]:
    """Return the extras of a connection, each converted to its type. Missing and empty extras are left out.

    A text that spells a value counts as that value: in a connection given as a URI, every extra is text.

    :raises InvalidConnectionError: an extra is unknown, or has a value that its field does not take.
    """
    unknown = sorted(set(extras) - set(_BY_NAME))
    if unknown:
        names = ", ".join(map(repr, unknown))
        known = ", ".join(sorted(_BY_NAME))
        raise InvalidConnectionError(f"Connection {conn_id!r}: unknown extra {names}. Known: {known}.")
    return {
        name: _value(_BY_NAME[name], value, conn_id)
        for name, value in extras.items()
        if value is not None and value != ""
    }


def _value(field: FormField, value: object, conn_id: str) -> Any:  # noqa: ANN401
    found = _parsed(field.kind, value)
    if found is None or (field.choices and found not in field.choices):
        takes = f"takes {_in_words(field)}"
    elif field.least is not None and not field.least <= found < math.inf:
        takes = f"must be at least {field.least:g}"
    else:
        return found
    # Do not show the value: people put secrets into extras by mistake.
    raise InvalidConnectionError(f"Connection {conn_id!r}: extra {field.name!r} {takes}.")


def _parsed(kind: str, value: object) -> Any:  # noqa: ANN401
    match kind, value:
        case "boolean", bool():
            return value
        case "boolean", str() | int():
            return _TRUTH.get(str(value).strip().lower())
        case (("integer" | "number"), bool()):
            return None
        case ("integer", int()) | ("number", int() | float()) | ("string", str()):
            return value
        case "integer", float() if value.is_integer():
            return int(value)
        case (("integer" | "number"), str()):
            return _number(kind, value)
    return None


def _number(kind: str, text: str) -> float | None:
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        return None


def _in_words(field: FormField) -> str:
    if field.choices:
        return " or ".join(map(repr, field.choices))
    return _IN_WORDS[field.kind]


def conn_fields() -> dict[str, dict[str, Any]]:
    """Return the extras as the provider info's ``conn-fields`` (Airflow 3.2 and later)."""
    return {
        field.name: {"label": field.label, "description": field.description, "schema": _schema(field)}
        for field in FIELDS
    }


def _schema(field: FormField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [field.kind, "null"], "default": field.default}
    if field.least is not None:
        schema["minimum"] = field.least
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.is_secret:
        schema["format"] = "password"
    return schema


def field_behaviour() -> dict[str, Any]:
    """Return the hook's ``get_ui_field_behaviour``: how the form shows the standard fields (up to Airflow 3.1)."""
    return {"hidden_fields": HIDDEN_FIELDS, "relabeling": RELABELING, "placeholders": PLACEHOLDERS}


def form_widgets() -> dict[str, Any]:
    """Return the extras as WTForms fields (up to Airflow 3.1; later versions do not have these imports).

    Airflow 3.0 and 3.1 replace exactly the names used here with stand-ins. :func:`settings` checks ranges.
    """
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import BooleanField, IntegerField, PasswordField, StringField
    from wtforms.validators import Optional, any_of

    kinds = {"integer": IntegerField, "number": IntegerField, "string": StringField}
    widgets = {}
    for field in FIELDS:
        about = {"description": lazy_gettext(field.description), "default": field.default}
        if field.kind == "boolean":
            widgets[field.name] = BooleanField(lazy_gettext(field.label), **about)
            continue
        checks = [Optional(), any_of(field.choices)] if field.choices else [Optional()]
        kind, widget = (
            (PasswordField, BS3PasswordFieldWidget) if field.is_secret else (kinds[field.kind], BS3TextFieldWidget)
        )
        widgets[field.name] = kind(lazy_gettext(field.label), widget=widget(), validators=checks, **about)
    return widgets
