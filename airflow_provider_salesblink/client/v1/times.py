"""Times of the API v1: milliseconds or ISO text on the wire, ``datetime`` objects with a time zone in the client."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_provider_salesblink.client.errors import InvalidInputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoded(value: object) -> datetime | None:
    """Return a time of an answer; None if it is not one.

    A text without a time zone is in UTC, as all times of the API.
    """
    try:
        if isinstance(value, str):
            return _from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _EPOCH + timedelta(milliseconds=value)
    except (ValueError, OverflowError):
        pass
    return None


def _from_text(value: str) -> datetime:
    if value.isdecimal():
        return _EPOCH + timedelta(milliseconds=int(value))
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def milliseconds(argument: str, value: object) -> int:
    """Return a ``datetime`` as Unix milliseconds.

    :raises InvalidInputError: it is not a ``datetime``, or has no time zone.
    """
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{argument} is a {type(value).__name__}: pass a datetime with a time zone.")
    if value.utcoffset() is None:
        raise InvalidInputError(f"{argument} has no time zone: add one, for example with value.replace(tzinfo=UTC).")
    # Not by subtraction: Airflow's times are Pendulum's, whose differences cannot be divided by a timedelta.
    return timegm(value.utctimetuple()) * 1000 + value.microsecond // 1000


def window(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """Return the query ``from`` and ``to`` of a time window that may be open at both ends.

    SalesBlink does not document whether events at exactly ``since`` or ``until`` are in the window.

    :raises InvalidInputError: a time has no time zone, or ``since`` is after ``until``.
    """
    given = {"since": since, "until": until}
    found = {name: milliseconds(name, value) for name, value in given.items() if value is not None}
    if len(found) == len(given) and found["since"] > found["until"]:
        raise InvalidInputError("since is after until: swap them.")
    wire = {"since": "from", "until": "to"}
    return {wire[name]: str(value) for name, value in found.items()}


def encoded_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a list or a sequence with each ``datetime`` as milliseconds.

    :raises InvalidInputError: there are no settings, or a time has no time zone.
    """
    if not settings:
        raise InvalidInputError("There are no settings: pass at least one.")
    return {name: _encoded(name, value) for name, value in settings.items()}


def _encoded(name: str, value: object) -> object:
    if isinstance(value, date):
        return milliseconds(name, value)
    if isinstance(value, Mapping):
        return {key: _encoded(f"{name}.{key}", each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(name, each) for each in value]
    return value
